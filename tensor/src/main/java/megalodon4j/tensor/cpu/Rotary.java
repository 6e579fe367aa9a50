package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * Rotary positions, and Megalodon's queries and keys, which are rotated as they are made. A pair (a, b) turns by its angle:
 * (a cos − b sin, b cos + a sin).
 */
final class Rotary implements Kernels.Rotary {
    // Adjacent pairs: W cosines serve 2W features, the lower half of them the first W; the neighbour is lane xor 1.
    private static final VectorShuffle<Float> LOWER = VectorShuffle.fromOp(SPECIES, lane -> lane / 2);
    private static final VectorShuffle<Float> UPPER = VectorShuffle.fromOp(SPECIES, lane -> (lane + W) / 2);
    private static final VectorShuffle<Float> NEIGHBOUR = VectorShuffle.fromOp(SPECIES, lane -> lane ^ 1);
    private static final float[] SIGNS = signs();

    private final Blocks rotation;
    private final Blocks forward;
    private final Blocks backward;
    private final ColumnSums gammaSums;
    private final ColumnSums betaSums;
    private Tensor x, z, beta, cos, sin, q, k, rstd, dq, dk, dz;
    private int heads;
    private boolean adjacent;
    private boolean inverse;
    private boolean addZ;
    private float eps;
    private float[] factor = new float[0]; // (2, Z): (gamma + 1) / √d

    Rotary(Workers workers) {
        rotation = new Blocks(workers, this::rotate);
        forward = new Blocks(workers, this::forward);
        backward = new Blocks(workers, this::backward);
        gammaSums = new ColumnSums(workers);
        betaSums = new ColumnSums(workers);
    }

    @Override
    public void rope(Tensor x, Tensor cos, Tensor sin, int heads, boolean adjacent, boolean inverse) {
        this.x = x;
        this.cos = cos;
        this.sin = sin;
        this.heads = heads;
        this.adjacent = adjacent;
        this.inverse = inverse;
        rotation.rows(x.rows());
    }

    private void rotate(int from, int to, int worker) {
        int length = x.shape().size(1), d = x.columns() / heads;
        float sign = inverse ? -1 : 1;
        for (int row = from; row < to; row++) {
            int angles = row % length * (d / 2), co = offset(cos) + angles, so = offset(sin) + angles;
            for (int head = 0; head < heads; head++) {
                int at = offset(x) + (row * heads + head) * d;
                if (adjacent) {
                    rotateAdjacent(data(x), at, data(cos), co, data(sin), so, sign, d);
                } else {
                    rotateHalves(data(x), at, data(cos), co, data(sin), so, sign, d / 2);
                }
            }
        }
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
        factor = Scratch.affine(gamma, 2 * z.columns(), 1, rootOf(z.columns() / heads), 0, factor);
        this.z = z;
        this.beta = beta;
        this.cos = cos;
        this.sin = sin;
        this.heads = heads;
        this.eps = eps;
        this.q = q;
        this.k = k;
        this.rstd = rstd;
        forward.rows(z.rows());
    }

    private void forward(int from, int to, int worker) {
        int length = z.shape().size(1), width = z.columns(), d = width / heads, half = d / 2;
        float[] zs = data(z), bs = data(beta), cs = data(cos), ss = data(sin);
        for (int row = from; row < to; row++) {
            int co = offset(cos) + row % length * half, so = offset(sin) + row % length * half;
            for (int head = 0; head < heads; head++) {
                int in = head * d, at = row * width + in, zo = offset(z) + at, bo = offset(beta) + in;
                float r = (float) (1 / Math.sqrt(Reductions.squares(zs, zo, 0, d) / d + eps));
                data(rstd)[offset(rstd) + row * heads + head] = r;
                turn(zs, zo, r, factor, in, bs, bo, cs, co, ss, so, data(q), offset(q) + at, half);
                in += width;
                bo += width;
                turn(zs, zo, r, factor, in, bs, bo, cs, co, ss, so, data(k), offset(k) + at, half);
            }
        }
    }

