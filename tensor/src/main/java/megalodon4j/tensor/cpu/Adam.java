package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Backend.AdamStep;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** The step of Adam: four streams in, three out, one pass. */
final class Adam implements Kernels.Optimizer {
    private final Blocks loop;
    private AdamStep step;
    private Tensor p, grad, m, v;

    Adam(Workers workers) {
        loop = new Blocks(workers, this::step);
    }

    @Override
    public void adam(AdamStep step, Tensor p, Tensor grad, Tensor m, Tensor v) {
        this.step = step;
        this.p = p;
        this.grad = grad;
        this.m = m;
        this.v = v;
        loop.elements(p.elements());
    }

    private void step(int from, int to, int worker) {
        // lr · (m / c1) / (sqrt(v / c2) + ε) with the constants taken out of the loop.
        float rate = (float) (step.learningRate() / step.correction1());
        float root = (float) (1 / Math.sqrt(step.correction2()));
        int po = offset(p) + from, go = offset(grad) + from, mo = offset(m) + from, vo = offset(v) + from;
        step(step, rate, root, data(p), po, data(grad), go, data(m), mo, data(v), vo, to - from);
    }

    private static void step(
            AdamStep step,
            float rate,
            float root,
            float[] p,
            int po,
            float[] grad,
            int go,
            float[] m,
            int mo,
            float[] v,
            int vo,
            int n) {
        float beta1 = step.beta1(), beta2 = step.beta2(), rest1 = 1 - beta1, rest2 = 1 - beta2;
        float scale = step.gradScale(), decay = step.weightDecay(), eps = step.eps();
        int i = 0;
        for (; i <= n - W; i += W) {
            var weight = FloatVector.fromArray(SPECIES, p, po + i);
            var g = FloatVector.fromArray(SPECIES, grad, go + i).mul(scale).add(weight.mul(decay));
            var first = FloatVector.fromArray(SPECIES, m, mo + i).mul(beta1).add(g.mul(rest1));
            var second = FloatVector.fromArray(SPECIES, v, vo + i)
                    .mul(beta2)
                    .add(g.mul(g).mul(rest2));
            first.intoArray(m, mo + i);
            second.intoArray(v, vo + i);
            weight.sub(first.mul(rate).div(second.sqrt().mul(root).add(eps))).intoArray(p, po + i);
        }
        for (; i < n; i++) {
            float g = grad[go + i] * scale + p[po + i] * decay;
            m[mo + i] = m[mo + i] * beta1 + g * rest1;
            v[vo + i] = v[vo + i] * beta2 + g * g * rest2;
            p[po + i] -= m[mo + i] * rate / ((float) Math.sqrt(v[vo + i]) * root + eps);
        }
    }
}
