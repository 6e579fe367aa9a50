package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;
import static megalodon4j.tensor.cpu.VectorMath.NEGLIGIBLE;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * SiLU and its gated form: y = silu(a) · b, silu(a) = a · σ(a), σ(a) = 1 / (1 + e⁻ᵃ). Without b the gate is 1. What is {@link VectorMath#NEGLIGIBLE} is left out. The exponentials of a short
 * stretch are computed first and then taken from the first-level cache.
 */
final class Activations {
    private static final int STRETCH = 1024;

    private final WorkerScratch scratch;
    private final Blocks forward;
    private final Blocks backward;
    private Tensor dy, a, b, y, da, db;
    private boolean addA, addB;

    Activations(Workers workers) {
        scratch = new WorkerScratch(workers);
        forward = new Blocks(workers, this::forward);
        backward = new Blocks(workers, this::backward);
    }

    void silu(Tensor a, Tensor b, Tensor y) {
        this.a = a;
        this.b = b;
        this.y = y;
        forward.elements(y.elements());
    }

    void siluGrad(Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB) {
        this.dy = dy;
        this.a = a;
        this.b = b;
        this.da = da;
        this.db = db;
        this.addA = addA;
        this.addB = addB;
        backward.elements(dy.elements());
    }

    private void forward(int from, int to, int worker) {
        for (int i = from; i < to; i += STRETCH) {
            int n = Math.min(STRETCH, to - i);
            float[] e = exponentials(i, n, worker);
            silu(e, data(a), offset(a) + i, data(b), offset(b) + i, data(y), offset(y) + i, n);
        }
    }

    private void backward(int from, int to, int worker) {
        for (int i = from; i < to; i += STRETCH) {
            int n = Math.min(STRETCH, to - i), dyo = offset(dy) + i, ao = offset(a) + i, dao = offset(da) + i;
            float[] e = exponentials(i, n, worker);
            if (b == null) {
                siluGrad(e, data(dy), dyo, data(a), ao, data(da), dao, n, addA);
            } else {
                int bo = offset(b) + i, dbo = offset(db) + i;
                gatedGrad(e, data(dy), dyo, data(a), ao, data(b), bo, data(da), dao, data(db), dbo, n, addA, addB);
            }
        }
    }

    /** e⁻ᵃ of n elements from i on. */
    private float[] exponentials(int i, int n, int worker) {
        float[] e = scratch.of(worker, STRETCH);
        VectorMath.exp(-1, data(a), offset(a) + i, 0, e, 0, n);
        return e;
    }

    private static void silu(float[] e, float[] a, int ao, float[] b, int bo, float[] y, int yo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var silu = FloatVector.fromArray(SPECIES, a, ao + i)
                    .div(FloatVector.fromArray(SPECIES, e, i).add(1));
            var gated = b == null ? silu : silu.mul(FloatVector.fromArray(SPECIES, b, bo + i));
            gated.blend(0, gated.abs().compare(VectorOperators.LT, NEGLIGIBLE)).intoArray(y, yo + i);
        }
        for (; i < n; i++) {
            float silu = a[ao + i] / (1 + e[i]);
            y[yo + i] = VectorMath.flush(b == null ? silu : silu * b[bo + i]);
        }
    }

    /** da (+)= dy · silu'(a), where silu' = σ + silu · (1 − σ). */
    private static void siluGrad(
            float[] e, float[] dy, int dyo, float[] a, int ao, float[] da, int dao, int n, boolean addA) {
        var one = FloatVector.broadcast(SPECIES, 1);
        int i = 0;
        for (; i <= n - W; i += W) {
            var s = one.div(FloatVector.fromArray(SPECIES, e, i).add(1));
            var slope = FloatVector.fromArray(SPECIES, a, ao + i)
                    .mul(s)
                    .mul(one.sub(s))
                    .add(s);
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i).mul(slope);
            g = g.blend(0, g.abs().compare(VectorOperators.LT, NEGLIGIBLE));
            (addA ? g.add(FloatVector.fromArray(SPECIES, da, dao + i)) : g).intoArray(da, dao + i);
        }
        for (; i < n; i++) {
            float s = 1 / (1 + e[i]);
            float g = VectorMath.flush(dy[dyo + i] * (a[ao + i] * s * (1 - s) + s));
            da[dao + i] = addA ? da[dao + i] + g : g;
        }
    }

    /** da (+)= dy · b · silu'(a), db (+)= dy · silu(a). */
    private static void gatedGrad(
            float[] e,
            float[] dy,
            int dyo,
            float[] a,
            int ao,
            float[] b,
            int bo,
            float[] da,
            int dao,
            float[] db,
            int dbo,
            int n,
            boolean addA,
            boolean addB) {
        var one = FloatVector.broadcast(SPECIES, 1);
        int i = 0;
        for (; i <= n - W; i += W) {
            var s = one.div(FloatVector.fromArray(SPECIES, e, i).add(1));
            var silu = FloatVector.fromArray(SPECIES, a, ao + i).mul(s);
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i);
            var gate = g.mul(silu);
            gate = gate.blend(0, gate.abs().compare(VectorOperators.LT, NEGLIGIBLE));
            (addB ? gate.add(FloatVector.fromArray(SPECIES, db, dbo + i)) : gate).intoArray(db, dbo + i);
            var slope = silu.mul(one.sub(s)).add(s);
            var inner = g.mul(FloatVector.fromArray(SPECIES, b, bo + i)).mul(slope);
            inner = inner.blend(0, inner.abs().compare(VectorOperators.LT, NEGLIGIBLE));
            (addA ? inner.add(FloatVector.fromArray(SPECIES, da, dao + i)) : inner).intoArray(da, dao + i);
        }
        for (; i < n; i++) {
            float s = 1 / (1 + e[i]), silu = a[ao + i] * s;
            float gate = VectorMath.flush(dy[dyo + i] * silu);
            float inner = VectorMath.flush(dy[dyo + i] * b[bo + i] * (silu * (1 - s) + s));
            db[dbo + i] = addB ? db[dbo + i] + gate : gate;
            da[dao + i] = addA ? da[dao + i] + inner : inner;
        }
    }
}