    /**
     * Turned back, dq and dk are the gradients of u · factor + beta for u = z · r. With g = dq · factor[0] + dk · factor[1]:
     * dz = r · (g − u mean(g u)).
     */
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
        factor = Scratch.affine(gamma, 2 * z.columns(), 1, rootOf(z.columns() / heads), 0, factor);
        rope(dq, cos, sin, heads, false, true);
        rope(dk, cos, sin, heads, false, true);
        this.dq = dq;
        this.dk = dk;
        this.z = z;
        this.rstd = rstd;
        this.dz = dz;
        this.addZ = addZ;
        gammaSums.start(dgamma, z.rows());
        betaSums.start(dbeta, z.rows());
        backward.rows(z.rows());
        gammaSums.finish(addGamma);
        betaSums.finish(addBeta);
    }

    private void backward(int from, int to, int worker) {
        int width = z.columns(), d = width / heads, gammaAt = gammaSums.open(from), betaAt = betaSums.open(from);
        float scale = rootOf(d);
        float[] dqs = data(dq), dks = data(dk), zs = data(z), dzs = data(dz);
        for (int row = from; row < to; row++) {
            for (int head = 0; head < heads; head++) {
                int in = head * d, at = row * width + in, dzo = offset(dz) + at;
                int zo = offset(z) + at, dqo = offset(dq) + at, dko = offset(dk) + at;
                float r = data(rstd)[offset(rstd) + row * heads + head];
                float slope = r * r * r * dot(dqs, dqo, dks, dko, factor, in, width, zs, zo, d) / d;
                inputGrad(dqs, dqo, dks, dko, factor, in, width, zs, zo, r, slope, dzs, dzo, d, addZ);
                addProducts(dqs, dqo, zs, zo, r * scale, gammaSums.partial, gammaAt + in, d);
                addProducts(dks, dko, zs, zo, r * scale, gammaSums.partial, gammaAt + width + in, d);
            }
            Elementwise.add(1, dqs, offset(dq) + row * width, betaSums.partial, betaAt, width, true);
            Elementwise.add(1, dks, offset(dk) + row * width, betaSums.partial, betaAt + width, width, true);
        }
    }

    private static float rootOf(int d) {
        return (float) (1 / Math.sqrt(d));
    }

    private static float[] signs() {
        var signs = new float[W];
        for (int lane = 0; lane < W; lane++) {
            signs[lane] = lane % 2 == 0 ? -1 : 1;
        }
        return signs;
    }

    /** Turns the pairs (i, i + half), i &lt; half, by ±1 times their angles. */
    private static void rotateHalves(
            float[] x, int xo, float[] cos, int co, float[] sin, int so, float sign, int half) {
        int i = 0;
        for (; i <= half - W; i += W) {
            var a = FloatVector.fromArray(SPECIES, x, xo + i);
            var b = FloatVector.fromArray(SPECIES, x, xo + half + i);
            var c = FloatVector.fromArray(SPECIES, cos, co + i);
            var s = FloatVector.fromArray(SPECIES, sin, so + i).mul(sign);
            a.mul(c).sub(b.mul(s)).intoArray(x, xo + i);
            b.mul(c).add(a.mul(s)).intoArray(x, xo + half + i);
        }
        for (; i < half; i++) {
            float a = x[xo + i], b = x[xo + half + i], c = cos[co + i], s = sin[so + i] * sign;
            x[xo + i] = a * c - b * s;
            x[xo + half + i] = b * c + a * s;
        }
    }

    /** Turns the pairs (2i, 2i + 1), 2i &lt; d, by ±1 times their angles. */
    private static void rotateAdjacent(float[] x, int xo, float[] cos, int co, float[] sin, int so, float sign, int d) {
        var signs = FloatVector.fromArray(SPECIES, SIGNS, 0).mul(sign);
        int i = 0;
        for (; i <= d - 2 * W; i += 2 * W) {
            var c = FloatVector.fromArray(SPECIES, cos, co + i / 2);
            var s = FloatVector.fromArray(SPECIES, sin, so + i / 2);
            var a = FloatVector.fromArray(SPECIES, x, xo + i);
            var b = FloatVector.fromArray(SPECIES, x, xo + i + W);
            var as = a.rearrange(NEIGHBOUR).mul(signs).mul(s.rearrange(LOWER));
            var bs = b.rearrange(NEIGHBOUR).mul(signs).mul(s.rearrange(UPPER));
            a.mul(c.rearrange(LOWER)).add(as).intoArray(x, xo + i);
            b.mul(c.rearrange(UPPER)).add(bs).intoArray(x, xo + i + W);
        }
        for (; i < d; i += 2) {
            float a = x[xo + i], b = x[xo + i + 1], c = cos[co + i / 2], s = sin[so + i / 2] * sign;
            x[xo + i] = a * c - b * s;
            x[xo + i + 1] = b * c + a * s;
        }
    }

    /** out = z · r · factor + beta, its pairs (i, i + half) turned. */
    private static void turn(
            float[] z,
            int zo,
            float r,
            float[] factor,
            int fo,
            float[] beta,
            int bo,
            float[] cos,
            int co,
            float[] sin,
            int so,
            float[] out,
            int oo,
            int half) {
        int i = 0;
        for (; i <= half - W; i += W) {
            var a = FloatVector.fromArray(SPECIES, z, zo + i).mul(r);
            var b = FloatVector.fromArray(SPECIES, z, zo + half + i).mul(r);
            var c = FloatVector.fromArray(SPECIES, cos, co + i);
            var s = FloatVector.fromArray(SPECIES, sin, so + i);
            a = a.mul(FloatVector.fromArray(SPECIES, factor, fo + i)).add(FloatVector.fromArray(SPECIES, beta, bo + i));
            b = b.mul(FloatVector.fromArray(SPECIES, factor, fo + half + i))
                    .add(FloatVector.fromArray(SPECIES, beta, bo + half + i));
            a.mul(c).sub(b.mul(s)).intoArray(out, oo + i);
            b.mul(c).add(a.mul(s)).intoArray(out, oo + half + i);
        }
        for (; i < half; i++) {
            float a = z[zo + i] * r * factor[fo + i] + beta[bo + i];
            float b = z[zo + half + i] * r * factor[fo + half + i] + beta[bo + half + i];
            out[oo + i] = a * cos[co + i] - b * sin[so + i];
            out[oo + half + i] = b * cos[co + i] + a * sin[so + i];
        }
    }

    /** Σ (dq · factor[0] + dk · factor[1]) · z. */
    private static float dot(
            float[] dq, int dqo, float[] dk, int dko, float[] factor, int fo, int width, float[] z, int zo, int n) {
        var sum = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i <= n - W; i += W) {
            var g = FloatVector.fromArray(SPECIES, dq, dqo + i).mul(FloatVector.fromArray(SPECIES, factor, fo + i));
            var gk = FloatVector.fromArray(SPECIES, dk, dko + i);
            g = g.add(gk.mul(FloatVector.fromArray(SPECIES, factor, fo + width + i)));
            sum = g.mul(FloatVector.fromArray(SPECIES, z, zo + i)).add(sum);
        }
        if (W > 8) {
            sum = sum.add(sum.rearrange(VectorMath.OTHER_HALF));
        }
        if (W > 4) {
            sum = sum.add(sum.rearrange(VectorMath.OTHER_QUARTER));
        }
        float total = (sum.lane(0) + sum.lane(1)) + (sum.lane(2) + sum.lane(3));
        for (; i < n; i++) {
            total += (dq[dqo + i] * factor[fo + i] + dk[dko + i] * factor[fo + width + i]) * z[zo + i];
        }
        return total;
    }

    /** dz (+)= (dq · factor[0] + dk · factor[1]) · r − z · slope. */
    private static void inputGrad(
            float[] dq,
            int dqo,
            float[] dk,
            int dko,
            float[] factor,
            int fo,
            int width,
            float[] z,
            int zo,
            float r,
            float slope,
            float[] dz,
            int dzo,
            int n,
            boolean add) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var g = FloatVector.fromArray(SPECIES, dq, dqo + i).mul(FloatVector.fromArray(SPECIES, factor, fo + i));
            var gk = FloatVector.fromArray(SPECIES, dk, dko + i);
            g = g.add(gk.mul(FloatVector.fromArray(SPECIES, factor, fo + width + i)))
                    .mul(r);
            g = g.sub(FloatVector.fromArray(SPECIES, z, zo + i).mul(slope));
            (add ? g.add(FloatVector.fromArray(SPECIES, dz, dzo + i)) : g).intoArray(dz, dzo + i);
        }
        for (; i < n; i++) {
            float g = dq[dqo + i] * factor[fo + i] + dk[dko + i] * factor[fo + width + i];
            g = g * r - z[zo + i] * slope;
            dz[dzo + i] = add ? dz[dzo + i] + g : g;
        }
    }

    /** sums += x · z · scale. */
    private static void addProducts(float[] x, int xo, float[] z, int zo, float scale, float[] sums, int at, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var product = FloatVector.fromArray(SPECIES, x, xo + i).mul(FloatVector.fromArray(SPECIES, z, zo + i));
            product.mul(scale).add(FloatVector.fromArray(SPECIES, sums, at + i)).intoArray(sums, at + i);
        }
        for (; i < n; i++) {
            sums[at + i] += x[xo + i] * z[zo + i] * scale;
        }
    }
}
