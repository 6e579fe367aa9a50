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
 * Timestep normalisation in three passes, forward and backward alike: sums over the features of every group, parallel over tokens; a
 * recurrence over time in double, parallel over groups; and the result, parallel over tokens.
 *
 * <p>Backward, write c for the count, S_t = Σ dŷ_t and V_t = Σ dŷ_t (x_t − mean_t) over the features of a group, dŷ = dy (w + 1):
 *
 * <pre>
 * dmean_t = −rstd_t S_t        dvar_t = −½ rstd_t³ V_t        (both 0 while c_t = 0; dvar_t = 0 at the floor)
 * </pre>
 *
 * From a fresh state Welford's sum is m2_t = 1 + Σ_{s≤t} valid_s g_s² − c_t mean_t², so that ∂m2_t/∂g_s = 2 (g_s − mean_t) and
 *
 * <pre>
 * dg_s = valid_s · (Σ_{t≥s} (dmean_t − 2 dvar_t mean_t) / c_t  +  g_s Σ_{t≥s} 2 dvar_t / c_t)
 * dx_t = dŷ_t rstd_t + dg_t / (D/G)
 * </pre>
 */
final class TimestepNorm implements Kernels.TimestepNorm {
    private static final double FLOOR = 1e-6;

    // Groups whose recurrence is one item: a cache line of a token's means, and more where there are few tokens.
    private static final int GROUPS = 16;
    private static final int STEPS = 1024;

    private final Blocks meansOfTokens, scans, normalisation;
    private final Blocks sumsOfTokens, scanGrads, inputGrads;
    private final ColumnSums factorSums;
    private final ColumnSums offsetSums;
    private final WorkerScratch scratch; // of a token, each (D) and W more
    private Tensor dy, x, mask, state, y, mean, rstd, dx;
    private int groups;
    private float eps;
    private boolean addX;
    private float[] factor = new float[0]; // (D): w + 1
    private float[] offsets = new float[0]; // (D): b
    private float[] sums = new float[0]; // (B, L, G): S_t, then dg_t / (D/G)
    private float[] deviations = new float[0]; // (B, L, G): V_t
    private float[] groupMeans = new float[0]; // (B, L, G): g_t

    TimestepNorm(Workers workers) {
        meansOfTokens = new Blocks(workers, this::means);
        scans = new Blocks(workers, this::scan);
        normalisation = new Blocks(workers, this::normalise);
        sumsOfTokens = new Blocks(workers, this::sums);
        scanGrads = new Blocks(workers, this::scanGrad);
        inputGrads = new Blocks(workers, this::inputGrad);
        factorSums = new ColumnSums(workers);
        offsetSums = new ColumnSums(workers);
        scratch = new WorkerScratch(workers);
    }

    @Override
    public void timestepNorm(
            Tensor x,
            Tensor mask,
            Tensor w,
            Tensor b,
            int groups,
            float eps,
            Tensor state,
            Tensor y,
            Tensor mean,
            Tensor rstd) {
        int batch = x.shape().size(0), length = x.shape().size(1), d = x.columns(), width = 1 + 2 * groups;
        factor = Scratch.affine(w, d, 1, 1, 1, factor);
        offsets = Scratch.affine(b, d, 0, 1, 0, offsets);
        this.x = x;
        this.mask = mask;
        this.groups = groups;
        this.eps = eps;
        this.state = state;
        this.y = y;
        this.mean = mean;
        this.rstd = rstd;
        meansOfTokens.rows(batch * length);
        scans.blocks(batch * groups, Math.max(GROUPS, STEPS / Math.max(1, length)));
        for (int sequence = 0; state != null && sequence < batch; sequence++) {
            int at = offset(state) + sequence * 2 * width;
            double count = load(data(state), at, width);
            store(count + valid(data(mask), offset(mask) + sequence * length, length), data(state), at, width);
        }
        normalisation.rows(batch * length);
    }

    private void means(int from, int to, int worker) {
        int d = x.columns(), size = d / groups;
        for (int row = from; row < to; row++) {
            addGroups(data(x), offset(x) + row * d, size, data(mean), offset(mean) + row * groups, groups, size);
        }
    }

