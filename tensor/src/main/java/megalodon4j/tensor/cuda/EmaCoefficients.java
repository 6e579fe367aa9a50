package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** What the complex EMA computes from its parameters alone. */
final class EmaCoefficients implements Kernels.EmaCoefficients {
    private final Launcher launcher;

    EmaCoefficients(Launcher launcher) {
        this.launcher = launcher;
    }

    @Override
    public void emaCoefficients(
            Tensor alpha, Tensor delta, Tensor theta, Tensor gammaReal, Tensor gammaImag, Tensor c) {
        int channels = theta.elements();
        launcher.each("ema.coefficients", channels, 9L * alpha.elements())
                .ptr(launcher.at(alpha))
                .ptr(launcher.at(delta))
                .ptr(launcher.at(theta))
                .ptr(launcher.at(gammaReal))
                .ptr(launcher.at(gammaImag))
                .ptr(launcher.at(c))
                .i32(channels)
                .i32(alpha.elements() / channels)
                .run();
    }

    @Override
    public void emaCoefficientsGrad(
            Tensor dc,
            Tensor alpha,
            Tensor delta,
            Tensor theta,
            Tensor dalpha,
            Tensor ddelta,
            Tensor dtheta,
            Tensor dgammaReal,
            Tensor dgammaImag,
            boolean addAlpha,
            boolean addDelta,
            boolean addTheta,
            boolean addReal,
            boolean addImag) {
        int channels = theta.elements();
        launcher.each("ema.coefficientsGrad", channels, 11L * alpha.elements())
                .ptr(launcher.at(dc))
                .ptr(launcher.at(alpha))
                .ptr(launcher.at(delta))
                .ptr(launcher.at(theta))
                .ptr(launcher.at(dalpha))
                .ptr(launcher.at(ddelta))
                .ptr(launcher.at(dtheta))
                .ptr(launcher.at(dgammaReal))
                .ptr(launcher.at(dgammaImag))
                .i32(channels)
                .i32(alpha.elements() / channels)
                .i32(flag(addAlpha))
                .i32(flag(addDelta))
                .i32(flag(addTheta))
                .i32(flag(addReal))
                .i32(flag(addImag))
                .run();
    }
}
