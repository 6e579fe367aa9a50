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
        Blocks.elements(workers, y.elements(), (i, end) -> silu(as, ao + i, bs, bo + i, ys, yo + i, end - i));
    }

    void siluGrad(Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB) {
        float[] dys = data(dy), as = data(a), bs = data(b), das = data(da), dbs = data(db);
        int dyo = offset(dy), ao = offset(a), bo = offset(b), dao = offset(da), dbo = offset(db);
        Blocks.elements(workers, dy.elements(), (i, end) -> {
            int n = end - i;
            if (bs == null) {
                siluGrad(dys, dyo + i, as, ao + i, das, dao + i, n, addA);
            } else {
                gatedGrad(dys, dyo + i, as, ao + i, bs, bo + i, das, dao + i, dbs, dbo + i, n, addA, addB);
            }
        });
    }

    private static void silu(float[] a, int ao, float[] b, int bo, float[] y, int yo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var x = FloatVector.fromArray(SPECIES, a, ao + i);
            var gated = b == null ? x : x.mul(FloatVector.fromArray(SPECIES, b, bo + i));
            gated.mul(sigmoid(x)).intoArray(y, yo + i);
        }
        for (; i < n; i++) {
            float x = a[ao + i];
            y[yo + i] = (b == null ? x : x * b[bo + i]) * sigmoid(x);
        }
    }

    /** da (+)= dy · silu'(a), where silu' = σ + silu · (1 − σ). */
    private static void siluGrad(float[] dy, int dyo, float[] a, int ao, float[] da, int dao, int n, boolean addA) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var x = FloatVector.fromArray(SPECIES, a, ao + i);
            var s = sigmoid(x);
            var silu = x.mul(s);
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i).mul(slope(s, silu));
            (addA ? g.add(FloatVector.fromArray(SPECIES, da, dao + i)) : g).intoArray(da, dao + i);
        }
        for (; i < n; i++) {
            float s = sigmoid(a[ao + i]);
            float g = dy[dyo + i] * slope(s, a[ao + i] * s);
            da[dao + i] = addA ? da[dao + i] + g : g;
        }
    }

    /** da (+)= dy · b · silu'(a), db (+)= dy · silu(a). */
    private static void gatedGrad(
            float[] dy, int dyo, float[] a, int ao, float[] b, int bo,
            float[] da, int dao, float[] db, int dbo, int n, boolean addA, boolean addB) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var x = FloatVector.fromArray(SPECIES, a, ao + i);
            var s = sigmoid(x);
            var silu = x.mul(s);
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i);
            var gate = g.mul(silu);
            (addB ? gate.add(FloatVector.fromArray(SPECIES, db, dbo + i)) : gate).intoArray(db, dbo + i);
            g = g.mul(FloatVector.fromArray(SPECIES, b, bo + i)).mul(slope(s, silu));
            (addA ? g.add(FloatVector.fromArray(SPECIES, da, dao + i)) : g).intoArray(da, dao + i);
        }
        for (; i < n; i++) {
            float s = sigmoid(a[ao + i]), silu = a[ao + i] * s;
            float gate = dy[dyo + i] * silu, g = dy[dyo + i] * b[bo + i] * slope(s, silu);
            db[dbo + i] = addB ? db[dbo + i] + gate : gate;
            da[dao + i] = addA ? da[dao + i] + g : g;
        }
    }

    private static FloatVector sigmoid(FloatVector x) {
        return FloatVector.broadcast(SPECIES, 1).div(VectorMath.exp(x.neg()).add(1));
    }

    private static float sigmoid(float x) {
        return 1 / (1 + (float) Math.exp(-x));
    }

    private static FloatVector slope(FloatVector s, FloatVector silu) {
        return silu.mul(FloatVector.broadcast(SPECIES, 1).sub(s)).add(s);
    }

    private static float slope(float s, float silu) {
        return s + silu * (1 - s);
    }
}