    private void scan(int from, int to, int worker) {
        int length = x.shape().size(1);
        for (int i = from; i < to; i++) {
            int sequence = i / groups, group = i % groups, at = sequence * length * groups + group;
            int stateAt = offset(state) + sequence * 2 * (1 + 2 * groups), maskAt = offset(mask) + sequence * length;
            int mo = offset(mean) + at, ro = offset(rstd) + at;
            float[] masks = data(mask), states = data(state);
            scan(masks, maskAt, data(mean), mo, data(rstd), ro, length, eps, states, stateAt, group, groups);
        }
    }

    private void normalise(int from, int to, int worker) {
        int d = x.columns(), means = 0, rstds = d + W;
        float[] s = scratch.of(worker, 2 * (d + W));
        for (int row = from; row < to; row++) {
            spread(data(mean), offset(mean) + row * groups, s, means, groups, d / groups);
            spread(data(rstd), offset(rstd) + row * groups, s, rstds, groups, d / groups);
            normalise(data(x), offset(x) + row * d, s, means, rstds, factor, offsets, data(y), offset(y) + row * d, d);
        }
    }

    @Override
    public void timestepNormGrad(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor w,
            int groups,
            float eps,
            Tensor mean,
            Tensor rstd,
            Tensor dx,
            Tensor dw,
            Tensor db,
            boolean addX,
            boolean addW,
            boolean addB) {
        int rows = x.rows();
        factor = Scratch.affine(w, x.columns(), 1, 1, 1, factor);
        sums = Scratch.atLeast(rows * groups, sums);
        deviations = Scratch.atLeast(rows * groups, deviations);
        groupMeans = Scratch.atLeast(rows * groups, groupMeans);
        this.dy = dy;
        this.x = x;
        this.mask = mask;
        this.groups = groups;
        this.eps = eps;
        this.mean = mean;
        this.rstd = rstd;
        this.dx = dx;
        this.addX = addX;
        factorSums.start(dw, rows);
        offsetSums.start(db, rows);
        sumsOfTokens.rows(rows);
        factorSums.finish(addW);
        offsetSums.finish(addB);
        scanGrads.blocks(x.shape().size(0) * groups, GROUPS);
        inputGrads.rows(rows);
    }

    private void sums(int from, int to, int worker) {
        int d = x.columns(), size = d / groups, dwAt = factorSums.open(from), dbAt = offsetSums.open(from);
        int means = 0, rstds = d + W, gs = 2 * (d + W), vs = 3 * (d + W);
        float[] dys = data(dy), xs = data(x), s = scratch.of(worker, 4 * (d + W));
        for (int row = from; row < to; row++) {
            int g = row * groups, dyo = offset(dy) + row * d, xo = offset(x) + row * d;
            spread(data(mean), offset(mean) + g, s, means, groups, size);
            spread(data(rstd), offset(rstd) + g, s, rstds, groups, size);
            addGroups(xs, xo, size, groupMeans, g, groups, size);
            products(dys, dyo, factor, xs, xo, s, means, gs, vs, d);
            addGroups(s, gs, size, sums, g, groups, 1);
            addGroups(s, vs, size, deviations, g, groups, 1);
            if (factorSums.wanted()) {
                factorGrad(dys, dyo, xs, xo, s, means, rstds, factorSums.partial, dwAt, d);
            }
            if (offsetSums.wanted()) {
                Elementwise.add(1, dys, dyo, offsetSums.partial, dbAt, d, true);
            }
        }
    }

    private void scanGrad(int from, int to, int worker) {
        int length = x.shape().size(1), size = x.columns() / groups;
        for (int i = from; i < to; i++) {
            int sequence = i / groups, at = sequence * length * groups + i % groups;
            int maskAt = offset(mask) + sequence * length, mo = offset(mean) + at, ro = offset(rstd) + at;
            scanGrad(data(mask), maskAt, data(mean), mo, data(rstd), ro, at, length, eps, groups, size);
        }
    }

