package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * SiLU and its gated form: y = silu(a) · b, silu(a) = a · σ(a), σ(a) = 1 / (1 + e⁻ᵃ). Without b the gate is 1.
 *
 * <p>The exponentials of a short run are computed first, then used while they are in the first-level cache.
 */
final class Activations {
    private static final int RUN = 1024;

    private final Workers workers;
    private final float[][] scratch; // (workers, RUN): e⁻ᵃ

    Activations(Workers workers) {
        this.workers = workers;
        scratch = new float[workers.count()][RUN];
    }

    void silu(Tensor a, Tensor b, Tensor y) {
        float[] as = data(a), bs = data(b), ys = data(y);
        int ao = offset(a), bo = offset(b), yo = offset(y);
        Blocks.elements(workers, y.elements(), (from, to, worker) -> {
            float[] e = scratch[worker];
            for (int i = from; i < to; i += RUN) {
                int n = Math.min(RUN, to - i);
                VectorMath.exp(-1, as, ao + i, 0, e, 0, n);
                silu(e, as, ao + i, bs, bo + i, ys, yo + i, n);
            }
        });
    }

    void siluGrad(Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB) {
        float[] dys = data(dy), as = data(a), bs = data(b), das = data(da), dbs = data(db);
        int dyo = offset(dy), ao = offset(a), bo = offset(b), dao = offset(da), dbo = offset(db);
        Blocks.elements(workers, dy.elements(), (from, to, worker) -> {
            float[] e = scratch[worker];
            for (int i = from; i < to; i += RUN) {
                int n = Math.min(RUN, to - i);
                VectorMath.exp(-1, as, ao + i, 0, e, 0, n);
                if (bs != null) {
                    gateGrad(e, dys, dyo + i, as, ao + i, dbs, dbo + i, n, addB);
                }
                siluGrad(e, dys, dyo + i, as, ao + i, bs, bo + i, das, dao + i, n, addA);
            }
        });
    }

    /** y = silu(a) · b. */
    private static void silu(float[] e, float[] a, int ao, float[] b, int bo, float[] y, int yo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var silu = FloatVector.fromArray(SPECIES, a, ao + i)
                    .div(FloatVector.fromArray(SPECIES, e, i).add(1));
            var gated = b == null ? silu : silu.mul(FloatVector.fromArray(SPECIES, b, bo + i));
            gated.intoArray(y, yo + i);
        }
        for (; i < n; i++) {
            float silu = a[ao + i] / (e[i] + 1);
            y[yo + i] = b == null ? silu : silu * b[bo + i];
        }
    }

    /** db (+)= dy · silu(a). */
    private static void gateGrad(
            float[] e, float[] dy, int dyo, float[] a, int ao, float[] db, int dbo, int n, boolean add) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var silu = FloatVector.fromArray(SPECIES, a, ao + i)
                    .div(FloatVector.fromArray(SPECIES, e, i).add(1));
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i).mul(silu);
            (add ? g.add(FloatVector.fromArray(SPECIES, db, dbo + i)) : g).intoArray(db, dbo + i);
        }
        for (; i < n; i++) {
            float g = dy[dyo + i] * (a[ao + i] / (e[i] + 1));
            db[dbo + i] = add ? db[dbo + i] + g : g;
        }
    }

    /** da (+)= dy · b · silu'(a), where silu' = σ + σ a (1 − σ). */
    private static void siluGrad(
            float[] e,
            float[] dy,
            int dyo,
            float[] a,
            int ao,
            float[] b,
            int bo,
            float[] da,
            int dao,
            int n,
            boolean add) {
        var one = FloatVector.broadcast(SPECIES, 1);
        int i = 0;
        for (; i <= n - W; i += W) {
            var s = one.div(FloatVector.fromArray(SPECIES, e, i).add(1));
            var slope = s.add(s.mul(FloatVector.fromArray(SPECIES, a, ao + i)).mul(one.sub(s)));
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i).mul(slope);
            var gated = b == null ? g : g.mul(FloatVector.fromArray(SPECIES, b, bo + i));
            (add ? gated.add(FloatVector.fromArray(SPECIES, da, dao + i)) : gated).intoArray(da, dao + i);
        }
        for (; i < n; i++) {
            float s = 1 / (e[i] + 1);
            float g = dy[dyo + i] * (s + s * a[ao + i] * (1 - s)) * (b == null ? 1 : b[bo + i]);
            da[dao + i] = add ? da[dao + i] + g : g;
        }
    }
}
