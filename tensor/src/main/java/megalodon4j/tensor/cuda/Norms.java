package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** Norms over rows. */
final class Norms implements Kernels.Norms {
    private final Launcher launcher;
    private final Reductions reductions;

    Norms(Launcher launcher, Reductions reductions) {
        this.launcher = launcher;
        this.reductions = reductions;
    }

    @Override
    public void rmsNorm(Tensor x, Tensor gamma, float shift, float eps, Tensor y, Tensor rstd) {
        launcher.warps("norms.rmsNorm", x.rows(), 2L * x.elements())
                .ptr(launcher.at(x))
                .ptr(launcher.at(gamma))
                .f32(shift)
                .f32(eps)
                .ptr(launcher.at(y))
                .ptr(launcher.at(rstd))
                .i32(x.rows())
                .i32(x.columns())
                .run();
    }

    @Override
    public void rmsNormGrad(
            Tensor dy,
            Tensor x,
            Tensor gamma,
            float shift,
            Tensor rstd,
            Tensor dx,
            Tensor dgamma,
            boolean addX,
            boolean addGamma) {
        int rows = x.rows(), columns = x.columns();
        launcher.warps("norms.rmsNormGrad", rows, (3L + flag(addX)) * x.elements())
                .ptr(launcher.at(dy))
                .ptr(launcher.at(x))
                .ptr(launcher.at(gamma))
                .f32(shift)
                .ptr(launcher.at(rstd))
                .ptr(launcher.at(dx))
                .i32(rows)
                .i32(columns)
                .i32(flag(addX))
                .run();
        if (dgamma != null) {
            launcher.columnSums(
                    "norms.rmsNormGammaGrad",
                    rows,
                    columns,
                    2L * x.elements(),
                    dgamma,
                    addGamma,
                    launch -> launch.ptr(launcher.at(dy))
                            .ptr(launcher.at(x))
                            .ptr(launcher.at(rstd))
                            .i32(rows)
                            .i32(columns));
        }
    }

    @Override
    public void layerNorm(Tensor x, Tensor w, Tensor b, float eps, Tensor y, Tensor mean, Tensor rstd) {
        launcher.warps("norms.layerNorm", x.rows(), 2L * x.elements())
                .ptr(launcher.at(x))
                .ptr(launcher.at(w))
                .ptr(launcher.at(b))
                .f32(eps)
                .ptr(launcher.at(y))
                .ptr(launcher.at(mean))
                .ptr(launcher.at(rstd))
                .i32(x.rows())
                .i32(x.columns())
                .run();
    }

    @Override
    public void layerNormGrad(
            Tensor dy,
            Tensor x,
            Tensor w,
            Tensor mean,
            Tensor rstd,
            Tensor dx,
            Tensor dw,
            Tensor db,
            boolean addX,
            boolean addW,
            boolean addB) {
        int rows = x.rows(), columns = x.columns();
        launcher.warps("norms.layerNormGrad", rows, (3L + flag(addX)) * x.elements())
                .ptr(launcher.at(dy))
                .ptr(launcher.at(x))
                .ptr(launcher.at(w))
                .ptr(launcher.at(mean))
                .ptr(launcher.at(rstd))
                .ptr(launcher.at(dx))
                .i32(rows)
                .i32(columns)
                .i32(flag(addX))
                .run();
        if (dw != null) {
            launcher.columnSums(
                    "norms.layerNormWeightGrad",
                    rows,
                    columns,
                    2L * x.elements(),
                    dw,
                    addW,
                    launch -> launch.ptr(launcher.at(dy))
                            .ptr(launcher.at(x))
                            .ptr(launcher.at(mean))
                            .ptr(launcher.at(rstd))
                            .i32(rows)
                            .i32(columns));
        }
        if (db != null) {
            reductions.sumRows(dy, db, addB);
        }
    }
}