    private void inputGrad(int from, int to, int worker) {
        int d = x.columns(), rstds = 0, shares = d + W;
        float[] s = scratch.of(worker, 2 * (d + W));
        for (int row = from; row < to; row++) {
            int g = row * groups;
            spread(data(rstd), offset(rstd) + g, s, rstds, groups, d / groups);
            spread(sums, g, s, shares, groups, d / groups);
            inputGrad(
                    data(dy), offset(dy) + row * d, factor, s, rstds, shares, data(dx), offset(dx) + row * d, d, addX);
        }
    }

    // A number of a state is the sum of two floats.
    private static double load(float[] state, int at, int width) {
        return state[at] + (double) state[at + width];
    }

    private static void store(double x, float[] state, int at, int width) {
        state[at] = (float) x;
        state[at + width] = (float) (x - state[at]);
    }

    /** Runs over the group means of one group that lie in {@code mean}, replacing them by the running means. */
    private static void scan(
            float[] mask,
            int maskAt,
            float[] mean,
            int meanAt,
            float[] rstd,
            int rstdAt,
            int length,
            double eps,
            float[] state,
            int stateAt,
            int group,
            int groups) {
        int stateMean = stateAt + 1 + group, stateVar = stateMean + groups, width = 1 + 2 * groups;
        double count = state == null ? 0 : load(state, stateAt, width);
        double mu = state == null ? 0 : load(state, stateMean, width);
        double var = state == null ? 1 : load(state, stateVar, width);
        double sum = mu * count, m2 = var * Math.max(count, 1);
        var = count == 0 ? var : Math.max(var, FLOOR);
        double r = 1 / Math.sqrt(var + eps);
        for (int t = 0; t < length; t++, meanAt += groups, rstdAt += groups) {
            if (mask == null || mask[maskAt + t] != 0) {
                double g = mean[meanAt], before = mu;
                count++;
                sum += g;
                double share = 1 / count;
                mu = sum * share;
                m2 += (g - before) * (g - mu);
                var = Math.max(m2 * share, FLOOR);
                r = 1 / Math.sqrt(var + eps);
            }
            mean[meanAt] = (float) mu;
            rstd[rstdAt] = (float) r;
        }
        if (state != null) {
            store(mu, state, stateMean, width);
            store(var, state, stateVar, width);
        }
    }

    /** Runs backwards over the tokens of one group, replacing S_t in {@link #sums} by dg_t / (D/G). */
    private void scanGrad(
            float[] mask,
            int maskAt,
            float[] mean,
            int meanAt,
            float[] rstd,
            int rstdAt,
            int at,
            int length,
            double eps,
            int groups,
            int size) {
        float atFloor = (float) (1 / Math.sqrt(FLOOR + eps));
        int count = valid(mask, maskAt, length);
        double level = 0, slope = 0; // dg_s = level + slope · g_s
        for (int t = length - 1; t >= 0; t--) {
            int i = t * groups;
            if (count > 0) {
                double r = rstd[rstdAt + i], share = 1.0 / count;
                double dmean = -r * sums[at + i];
                double dvar = r < atFloor ? -0.5 * r * r * r * deviations[at + i] : 0;
                level += (dmean - 2 * dvar * mean[meanAt + i]) * share;
                slope += 2 * dvar * share;
            }
            boolean valid = mask == null || mask[maskAt + t] != 0;
            sums[at + i] = valid ? (float) ((level + slope * groupMeans[at + i]) / size) : 0;
            count -= valid ? 1 : 0;
        }
    }

    private static int valid(float[] mask, int maskAt, int length) {
        int valid = mask == null ? length : 0;
        for (int t = 0; mask != null && t < length; t++) {
            valid += mask[maskAt + t] != 0 ? 1 : 0;
        }
        return valid;
    }

    // --- one token: groups are short, typically 12 features, so that vectors go through all of them -----------------

    /** What each group has, for each of its features; what a group writes too much, the next one overwrites. */
    private static void spread(float[] from, int at, float[] to, int out, int groups, int size) {
        for (int group = 0; group < groups; group++, out += size) {
            var x = FloatVector.broadcast(SPECIES, from[at + group]);
            for (int i = 0; i < size; i += W) {
                x.intoArray(to, out + i);
            }
        }
    }

