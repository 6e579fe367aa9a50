package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** Rotary positions, and Megalodon's queries and keys. */
final class Rotary implements Kernels.Rotary {
    private final Launcher launcher;

    Rotary(Launcher launcher) {
        this.launcher = launcher;
    }

    @Override
    public void rope(Tensor x, Tensor cos, Tensor sin, int heads, boolean adjacent, boolean inverse) {
        int pairs = x.elements() / 2;
        launcher.each("rotary.rope", pairs, 2L * x.elements())
                .ptr(launcher.at(x))
                .ptr(launcher.at(cos))
                .ptr(launcher.at(sin))
                .i32(pairs)
                .i32(x.shape().size(1))
                .i32(heads)
                .i32(x.columns() / heads)
                .i32(flag(adjacent))
                .f32(inverse ? -1 : 1)
                .run();
    }

    @Override
    public void queryKey(
            Tensor z,
            Tensor gamma,
            Tensor beta,
            Tensor cos,
            Tensor sin,
            int heads,
            float eps,
            Tensor q,
            Tensor k,
            Tensor rstd) {
        launcher.warps("rotary.queryKey", rstd.elements(), 3L * z.elements())
                .ptr(launcher.at(z))
                .ptr(launcher.at(gamma))
                .ptr(launcher.at(beta))
                .ptr(launcher.at(cos))
                .ptr(launcher.at(sin))
                .ptr(launcher.at(q))
                .ptr(launcher.at(k))
                .ptr(launcher.at(rstd))
                .i32(rstd.elements())
                .i32(z.shape().size(1))
                .i32(heads)
                .i32(z.columns() / heads)
                .f32(eps)
                .run();
    }

    @Override
    public void queryKeyGrad(
            Tensor dq,
            Tensor dk,
            Tensor z,
            Tensor gamma,
            Tensor cos,
            Tensor sin,
            int heads,
            Tensor rstd,
            Tensor dz,
            Tensor dgamma,
            Tensor dbeta,
            boolean addZ,
            boolean addGamma,
            boolean addBeta) {
        rope(dq, cos, sin, heads, false, true);
        rope(dk, cos, sin, heads, false, true);
        int width = z.columns(), d = width / heads;
        launcher.warps("rotary.queryKeyGrad", rstd.elements(), (4L + flag(addZ)) * z.elements())
                .ptr(launcher.at(dq))
                .ptr(launcher.at(dk))
                .ptr(launcher.at(z))
                .ptr(launcher.at(gamma))
                .ptr(launcher.at(rstd))
                .ptr(launcher.at(dz))
                .i32(rstd.elements())
                .i32(heads)
                .i32(d)
                .i32(flag(addZ))
                .run();
        launcher.columnSums(
                "rotary.queryKeyGammaGrad",
                z.rows(),
                2 * width,
                4L * z.elements(),
                dgamma,
                addGamma,
                launch -> launch.ptr(launcher.at(dq))
                        .ptr(launcher.at(dk))
                        .ptr(launcher.at(z))
                        .ptr(launcher.at(rstd))
                        .i32(z.rows())
                        .i32(width)
                        .i32(d));
        launcher.columnSums(
                "rotary.queryKeyBetaGrad",
                z.rows(),
                2 * width,
                2L * z.elements(),
                dbeta,
                addBeta,
                launch -> launch.ptr(launcher.at(dq))
                        .ptr(launcher.at(dk))
                        .i32(z.rows())
                        .i32(width));
    }
}
