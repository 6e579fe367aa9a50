package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;
import static megalodon4j.tensor.cpu.VectorMath.NEGLIGIBLE;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** Where tokens become numbers and numbers tokens: the look-up in the embedding, and the cross-entropy of logits. */
final class Tokens implements Kernels.Tokens {
    // Columns of the embedding's gradient that one item walks all tokens for.
    private static final int STRIP = 64;

    // Exponentials that are summed in float; large vocabularies add such sums in double.
    private static final int RUN = 2048;

    private final Workers workers;
    private final float[][] scratch; // (workers, RUN): exponentials where no gradient is asked for

    Tokens(Workers workers) {
        this.workers = workers;
        scratch = new float[workers.count()][RUN];
    }

    @Override
    public void embedding(int[] ids, Tensor table, float scale, Tensor y) {
        int d = table.columns();
        float[] rows = data(table), ys = data(y);
        int to = offset(table), yo = offset(y);
        new Blocks(workers, (from, end, worker) -> {
                    for (int row = from; row < end; row++) {
                        Elementwise.add(scale, rows, to + ids[row] * d, ys, yo + row * d, d, false);
                    }
                })
                .rows(ids.length);
    }

    @Override
    public void embeddingGrad(Tensor dy, int[] ids, int paddingId, float scale, Tensor dtable, boolean add) {
        int d = dtable.columns(), vocabulary = dtable.rows();
        float[] dys = data(dy), rows = data(dtable);
        int dyo = offset(dy), to = offset(dtable);
        if (!add) {
            new Blocks(workers, (from, end, worker) -> Arrays.fill(rows, to + from, to + end, 0))
                    .elements(vocabulary * d);
        }
        // Rows of the table meet the same token many times: split over columns, each adds its tokens in their order.
        new Blocks(workers, (from, end, worker) -> {
                    for (int row = 0; row < ids.length; row++) {
                        if (ids[row] != paddingId) {
                            int at = to + ids[row] * d + from;
                            Elementwise.add(scale, dys, dyo + row * d + from, rows, at, end - from, true);
                        }
                    }
                })
                .blocks(d, STRIP);
    }

    @Override
    public void crossEntropy(Tensor logits, int[] labels, float scale, Tensor losses, Tensor dlogits) {
        int v = logits.columns();
        float[] xs = data(logits), ls = data(losses), ds = data(dlogits);
        int xo = offset(logits), lo = offset(losses), dlo = offset(dlogits);
        new Blocks(workers, (from, to, worker) -> {
                    for (int row = from; row < to; row++) {
                        int at = row * v;
                        ls[lo + row] = crossEntropy(xs, xo + at, labels[row], scale, ds, dlo + at, scratch[worker], v);
                    }
                })
                .rows(labels.length);
    }

    /** The loss of a row; with {@code d}, d = (softmax(x) − onehot(label)) · scale. */
    private static float crossEntropy(
            float[] x, int xo, int label, float scale, float[] d, int dlo, float[] scratch, int n) {
        if (label == Backend.IGNORE_INDEX) {
            if (d != null) {
                Arrays.fill(d, dlo, dlo + n, 0);
            }
            return 0;
        }
        float target = x[xo + label]; // read first: d may be x
        float max = max(x, xo, n);
        double sum = 0;
        for (int i = 0; i < n; i += RUN) {
            float[] out = d == null ? scratch : d;
            int count = Math.min(RUN, n - i), at = d == null ? 0 : dlo + i;
            VectorMath.exp(1, x, xo + i, -max, out, at, count);
            sum += Reductions.sum(out, at, count);
        }
        if (d != null) {
            scale((float) (scale / sum), d, dlo, n);
            d[dlo + label] -= scale;
        }
        return (float) (Math.log(sum) + max - target);
    }

    /** d · factor, what is {@link VectorMath#NEGLIGIBLE} left out. */
    private static void scale(float factor, float[] d, int at, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var x = FloatVector.fromArray(SPECIES, d, at + i).mul(factor);
            x.blend(0, x.abs().compare(VectorOperators.LT, NEGLIGIBLE)).intoArray(d, at + i);
        }
        for (; i < n; i++) {
            d[at + i] = VectorMath.flush(d[at + i] * factor);
        }
    }

    private static float max(float[] x, int xo, int n) {
        var m0 = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        var m1 = m0;
        int i = 0;
        for (; i <= n - 2 * W; i += 2 * W) {
            m0 = FloatVector.fromArray(SPECIES, x, xo + i).max(m0);
            m1 = FloatVector.fromArray(SPECIES, x, xo + i + W).max(m1);
        }
        float max = m0.max(m1).reduceLanes(VectorOperators.MAX);
        for (; i < n; i++) {
            max = Math.max(max, x[xo + i]);
        }
        return max;
    }
}
