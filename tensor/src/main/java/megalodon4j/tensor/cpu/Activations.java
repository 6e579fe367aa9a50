package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** SiLU and its gated form: y = silu(a) · b, silu(a) = a · σ(a), σ(a) = 1 / (1 + e⁻ᵃ). Without b the gate is 1. */
final class Activations {
    private final Workers workers;

    Activations(Workers workers) {
        this.workers = workers;
    }

    void silu(Tensor a, Tensor b, Tensor y) {
        float[] as = data(a), bs = data(b), ys = data(y);
        int ao = offset(a), bo = offset(b), yo = offset(y);
        Blocks.elements(
                workers,
                y.elements(),
                (from, to, worker) -> silu(as, ao + from, bs, bo + from, ys, yo + from, to - from));
    }

    void siluGrad(Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB) {
        float[] dys = data(dy), as = data(a), bs = data(b), das = data(da), dbs = data(db);
        int dyo = offset(dy), ao = offset(a), bo = offset(b), dao = offset(da), dbo = offset(db);
        // One body for each kernel: C2 would not inline the exponential of a second one, see VectorMath.
        Blocks.Body plain = (i, to, worker) -> siluGrad(dys, dyo + i, as, ao + i, das, dao + i, to - i, addA);
        Blocks.Body gated = (i, to, worker) ->
                gatedGrad(dys, dyo + i, as, ao + i, bs, bo + i, das, dao + i, dbs, dbo + i, to - i, addA, addB);
        Blocks.elements(workers, dy.elements(), b == null ? plain : gated);
    }

    private static void silu(float[] a, int ao, float[] b, int bo, float[] y, int yo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var x = FloatVector.fromArray(SPECIES, a, ao + i);
            var silu = x.div(VectorMath.exp(x.neg()).add(1));
            var gated = b == null ? silu : silu.mul(FloatVector.fromArray(SPECIES, b, bo + i));
            gated.intoArray(y, yo + i);
        }
        for (; i < n; i++) {
            float silu = a[ao + i] * sigmoid(a[ao + i]);
            y[yo + i] = b == null ? silu : silu * b[bo + i];
        }
    }

    /** da (+)= dy · silu'(a), where silu' = σ + silu · (1 − σ). */
    private static void siluGrad(float[] dy, int dyo, float[] a, int ao, float[] da, int dao, int n, boolean addA) {
        var one = FloatVector.broadcast(SPECIES, 1);
        int i = 0;
        for (; i <= n - W; i += W) {
            var x = FloatVector.fromArray(SPECIES, a, ao + i);
            var s = one.div(VectorMath.exp(x.neg()).add(1));
            var slope = x.mul(s).mul(one.sub(s)).add(s);
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i).mul(slope);
            (addA ? g.add(FloatVector.fromArray(SPECIES, da, dao + i)) : g).intoArray(da, dao + i);
        }
        for (; i < n; i++) {
            float s = sigmoid(a[ao + i]);
            float g = dy[dyo + i] * (a[ao + i] * s * (1 - s) + s);
            da[dao + i] = addA ? da[dao + i] + g : g;
        }
    }

    /** da (+)= dy · b · silu'(a), db (+)= dy · silu(a). */
    private static void gatedGrad(
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
            var x = FloatVector.fromArray(SPECIES, a, ao + i);
            var s = one.div(VectorMath.exp(x.neg()).add(1));
            var silu = x.mul(s);
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i);
            var gate = g.mul(silu);
            (addB ? gate.add(FloatVector.fromArray(SPECIES, db, dbo + i)) : gate).intoArray(db, dbo + i);
            var slope = silu.mul(one.sub(s)).add(s);
            var inner = g.mul(FloatVector.fromArray(SPECIES, b, bo + i)).mul(slope);
            (addA ? inner.add(FloatVector.fromArray(SPECIES, da, dao + i)) : inner).intoArray(da, dao + i);
        }
        for (; i < n; i++) {
            float s = sigmoid(a[ao + i]), silu = a[ao + i] * s;
            float gate = dy[dyo + i] * silu, inner = dy[dyo + i] * b[bo + i] * (silu * (1 - s) + s);
            db[dbo + i] = addB ? db[dbo + i] + gate : gate;
            da[dao + i] = addA ? da[dao + i] + inner : inner;
        }
    }

    private static float sigmoid(float x) {
        return 1 / (1 + (float) Math.exp(-x));
    }
}
