package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** Timestep normalisation in three passes, forward and backward alike: sums of groups, a scan over time, the result. */
final class TimestepNorm implements Kernels.TimestepNorm {
    private final Launcher launcher;
    private final Reductions reductions;

    TimestepNorm(Launcher launcher, Reductions reductions) {
        this.launcher = launcher;
        this.reductions = reductions;
    }

    @Override
    public void timestepNorm(
            Tensor x,
            Tensor mask,
            Tensor w,
            Tensor b,
            int groups,
            float eps,
            Tensor state,
            Tensor y,
            Tensor mean,
            Tensor rstd) {
        int batch = x.shape().size(0), length = x.shape().size(1), columns = x.columns(), width = columns / groups;
        launcher.each("timestepnorm.groupMeans", mean.elements(), x.elements() + mean.elements())
                .ptr(launcher.at(x))
                .ptr(launcher.at(mean))
                .i32(mean.elements())
                .i32(width)
                .run();
        launcher.warps("timestepnorm.scan", (long) batch * groups, 3L * mean.elements())
                .ptr(launcher.at(mask))
                .ptr(launcher.at(mean))
                .ptr(launcher.at(rstd))
                .ptr(launcher.at(state))
                .i32(batch)
                .i32(length)
                .i32(groups)
                .f32(eps)
                .run();
        if (state != null) {
            launcher.warps("timestepnorm.advanceCounts", batch, (long) batch * length)
                    .ptr(launcher.at(mask))
                    .ptr(launcher.at(state))
                    .i32(batch)
                    .i32(length)
                    .i32(groups)
                    .run();
        }
        launcher.each("timestepnorm.normalise", x.elements(), 2L * (x.elements() + mean.elements()))
                .ptr(launcher.at(x))
                .ptr(launcher.at(w))
                .ptr(launcher.at(b))
                .ptr(launcher.at(mean))
                .ptr(launcher.at(rstd))
                .ptr(launcher.at(y))
                .i32(x.elements())
                .i32(columns)
                .i32(width)
                .run();
    }

    @Override
    public void timestepNormGrad(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor w,
            int groups,
            float eps,
            Tensor mean,
            Tensor rstd,
            Tensor dx,
            Tensor dw,
            Tensor db,
            boolean addX,
            boolean addW,
            boolean addB) {
        int columns = x.columns(), width = columns / groups;
        try (var scope = launcher.scope()) {
            long shares = launcher.floats(scope, mean.elements());
            shares(dy, x, mask, w, groups, eps, mean, rstd, shares);
            launcher.each("timestepnorm.inputGrad", x.elements(), (2L + flag(addX)) * x.elements())
                    .ptr(launcher.at(dy))
                    .ptr(launcher.at(w))
                    .ptr(launcher.at(rstd))
                    .ptr(shares)
                    .ptr(launcher.at(dx))
                    .i32(x.elements())
                    .i32(columns)
                    .i32(width)
                    .i32(flag(addX))
                    .run();
        }
        if (dw != null) {
            launcher.columnSums(
                    "timestepnorm.weightGrad",
                    x.rows(),
                    columns,
                    2L * x.elements(),
                    dw,
                    addW,
                    launch -> launch.ptr(launcher.at(dy))
                            .ptr(launcher.at(x))
                            .ptr(launcher.at(mean))
                            .ptr(launcher.at(rstd))
                            .i32(x.rows())
                            .i32(columns)
                            .i32(width));
        }
        if (db != null) {
            reductions.sumRows(dy, db, addB);
        }
    }

    /** shares (B, L, G): what each feature of a group gets from the statistics. */
    private void shares(
            Tensor dy, Tensor x, Tensor mask, Tensor w, int groups, float eps, Tensor mean, Tensor rstd, long shares) {
        int batch = x.shape().size(0), length = x.shape().size(1), width = x.columns() / groups;
        try (var scope = launcher.scope()) {
            long deviations = launcher.floats(scope, mean.elements()), means = launcher.floats(scope, mean.elements());
            launcher.each("timestepnorm.groupSums", mean.elements(), 2L * x.elements() + 4L * mean.elements())
                    .ptr(launcher.at(dy))
                    .ptr(launcher.at(x))
                    .ptr(launcher.at(w))
                    .ptr(launcher.at(mean))
                    .ptr(shares)
                    .ptr(deviations)
                    .ptr(means)
                    .i32(mean.elements())
                    .i32(groups)
                    .i32(width)
                    .run();
            launcher.warps("timestepnorm.scanGrad", (long) batch * groups, 6L * mean.elements())
                    .ptr(launcher.at(mask))
                    .ptr(launcher.at(mean))
                    .ptr(launcher.at(rstd))
                    .ptr(deviations)
                    .ptr(means)
                    .ptr(shares)
                    .i32(batch)
                    .i32(length)
                    .i32(groups)
                    .i32(width)
                    .f32(eps)
                    .run();
        }
    }
}
