package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Workers;

/**
 * Attention of a few queries to many keys, as in generation, where reading keys and values is all the work: nothing is packed, rows of K
 * and V are read once, in the order in which they lie, for all heads together.
 *
 * <p>A worker takes one query and one block of {@link #BLOCK} keys, and leaves for each head m = max of the scores, s = Σ e^(score − m) and
 * Σ e^(score − m) v. Then the blocks of a query are put together, in their order: with M the maximum of all m,
 * o = Σ e^(m − M) (Σ …) / Σ e^(m − M) s. Blocks are counted from the first key that a query sees, whatever the number of threads.
 */
final class FewQueries {
    /** Up to so many queries of a sequence. */
    static final int MOST = 4;

    /** Keys of an item; a multiple of every vector length. */
    private static final int BLOCK = 64;

    private final Workers workers;
    private final WorkerScratch scratch;
    private float[] partial = new float[0]; // [query][block]: m (H), s (H), Σ e^(score − m) v (H·e)

    FewQueries(Workers workers) {
        this.workers = workers;
        this.scratch = new WorkerScratch(workers);
    }

    void forward(AttentionCall c) {
        int rows = c.q.rows(), blocks = Math.ceilDiv(Math.min(c.chunk, c.keys), BLOCK);
        int floats = rows * blocks * stride(c);
        if (partial.length < floats) {
            // With room to grow, as the keys of a generation do.
            partial = new float[2 * floats];
        }
        workers.run(rows * blocks, (item, worker) -> {
            if (item % blocks * BLOCK < c.seen(item / blocks)) {
                block(c, item / blocks, item % blocks, item * stride(c), worker);
            }
        });
        workers.run(rows, (row, worker) -> combine(c, row, row * blocks * stride(c), worker));
    }

    /** Floats of a partial result. */
    private static int stride(AttentionCall c) {
        return 2 * c.heads + c.v.columns();
    }

    private void block(AttentionCall c, int row, int block, int to, int worker) {
        int heads = c.heads, d = c.d, e = c.e, sequence = row / c.queries;
        int first = c.first(row) + block * BLOCK, count = Math.min(BLOCK, c.seen(row) - block * BLOCK);
        int entry = sequence * c.capacity + first;
        var scores = scratch.of(worker, heads * BLOCK); // [head][key]
        Arrays.fill(scores, 0, heads * BLOCK, Float.NEGATIVE_INFINITY);
        scores(
                count,
                heads,
                d,
                c.scale,
                data(c.q),
                c.q.offset() + row * heads * d,
                data(c.k),
                c.k.offset() + entry * heads * d,
                scores);
        if (c.mask != null) {
            hideInvalid(count, heads, data(c.mask), offset(c.mask) + sequence * c.keys + first, scores);
        }
        for (int h = 0; h < heads; h++) {
            float max = max(scores, h * BLOCK);
            partial[to + h] = max;
            // A head that sees nothing must not compute −∞ − −∞.
            VectorMath.exp(1, scores, h * BLOCK, -Math.max(max, -Float.MAX_VALUE), scores, h * BLOCK, BLOCK);
            partial[to + heads + h] = Reductions.sum(scores, h * BLOCK, BLOCK);
        }
        int out = to + 2 * heads;
        Arrays.fill(partial, out, out + heads * e, 0);
        weightedSum(count, heads, e, scores, data(c.v), c.v.offset() + entry * heads * e, partial, out);
    }

    /** scores[h][j] = scale · q[h]·k[j][h]. */
    private static void scores(
            int count, int heads, int d, float scale, float[] q, int qo, float[] k, int ko, float[] scores) {
        for (int j = 0; j < count; j++) {
            for (int h = 0; h < heads; h++, ko += d) {
                scores[h * BLOCK + j] = scale * dot(d, q, qo + h * d, k, ko);
            }
        }
    }