    /** The sum of each group's features, divided. */
    private static void addGroups(float[] x, int xo, int size, float[] sums, int so, int groups, float divisor) {
        for (int group = 0; group < groups; group++, xo += size) {
            float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            int i = 0;
            for (; i <= size - 4; i += 4) {
                s0 += x[xo + i];
                s1 += x[xo + i + 1];
                s2 += x[xo + i + 2];
                s3 += x[xo + i + 3];
            }
            float sum = (s0 + s1) + (s2 + s3);
            for (; i < size; i++) {
                sum += x[xo + i];
            }
            sums[so + group] = sum / divisor;
        }
    }

    /** y = (x − mean) · rstd · factor + offset. */
    private static void normalise(
            float[] x,
            int xo,
            float[] s,
            int mean,
            int rstd,
            float[] factor,
            float[] offset,
            float[] y,
            int yo,
            int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            FloatVector.fromArray(SPECIES, x, xo + i)
                    .sub(FloatVector.fromArray(SPECIES, s, mean + i))
                    .mul(FloatVector.fromArray(SPECIES, s, rstd + i))
                    .mul(FloatVector.fromArray(SPECIES, factor, i))
                    .add(FloatVector.fromArray(SPECIES, offset, i))
                    .intoArray(y, yo + i);
        }
        for (; i < n; i++) {
            y[yo + i] = (x[xo + i] - s[mean + i]) * s[rstd + i] * factor[i] + offset[i];
        }
    }

    /** g = dy · factor and v = g · (x − mean). */
    private static void products(
            float[] dy, int dyo, float[] factor, float[] x, int xo, float[] s, int mean, int g, int v, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var product = FloatVector.fromArray(SPECIES, dy, dyo + i).mul(FloatVector.fromArray(SPECIES, factor, i));
            product.intoArray(s, g + i);
            FloatVector.fromArray(SPECIES, x, xo + i)
                    .sub(FloatVector.fromArray(SPECIES, s, mean + i))
                    .mul(product)
                    .intoArray(s, v + i);
        }
        for (; i < n; i++) {
            s[g + i] = dy[dyo + i] * factor[i];
            s[v + i] = (x[xo + i] - s[mean + i]) * s[g + i];
        }
    }

    /** dw += dy · (x − mean) · rstd. */
    private static void factorGrad(
            float[] dy, int dyo, float[] x, int xo, float[] s, int mean, int rstd, float[] dw, int dwo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            FloatVector.fromArray(SPECIES, x, xo + i)
                    .sub(FloatVector.fromArray(SPECIES, s, mean + i))
                    .mul(FloatVector.fromArray(SPECIES, s, rstd + i))
                    .mul(FloatVector.fromArray(SPECIES, dy, dyo + i))
                    .add(FloatVector.fromArray(SPECIES, dw, dwo + i))
                    .intoArray(dw, dwo + i);
        }
        for (; i < n; i++) {
            dw[dwo + i] += (x[xo + i] - s[mean + i]) * s[rstd + i] * dy[dyo + i];
        }
    }

    /** dx (+)= dy · factor · rstd + share, where share is each feature's part of the group's dg. */
    private static void inputGrad(
            float[] dy,
            int dyo,
            float[] factor,
            float[] s,
            int rstd,
            int share,
            float[] dx,
            int dxo,
            int n,
            boolean add) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var sum = FloatVector.fromArray(SPECIES, dy, dyo + i)
                    .mul(FloatVector.fromArray(SPECIES, factor, i))
                    .mul(FloatVector.fromArray(SPECIES, s, rstd + i))
                    .add(FloatVector.fromArray(SPECIES, s, share + i));
            (add ? sum.add(FloatVector.fromArray(SPECIES, dx, dxo + i)) : sum).intoArray(dx, dxo + i);
        }
        for (; i < n; i++) {
            float sum = dy[dyo + i] * factor[i] * s[rstd + i] + s[share + i];
            dx[dxo + i] = add ? dx[dxo + i] + sum : sum;
        }
    }
}
