package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Tensor;

/** The complex EMA by its recurrence, and its coefficients. */
final class Ema {
    private final Launcher launcher;

    Ema(Launcher launcher) {
        this.launcher = launcher;
    }

    void coefficients(Tensor alpha, Tensor delta, Tensor theta, Tensor gammaReal, Tensor gammaImag, Tensor c) {
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

    void coefficientsGrad(
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

    void forward(Tensor x, Tensor mask, Tensor c, Tensor omega, Tensor state, Tensor y) {
        scan(x, mask, c, omega, state, launcher.at(y), 0, 2L * x.elements());
    }

    private void scan(
            Tensor x, Tensor mask, Tensor c, Tensor omega, Tensor state, long y, long history, long floatsMoved) {
        int batch = x.shape().size(0), channels = x.columns();
        launcher.each("ema.scan", (long) batch * channels, floatsMoved)
                .ptr(launcher.at(x))
                .ptr(launcher.at(mask))
                .ptr(launcher.at(c))
                .ptr(launcher.at(omega))
                .ptr(launcher.at(state))
                .ptr(y)
                .ptr(history)
                .i32(batch)
                .i32(x.shape().size(1))
                .i32(channels)
                .i32(c.shape().size(1))
                .run();
    }

    /** All states of the forward pass are computed again, and kept in memory until the way back has seen them. */
    void backward(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor c,
            Tensor omega,
            Tensor dx,
            Tensor dc,
            Tensor domega,
            boolean addX,
            boolean addCoefficients,
            boolean addOmega) {
        int batch = x.shape().size(0),
                channels = x.columns(),
                states = c.shape().size(1);
        int kept = Math.multiplyExact(x.elements(), 2 * states);
        try (var scope = launcher.scope()) {
            long history = launcher.floats(scope, kept), partial = launcher.floats(scope, batch * c.elements());
            scan(x, mask, c, omega, null, 0, history, x.elements() + (long) kept);
            launcher.each("ema.scanGrad", (long) batch * channels, (3L + flag(addX)) * x.elements() + kept)
                    .ptr(launcher.at(dy))
                    .ptr(launcher.at(x))
                    .ptr(launcher.at(mask))
                    .ptr(launcher.at(c))
                    .ptr(launcher.at(omega))
                    .ptr(history)
                    .ptr(launcher.at(dx))
                    .ptr(partial)
                    .i32(batch)
                    .i32(x.shape().size(1))
                    .i32(channels)
                    .i32(states)
                    .i32(flag(addX))
                    .run();
            launcher.addStrips(partial, batch, c.elements(), dc, addCoefficients);
        }
        omegaGrad(dy, x, mask, domega, addOmega);
    }

    /** domega (+)= Σ x dy. */
    void omegaGrad(Tensor dy, Tensor x, Tensor mask, Tensor domega, boolean add) {
        launcher.columnSums(
                "ema.omegaGrad",
                x.rows(),
                x.columns(),
                2L * x.elements(),
                domega,
                add,
                launch -> launch.ptr(launcher.at(dy))
                        .ptr(launcher.at(x))
                        .ptr(launcher.at(mask))
                        .i32(x.rows())
                        .i32(x.columns()));
    }
}