    private static float dot(int n, float[] x, int xo, float[] y, int yo) {
        var sum = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i + W <= n; i += W) {
            sum = FloatVector.fromArray(SPECIES, x, xo + i)
                    .mul(FloatVector.fromArray(SPECIES, y, yo + i))
                    .add(sum);
        }
        if (W > 8) {
            sum = sum.add(sum.rearrange(VectorMath.OTHER_HALF));
        }
        if (W > 4) {
            sum = sum.add(sum.rearrange(VectorMath.OTHER_QUARTER));
        }
        float total = (sum.lane(0) + sum.lane(1)) + (sum.lane(2) + sum.lane(3));
        for (; i < n; i++) {
            total += x[xo + i] * y[yo + i];
        }
        return total;
    }

    // A key that is no key gets the score −∞.
    private static void hideInvalid(int count, int heads, float[] mask, int maskAt, float[] scores) {
        for (int j = 0; j < count; j++) {
            for (int h = 0; mask[maskAt + j] == 0 && h < heads; h++) {
                scores[h * BLOCK + j] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    private static float max(float[] scores, int from) {
        float max = Float.NEGATIVE_INFINITY;
        for (int j = from; j < from + BLOCK; j++) {
            max = Math.max(max, scores[j]);
        }
        return max;
    }

    /** out[h] += Σ_j weights[h][j] · v[j][h]. */
    private static void weightedSum(
            int count, int heads, int e, float[] weights, float[] v, int vo, float[] out, int oo) {
        int stride = heads * e, j = 0;
        for (; j + 4 <= count; j += 4, vo += 4 * stride) {
            for (int h = 0; h < heads; h++) {
                addFour(e, weights, h * BLOCK + j, v, vo + h * e, stride, out, oo + h * e);
            }
        }
        for (; j < count; j++, vo += stride) {
            for (int h = 0; h < heads; h++) {
                Elementwise.add(weights[h * BLOCK + j], v, vo + h * e, out, oo + h * e, e, true);
            }
        }
    }

    /** out += w₀ v₀ + w₁ v₁ + w₂ v₂ + w₃ v₃, the rows of v being {@code stride} apart. */
    private static void addFour(int n, float[] w, int wo, float[] v, int vo, int stride, float[] out, int oo) {
        float w0 = w[wo], w1 = w[wo + 1], w2 = w[wo + 2], w3 = w[wo + 3];
        int v1 = vo + stride, v2 = v1 + stride, v3 = v2 + stride, i = 0;
        for (; i + W <= n; i += W) {
            var low = FloatVector.fromArray(SPECIES, v, vo + i)
                    .mul(w0)
                    .add(FloatVector.fromArray(SPECIES, v, v1 + i).mul(w1));
            var high = FloatVector.fromArray(SPECIES, v, v2 + i)
                    .mul(w2)
                    .add(FloatVector.fromArray(SPECIES, v, v3 + i).mul(w3));
            FloatVector.fromArray(SPECIES, out, oo + i).add(low.add(high)).intoArray(out, oo + i);
        }
        for (; i < n; i++) {
            out[oo + i] += (v[vo + i] * w0 + v[v1 + i] * w1) + (v[v2 + i] * w2 + v[v3 + i] * w3);
        }
    }

    private void combine(AttentionCall c, int row, int from, int worker) {
        int heads = c.heads, e = c.e, blocks = Math.ceilDiv(c.seen(row), BLOCK);
        var weights = scratch.of(worker, blocks);
        for (int h = 0; h < heads; h++) {
            float max = Float.NEGATIVE_INFINITY;
            for (int block = 0; block < blocks; block++) {
                max = Math.max(max, partial[from + block * stride(c) + h]);
            }
            double sum = 0;
            for (int block = 0; block < blocks; block++) {
                int at = from + block * stride(c) + h;
                weights[block] = max == Float.NEGATIVE_INFINITY ? 0 : (float) Math.exp(partial[at] - max);
                sum += weights[block] * partial[at + heads];
            }
            int out = c.o.offset() + row * heads * e + h * e;
            Arrays.fill(data(c.o), out, out + e, 0);
            for (int block = 0; block < blocks && sum > 0; block++) {
                int at = from + block * stride(c) + 2 * heads + h * e;
                Elementwise.add((float) (weights[block] / sum), partial, at, data(c.o), out, e, true);
            }
            if (c.logSum != null) {
                int i = row % c.queries, sequence = row / c.queries;
                data(c.logSum)[c.logSum.offset() + (sequence * heads + h) * c.queries + i] =
                        (float) (Math.log(sum) + max);
            }
        }
    }
}
