package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Gemm.NR;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** What happens to a tile of attention scores between two matrix products. A tile has rows of {@link Gemm#NR} floats. */
final class Softmax {
    private static final FloatVector IOTA = FloatVector.zero(SPECIES).addIndex(1);

    private Softmax() {}

    /**
     * Turns scores [keys][queries] into e^(scale·s − m), m the column's maximum of scale·s; column c sees the first {@code sees + c} keys, the
     * others become 0. Then sums[c] = ln Σ + m, sums[NR + c] = 1 / Σ, or −∞ and 0 where nothing is seen, and sums[2·NR + c] = m.
     */
    static void columns(int keys, int sees, float scale, float[] w, int scores, int sums) {
        for (int c = 0; c < NR; c += W) {
            // Row j ≥ sees is visible to columns from j - sees + 1 on.
            for (int j = Math.max(0, sees + c); j < keys; j++) {
                int at = scores + j * NR + c;
                var hidden = IOTA.compare(VectorOperators.LT, j - sees + 1 - c);
                FloatVector.fromArray(SPECIES, w, at)
                        .blend(Float.NEGATIVE_INFINITY, hidden)
                        .intoArray(w, at);
            }
            shiftColumn(keys, scale, w, scores + c, sums + 2 * NR + c);
        }
        VectorMath.exp(1, w, scores, 0, w, scores, keys * NR);
        for (int c = 0; c < NR; c += W) {
            sumColumn(keys, w, scores + c, sums + c);
        }
        for (int c = 0; c < NR; c++) {
            w[sums + c] = (float) (Math.log(w[sums + c]) + w[sums + 2 * NR + c]);
        }
    }

    // scale · s − m
    private static void shiftColumn(int keys, float scale, float[] w, int scores, int maxima) {
        var max = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        for (int j = 0, at = scores; j < keys; j++, at += NR) {
            max = max.max(FloatVector.fromArray(SPECIES, w, at));
        }
        // A column that sees nothing must not compute −∞ − −∞.
        max = max.mul(scale).max(-Float.MAX_VALUE);
        max.intoArray(w, maxima);
        for (int j = 0, at = scores; j < keys; j++, at += NR) {
            FloatVector.fromArray(SPECIES, w, at).mul(scale).sub(max).intoArray(w, at);
        }
    }

    private static void sumColumn(int keys, float[] w, int scores, int sums) {
        var total = FloatVector.zero(SPECIES);
        for (int j = 0, at = scores; j < keys; j++, at += NR) {
            total = total.add(FloatVector.fromArray(SPECIES, w, at));
        }
        var empty = total.compare(VectorOperators.EQ, 0);
        total.intoArray(w, sums);
        FloatVector.broadcast(SPECIES, 1).div(total).blend(0, empty).intoArray(w, sums + NR);
    }

    /** Multiplies each of so many rows by the row of factors. */
    static void scaleColumns(int rows, float[] w, int at, int factors) {
        var left = FloatVector.fromArray(SPECIES, w, factors);
        var right = FloatVector.fromArray(SPECIES, w, factors + W);
        for (int i = 0; i < rows; i++, at += NR) {
            FloatVector.fromArray(SPECIES, w, at).mul(left).intoArray(w, at);
            FloatVector.fromArray(SPECIES, w, at + W).mul(right).intoArray(w, at + W);
        }
    }

    /**
     * Scores s [queries][keys] become probabilities, and the gradients of those the gradients of the scores:
     * P = e^(scale·s − logSum), ds = scale · P · (dP − δ). Row i sees key columns up to i + {@code shift}, of which the first {@code width} exist.
     */
    static void gradient(
            int rows,
            int shift,
            int width,
            float scale,
            float[] mask,
            int maskAt,
            float[] logSum,
            int sumsAt,
            float[] w,
            int delta,
            int scores,
            int dScores) {
        for (int i = 0; i < rows; i++) {
            shiftRow(scale, logSum[sumsAt + i], w, scores + i * NR);
        }
        VectorMath.exp(1, w, scores, 0, w, scores, rows * NR);
        for (int i = 0; i < rows; i++) {
            int at = scores + i * NR;
            int seen = logSum[sumsAt + i] == Float.NEGATIVE_INFINITY ? 0 : Math.min(width, i + shift + 1);
            if (seen < NR) {
                Arrays.fill(w, at + Math.max(0, seen), at + NR, 0);
            }
            for (int j = 0; mask != null && j < seen; j++) {
                if (mask[maskAt + j] == 0) {
                    w[at + j] = 0;
                }
            }
        }
        for (int i = 0; i < rows; i++) {
            gradientRow(scale, w[delta + i], w, scores + i * NR, dScores + i * NR);
        }
    }

    private static void shiftRow(float scale, float sum, float[] w, int at) {
        for (int c = at; c < at + NR; c += W) {
            FloatVector.fromArray(SPECIES, w, c).mul(scale).sub(sum).intoArray(w, c);
        }
    }

    // Where p is 0 the gradient is 0, even where the other factor is rubbish.
    private static void gradientRow(float scale, float delta, float[] w, int at, int dAt) {
        for (int c = 0; c < NR; c += W) {
            var p = FloatVector.fromArray(SPECIES, w, at + c);
            var ds =
                    FloatVector.fromArray(SPECIES, w, dAt + c).sub(delta).mul(p).mul(scale);
            ds.blend(0, p.compare(VectorOperators.EQ, 0)).intoArray(w, dAt + c);
        }
    }

    /** out[i] = x[i] · y[i] for rows i of a width, {@code stride} apart. */
    static void rowDots(int rows, int width, float[] x, int xo, float[] y, int yo, int stride, float[] out, int to) {
        for (int i = 0; i < rows; i++, xo += stride, yo += stride) {
            out[to + i] = Reductions.dot(x, xo, y, yo, width);
        }
    }

    /** to (+)= from. */
    static void put(int n, float[] from, int at, float[] to, int out, boolean add) {
        int i = 0;
        for (; i + W <= n; i += W) {
            var x = FloatVector.fromArray(SPECIES, from, at + i);
            (add ? x.add(FloatVector.fromArray(SPECIES, to, out + i)) : x).intoArray(to, out + i);
        }
        for (; i < n; i++) {
            to[out + i] = from[at + i] + (add ? to[out + i] : 0);
        }
    }
}
