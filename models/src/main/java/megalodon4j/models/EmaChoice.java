package megalodon4j.models;

import megalodon4j.tensor.Backend.EmaMethod;

/** How training evaluates the complex EMA. */
public enum EmaChoice {
    /** The faster one by a fixed rule: on a CPU the scan. */
    AUTO,
    SCAN,
    FFT;

    /** The method that this means. */
    public EmaMethod method() {
        return this == FFT ? EmaMethod.FFT : EmaMethod.SCAN;
    }
}
