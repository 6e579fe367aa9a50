package megalodon4j.models;

import megalodon4j.tensor.Backend.EmaMethod;

/** How training evaluates the complex EMA. */
public enum EmaChoice {
    /** A fixed rule: the scan, which is faster on a CPU and moves fewer bytes on a GPU. */
    AUTO,
    SCAN,
    FFT;

    /** The method that this means. */
    public EmaMethod method() {
        return this == FFT ? EmaMethod.FFT : EmaMethod.SCAN;
    }
}
