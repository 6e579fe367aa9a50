package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Tensor;

/** The complex EMA by its recurrence. */
final class EmaScan {
    private final Launcher launcher;

    EmaScan(Launcher launcher) {
        this.launcher = launcher;
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
        long kept = 2L * states * x.elements();
        try (var scope = launcher.scope()) {
            long history = launcher.floats(scope, kept), partial = launcher.floats(scope, (long) batch * c.elements());
            scan(x, mask, c, omega, null, 0, history, x.elements() + kept);
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
