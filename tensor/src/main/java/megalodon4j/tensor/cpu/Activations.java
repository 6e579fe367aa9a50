package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;
import static megalodon4j.tensor.cpu.VectorMath.HIGHEST;
import static megalodon4j.tensor.cpu.VectorMath.LN2_HIGH;
import static megalodon4j.tensor.cpu.VectorMath.LN2_LOW;
import static megalodon4j.tensor.cpu.VectorMath.LOG2_E;
import static megalodon4j.tensor.cpu.VectorMath.LOWEST;
import static megalodon4j.tensor.cpu.VectorMath.NEGLIGIBLE;
import static megalodon4j.tensor.cpu.VectorMath.P2;
import static megalodon4j.tensor.cpu.VectorMath.P3;
import static megalodon4j.tensor.cpu.VectorMath.P4;
import static megalodon4j.tensor.cpu.VectorMath.P5;
import static megalodon4j.tensor.cpu.VectorMath.P6;
import static megalodon4j.tensor.cpu.VectorMath.ROUND;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * SiLU and its gated form: y = silu(a) · b, silu(a) = a · σ(a), σ(a) = 1 / (1 + e⁻ᵃ). Without b the gate is 1. What is
 * {@link VectorMath#NEGLIGIBLE} is left out. The exponentials are VectorMath's, written out as explained there: gradients
 * that took them from an array would take a quarter longer.
 */
final class Activations implements Kernels.Activations {
    private final Blocks forward;
    private final Blocks backward;
    private Tensor dy, a, b, y, da, db;
    private boolean addA, addB;

    Activations(Workers workers) {
        forward = new Blocks(workers, this::forward);
        backward = new Blocks(workers, this::backward);
    }

    @Override
    public void silu(Tensor a, Tensor b, Tensor y) {
        this.a = a;
        this.b = b;
        this.y = y;
        forward.elements(y.elements());
    }

    @Override
    public void siluGrad(Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB, Tensor y) {
        this.dy = dy;
        this.a = a;
        this.b = b;
        this.da = da;
        this.db = db;
        this.addA = addA;
        this.addB = addB;
        this.y = y;
        backward.elements(dy.elements());
    }

    private void forward(int from, int to, int worker) {
        silu(data(a), offset(a) + from, data(b), offset(b) + from, data(y), offset(y) + from, to - from);
    }

    private void backward(int from, int to, int worker) {
        int dyo = offset(dy) + from, ao = offset(a) + from, bo = offset(b) + from;
        int dao = offset(da) + from, dbo = offset(db) + from;
        int yo = offset(y) + from;
        siluGrad(
                data(dy), dyo, data(a), ao, data(b), bo, data(da), dao, data(db), dbo, data(y), yo, to - from, addA,
                addB);
    }

    private static void silu(float[] a, int ao, float[] b, int bo, float[] y, int yo, int n) {
        var one = FloatVector.broadcast(SPECIES, 1);
        int i = 0;
        for (; i <= n - W; i += W) {
            var x = FloatVector.fromArray(SPECIES, a, ao + i);
            var v = x.neg();
            v = v.blend(LOWEST, v.compare(VectorOperators.LT, LOWEST));
            v = v.blend(HIGHEST, v.compare(VectorOperators.GT, HIGHEST));
            var shifted = v.mul(LOG2_E).add(ROUND);
            var whole = shifted.sub(ROUND);
            var r = v.sub(whole.mul(LN2_HIGH)).sub(whole.mul(LN2_LOW));
            var p = r.mul(P6).add(P5).mul(r).add(P4).mul(r).add(P3).mul(r).add(P2);
            p = p.mul(r).add(1).mul(r).add(1);
            var power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
            var e = p.mul(power.reinterpretAsFloats());
            var s = one.div(e.add(1));
            var silu = x.mul(s);
            var gated = b == null ? silu : silu.mul(FloatVector.fromArray(SPECIES, b, bo + i));
            gated.blend(0, gated.abs().compare(VectorOperators.LT, NEGLIGIBLE)).intoArray(y, yo + i);
        }
        for (; i < n; i++) {
            float silu = a[ao + i] * sigmoid(a[ao + i]);
            y[yo + i] = VectorMath.flush(b == null ? silu : silu * b[bo + i]);
        }
    }

    /** da (+)= dy · b · silu'(a), db (+)= dy · silu(a), y = silu(a) · b, where silu' = σ + silu · (1 − σ). y may be dy. */
    private static void siluGrad(
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
            float[] y,
            int yo,
            int n,
            boolean addA,
            boolean addB) {
        var one = FloatVector.broadcast(SPECIES, 1);
        int i = 0;
        for (; i <= n - W; i += W) {
            var x = FloatVector.fromArray(SPECIES, a, ao + i);
            var v = x.neg();
            v = v.blend(LOWEST, v.compare(VectorOperators.LT, LOWEST));
            v = v.blend(HIGHEST, v.compare(VectorOperators.GT, HIGHEST));
            var shifted = v.mul(LOG2_E).add(ROUND);
            var whole = shifted.sub(ROUND);
            var r = v.sub(whole.mul(LN2_HIGH)).sub(whole.mul(LN2_LOW));
            var p = r.mul(P6).add(P5).mul(r).add(P4).mul(r).add(P3).mul(r).add(P2);
            p = p.mul(r).add(1).mul(r).add(1);
            var power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
            var e = p.mul(power.reinterpretAsFloats());
            var s = one.div(e.add(1));
            var silu = x.mul(s);
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i);
            var gated = silu;
            if (b != null) {
                var gate = g.mul(silu);
                gate = gate.blend(0, gate.abs().compare(VectorOperators.LT, NEGLIGIBLE));
                (addB ? gate.add(FloatVector.fromArray(SPECIES, db, dbo + i)) : gate).intoArray(db, dbo + i);
                var factor = FloatVector.fromArray(SPECIES, b, bo + i);
                g = g.mul(factor);
                gated = silu.mul(factor);
            }
            if (y != null) {
                gated.blend(0, gated.abs().compare(VectorOperators.LT, NEGLIGIBLE))
                        .intoArray(y, yo + i);
            }
            var inner = silu.mul(one.sub(s)).add(s).mul(g);
            inner = inner.blend(0, inner.abs().compare(VectorOperators.LT, NEGLIGIBLE));
            (addA ? inner.add(FloatVector.fromArray(SPECIES, da, dao + i)) : inner).intoArray(da, dao + i);
        }
        for (; i < n; i++) {
            float s = sigmoid(a[ao + i]), silu = a[ao + i] * s, g = dy[dyo + i];
            float gated = silu;
            if (b != null) {
                float gate = VectorMath.flush(g * silu);
                db[dbo + i] = addB ? db[dbo + i] + gate : gate;
                g *= b[bo + i];
                gated *= b[bo + i];
            }
            if (y != null) {
                y[yo + i] = VectorMath.flush(gated);
            }
            float inner = VectorMath.flush((silu * (1 - s) + s) * g);
            da[dao + i] = addA ? da[dao + i] + inner : inner;
        }
    }

    private static float sigmoid(float x) {
        return 1 / (1 + (float) Math.exp(-x));
    }
}
