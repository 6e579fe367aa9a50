package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * RMS norm and layer norm, which are one: y = (x − μ) · r · factor + offset with r = 1 / sqrt(mean((x − μ)²) + ε), where the RMS norm
 * has μ = 0 and no offset. Forward, a row is read once from memory and then again from the first-level cache.
 */
final class Norms implements Kernels.Norms {
    private final Blocks forward;
    private final Blocks backward;
    private final ColumnSums factorSums;
    private final ColumnSums offsetSums;
    private Tensor dy, x, y, mean, rstd, dx;
    private float eps;
    private boolean addX;
    private float[] factor = new float[0]; // (D)
    private float[] offsets = new float[0]; // (D)

    Norms(Workers workers) {
        forward = new Blocks(workers, this::forward);
        backward = new Blocks(workers, this::backward);
        factorSums = new ColumnSums(workers);
        offsetSums = new ColumnSums(workers);
    }

    @Override
    public void rmsNorm(Tensor x, Tensor gamma, float shift, float eps, Tensor y, Tensor rstd) {
        factor = Scratch.affine(gamma, x.columns(), shift, 1, 1, factor);
        offsets = Scratch.affine(null, x.columns(), 0, 1, 0, offsets);
        forward(x, eps, y, null, rstd);
    }

    @Override
    public void rmsNormGrad(
            Tensor dy,
            Tensor x,
            Tensor gamma,
            float shift,
            Tensor rstd,
            Tensor dx,
            Tensor dgamma,
            boolean addX,
            boolean addGamma) {
        factor = Scratch.affine(gamma, x.columns(), shift, 1, 1, factor);
        backward(dy, x, null, rstd, dx, dgamma, null, addX, addGamma, false);
    }

    @Override
    public void layerNorm(Tensor x, Tensor w, Tensor b, float eps, Tensor y, Tensor mean, Tensor rstd) {
        factor = Scratch.affine(w, x.columns(), 0, 1, 1, factor);
        offsets = Scratch.affine(b, x.columns(), 0, 1, 0, offsets);
        forward(x, eps, y, mean, rstd);
    }

    @Override
    public void layerNormGrad(
            Tensor dy,
            Tensor x,
            Tensor w,
            Tensor mean,
            Tensor rstd,
            Tensor dx,
            Tensor dw,
            Tensor db,
            boolean addX,
            boolean addW,
            boolean addB) {
        factor = Scratch.affine(w, x.columns(), 0, 1, 1, factor);
        backward(dy, x, mean, rstd, dx, dw, db, addX, addW, addB);
    }

    /** Without a mean, μ = 0. */
    private void forward(Tensor x, float eps, Tensor y, Tensor mean, Tensor rstd) {
        this.x = x;
        this.eps = eps;
        this.y = y;
        this.mean = mean;
        this.rstd = rstd;
        forward.rows(x.rows());
    }

    private void forward(int from, int to, int worker) {
        int d = x.columns();
        for (int row = from; row < to; row++) {
            int at = offset(x) + row * d;
            float mu = 0;
            if (mean != null) {
                mu = data(mean)[offset(mean) + row] = Reductions.sum(data(x), at, d) / d;
            }
            float r = (float) (1 / Math.sqrt(Reductions.squares(data(x), at, mu, d) / d + eps));
            data(rstd)[offset(rstd) + row] = r;
            normalise(data(x), at, mu, r, factor, offsets, data(y), offset(y) + row * d, d);
        }
    }

    /**
     * With g = dy · factor: dx = r · (g − mean(g) − (x − μ) r² mean(g (x − μ))), the first mean only where μ is one;
     * dw = Σ dy (x − μ) r and db = Σ dy over the rows.
     */
    private void backward(
            Tensor dy,
            Tensor x,
            Tensor mean,
            Tensor rstd,
            Tensor dx,
            Tensor dw,
            Tensor db,
            boolean addX,
            boolean addW,
            boolean addB) {
        this.dy = dy;
        this.x = x;
        this.mean = mean;
        this.rstd = rstd;
        this.dx = dx;
        this.addX = addX;
        factorSums.start(dw, x.rows());
        offsetSums.start(db, x.rows());
        backward.rows(x.rows());
        factorSums.finish(addW);
        offsetSums.finish(addB);
    }

