package megalodon4j.tensor.cuda;

import megalodon4j.tensor.Backend.EmaMethod;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** The complex EMA, by its recurrence or as a convolution. */
final class Ema implements Kernels.Ema {
    private final EmaScan scan;
    private final EmaFft fft;

    Ema(Launcher launcher) {
        scan = new EmaScan(launcher);
        fft = new EmaFft(launcher, scan);
    }

    @Override
    public void ema(
            Tensor x, Tensor mask, Tensor coefficients, Tensor omega, Tensor state, EmaMethod method, Tensor y) {
        if (byFft(method, x)) {
            fft.forward(x, mask, coefficients, omega, y);
        } else {
            scan.forward(x, mask, coefficients, omega, state, y);
        }
    }

    @Override
    public void emaGrad(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor coefficients,
            Tensor omega,
            EmaMethod method,
            Tensor dx,
            Tensor dcoefficients,
            Tensor domega,
            boolean addX,
            boolean addCoefficients,
            boolean addOmega) {
        if (byFft(method, x)) {
            fft.backward(dy, x, mask, coefficients, omega, dx, dcoefficients, domega, addX, addCoefficients, addOmega);
        } else {
            scan.backward(dy, x, mask, coefficients, omega, dx, dcoefficients, domega, addX, addCoefficients, addOmega);
        }
    }

    // There is no transform of nothing.
    private static boolean byFft(EmaMethod method, Tensor x) {
        return method == EmaMethod.FFT && x.elements() > 0;
    }
}
