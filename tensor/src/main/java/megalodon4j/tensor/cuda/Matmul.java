package megalodon4j.tensor.cuda;

import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.Tensor;

/** Matrix products by cuBLAS, and what follows them. */
final class Matmul implements Kernels.Products {
    private final Launcher launcher;
    private final Precision precision;

    Matmul(Launcher launcher, Precision precision) {
        this.launcher = launcher;
        this.precision = precision;
    }

    @Override
    public void matmul(
            boolean transposeA, boolean transposeB, int m, int n, int k, Tensor a, Tensor b, Tensor c, boolean add) {
        if (m == 0 || n == 0) {
            return;
        }
        if (k == 0) {
            if (!add) {
                launcher.device.fill(launcher.at(c), 0, c.elements());
            }
            return;
        }
        launcher.device.gemm(
                precision,
                transposeA,
                transposeB,
                m,
                n,
                k,
                1,
                launcher.at(a),
                a.columns(),
                launcher.at(b),
                b.columns(),
                add ? 1 : 0,
                launcher.at(c),
                n);
    }

    @Override
    public void linear(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        matmul(false, true, x.rows(), w.rows(), x.columns(), x, w, y, false);
        if (bias != null || residual != null) {
            int n = y.elements();
            launcher.each("elementwise.addBias", n, (residual == null ? 2L : 3L) * n)
                    .ptr(launcher.at(bias))
                    .ptr(launcher.at(residual))
                    .ptr(launcher.at(y))
                    .i32(n)
                    .i32(y.columns())
                    .run();
        }
    }
}