    private void backward(int from, int to, int worker) {
        int d = x.columns(), dwAt = factorSums.open(from), dbAt = offsetSums.open(from);
        float[] dys = data(dy), xs = data(x);
        for (int row = from; row < to; row++) {
            int at = offset(x) + row * d, dyAt = offset(dy) + row * d;
            float r = data(rstd)[offset(rstd) + row], mu = mean == null ? 0 : data(mean)[offset(mean) + row];
            float level = mean == null ? 0 : r * Reductions.dot(dys, dyAt, factor, 0, d) / d;
            float slope = r * r * r * deviation(dys, dyAt, factor, xs, at, mu, d) / d;
            inputGrad(dys, dyAt, factor, xs, at, mu, r, level, slope, data(dx), offset(dx) + row * d, d, addX);
            if (factorSums.wanted()) {
                factorGrad(dys, dyAt, xs, at, mu, r, factorSums.partial, dwAt, d);
            }
            if (offsetSums.wanted()) {
                Elementwise.add(1, dys, dyAt, offsetSums.partial, dbAt, d, true);
            }
        }
    }

    /** y = (x − μ) · r · factor + offset. */
    private static void normalise(
            float[] x, int xo, float mu, float r, float[] factor, float[] offset, float[] y, int yo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var normal = FloatVector.fromArray(SPECIES, x, xo + i).sub(mu).mul(r);
            normal.mul(FloatVector.fromArray(SPECIES, factor, i))
                    .add(FloatVector.fromArray(SPECIES, offset, i))
                    .intoArray(y, yo + i);
        }
        for (; i < n; i++) {
            y[yo + i] = (x[xo + i] - mu) * r * factor[i] + offset[i];
        }
    }

    /** Σ dy · factor · (x − μ). */
    private static float deviation(float[] dy, int dyo, float[] factor, float[] x, int xo, float mu, int n) {
        var s0 = FloatVector.zero(SPECIES);
        var s1 = s0;
        int i = 0;
        for (; i <= n - 2 * W; i += 2 * W) {
            var g0 = FloatVector.fromArray(SPECIES, dy, dyo + i).mul(FloatVector.fromArray(SPECIES, factor, i));
            var g1 = FloatVector.fromArray(SPECIES, dy, dyo + i + W).mul(FloatVector.fromArray(SPECIES, factor, i + W));
            s0 = g0.mul(FloatVector.fromArray(SPECIES, x, xo + i).sub(mu)).add(s0);
            s1 = g1.mul(FloatVector.fromArray(SPECIES, x, xo + i + W).sub(mu)).add(s1);
        }
        s0 = s0.add(s1);
        if (W > 8) {
            s0 = s0.add(s0.rearrange(VectorMath.OTHER_HALF));
        }
        if (W > 4) {
            s0 = s0.add(s0.rearrange(VectorMath.OTHER_QUARTER));
        }
        float sum = (s0.lane(0) + s0.lane(1)) + (s0.lane(2) + s0.lane(3));
        for (; i < n; i++) {
            sum += dy[dyo + i] * factor[i] * (x[xo + i] - mu);
        }
        return sum;
    }

    /** dx (+)= dy · factor · r − level − (x − μ) · slope. */
    private static void inputGrad(
            float[] dy,
            int dyo,
            float[] factor,
            float[] x,
            int xo,
            float mu,
            float r,
            float level,
            float slope,
            float[] dx,
            int dxo,
            int n,
            boolean add) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var g = FloatVector.fromArray(SPECIES, dy, dyo + i).mul(FloatVector.fromArray(SPECIES, factor, i));
            var deviation = FloatVector.fromArray(SPECIES, x, xo + i).sub(mu);
            var sum = g.mul(r).sub(level).sub(deviation.mul(slope));
            (add ? sum.add(FloatVector.fromArray(SPECIES, dx, dxo + i)) : sum).intoArray(dx, dxo + i);
        }
        for (; i < n; i++) {
            float sum = dy[dyo + i] * factor[i] * r - level - (x[xo + i] - mu) * slope;
            dx[dxo + i] = add ? dx[dxo + i] + sum : sum;
        }
    }

    /** dw += dy · (x − μ) · r. */
    private static void factorGrad(
            float[] dy, int dyo, float[] x, int xo, float mu, float r, float[] dw, int dwo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var normal = FloatVector.fromArray(SPECIES, x, xo + i).sub(mu).mul(r);
            normal.mul(FloatVector.fromArray(SPECIES, dy, dyo + i))
                    .add(FloatVector.fromArray(SPECIES, dw, dwo + i))
                    .intoArray(dw, dwo + i);
        }
        for (; i < n; i++) {
            dw[dwo + i] += dy[dyo + i] * (x[xo + i] - mu) * r;
        }
    }
}
