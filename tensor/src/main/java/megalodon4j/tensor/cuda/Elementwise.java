package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Backend.AdamStep;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** What happens to each element by itself: sums, products, activations, the step of Adam. */
final class Elementwise implements Kernels.Elementwise, Kernels.Activations, Kernels.Dropouts, Kernels.Optimizer {
    private final Launcher launcher;

    Elementwise(Launcher launcher) {
        this.launcher = launcher;
    }

    @Override
    public void copy(Tensor from, Tensor to) {
        if (from.elements() > 0) {
            launcher.device.copy(launcher.at(from), launcher.at(to), (long) from.elements() * Float.BYTES);
        }
    }

    @Override
    public void zero(Tensor x) {
        if (x.elements() > 0) {
            launcher.device.fill(launcher.at(x), 0, x.elements());
        }
    }

    @Override
    public void add(float scale, Tensor x, Tensor y, boolean add) {
        int n = x.elements();
        launcher.each("elementwise.add", n, (add ? 3L : 2L) * n)
                .f32(scale)
                .ptr(launcher.at(x))
                .ptr(launcher.at(y))
                .i32(n)
                .i32(flag(add))
                .run();
    }

    @Override
    public void multiply(Tensor x, Tensor y, Tensor z, boolean add) {
        int n = x.elements();
        launcher.each("elementwise.multiply", n, (add ? 4L : 3L) * n)
                .ptr(launcher.at(x))
                .ptr(launcher.at(y))
                .ptr(launcher.at(z))
                .i32(n)
                .i32(flag(add))
                .run();
    }

    @Override
    public void silu(Tensor a, Tensor b, Tensor y) {
        int n = a.elements();
        launcher.each("elementwise.silu", n, (b == null ? 2L : 3L) * n)
                .ptr(launcher.at(a))
                .ptr(launcher.at(b))
                .ptr(launcher.at(y))
                .i32(n)
                .run();
    }

    @Override
    public void siluGrad(Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB, Tensor y) {
        int n = a.elements();
        long floats = ((b == null ? 3L : 5L) + flag(addA) + flag(addB) + flag(y != null)) * n;
        launcher.each("elementwise.siluGrad", n, floats)
                .ptr(launcher.at(dy))
                .ptr(launcher.at(a))
                .ptr(launcher.at(b))
                .ptr(launcher.at(da))
                .ptr(launcher.at(db))
                .ptr(launcher.at(y))
                .i32(n)
                .i32(flag(addA))
                .i32(flag(addB))
                .run();
    }

    @Override
    public void dropout(Dropout dropout, Tensor x, Tensor y) {
        int n = x.elements();
        var launch = launcher.each("elementwise.dropout", n, 2L * n)
                .ptr(launcher.at(x))
                .ptr(launcher.at(y))
                .i32(n)
                .i32(x.shape().size(1))
                .i32(x.columns());
        launcher.dropout(launch, dropout).run();
    }

    @Override
    public void adam(AdamStep step, Tensor p, Tensor grad, Tensor m, Tensor v) {
        int n = p.elements();
        launcher.each("elementwise.adam", n, 7L * n)
                .ptr(launcher.at(p))
                .ptr(launcher.at(grad))
                .ptr(launcher.at(m))
                .ptr(launcher.at(v))
                .i32(n)
                .f32(step.gradScale())
                .f32(step.weightDecay())
                .f32(step.beta1())
                .f32(step.beta2())
                .f32((float) (step.learningRate() / step.correction1()))
                .f32((float) (1 / Math.sqrt(step.correction2())))
                .f32(step.eps())
                .run();
    }
}
