package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Gemm.NR;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;
import static megalodon4j.tensor.cpu.VectorMath.LN2_HIGH;
import static megalodon4j.tensor.cpu.VectorMath.LN2_LOW;
import static megalodon4j.tensor.cpu.VectorMath.LOG2_E;
import static megalodon4j.tensor.cpu.VectorMath.LOWEST;
import static megalodon4j.tensor.cpu.VectorMath.P2;
import static megalodon4j.tensor.cpu.VectorMath.P3;
import static megalodon4j.tensor.cpu.VectorMath.P4;
import static megalodon4j.tensor.cpu.VectorMath.P5;
import static megalodon4j.tensor.cpu.VectorMath.P6;
import static megalodon4j.tensor.cpu.VectorMath.ROUND;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** What happens to a tile of attention scores between two matrix products. A tile has rows of {@link Gemm#NR} floats. */
final class Softmax {
    private static final FloatVector IOTA = FloatVector.zero(SPECIES).addIndex(1);

    // Below e^−50 a probability counts as none, for the reason that VectorMath.NEGLIGIBLE gives.
    private static final float NEGLIGIBLE = -50;

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
        }
        maxima(keys, scale, w, scores, sums + 2 * NR);
        for (int c = 0; c < NR; c += W) {
            exponentials(keys, scale, w, scores + c, sums + c);
        }
        for (int c = 0; c < NR; c++) {
            w[sums + c] = (float) (Math.log(w[sums + c]) + w[sums + 2 * NR + c]);
        }
    }

    // Comparing and blending, two columns of vectors and two rows at a time, since a chain of max() waits a dozen
    // cycles for each link.
    private static void maxima(int keys, float scale, float[] w, int scores, int maxima) {
        var m0 = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        var m1 = m0;
        var n0 = m0;
        var n1 = m0;
        int j = 0, at = scores;
        for (; j + 2 <= keys; j += 2, at += 2 * NR) {
            var x0 = FloatVector.fromArray(SPECIES, w, at);
            var x1 = FloatVector.fromArray(SPECIES, w, at + W);
            var y0 = FloatVector.fromArray(SPECIES, w, at + NR);
            var y1 = FloatVector.fromArray(SPECIES, w, at + NR + W);
            m0 = x0.blend(m0, x0.compare(VectorOperators.LE, m0));
            m1 = x1.blend(m1, x1.compare(VectorOperators.LE, m1));
            n0 = y0.blend(n0, y0.compare(VectorOperators.LE, n0));
            n1 = y1.blend(n1, y1.compare(VectorOperators.LE, n1));
        }
        if (j < keys) {
            m0 = FloatVector.fromArray(SPECIES, w, at).max(m0);
            m1 = FloatVector.fromArray(SPECIES, w, at + W).max(m1);
        }
        // A column that sees nothing must not compute −∞ − −∞.
        m0.max(n0).mul(scale).max(-Float.MAX_VALUE).intoArray(w, maxima);
        m1.max(n1).mul(scale).max(-Float.MAX_VALUE).intoArray(w, maxima + W);
    }

    // e^(scale · s − m), its sum and the sum's reciprocal. The exponential is VectorMath's, written out as explained
    // there.
    private static void exponentials(int keys, float scale, float[] w, int scores, int sums) {
        var max = FloatVector.fromArray(SPECIES, w, sums + 2 * NR);
        var total = FloatVector.zero(SPECIES);
        for (int j = 0, at = scores; j < keys; j++, at += NR) {
            var x = FloatVector.fromArray(SPECIES, w, at).mul(scale).sub(max);
            x = x.blend(LOWEST, x.compare(VectorOperators.LT, NEGLIGIBLE));
            var shifted = x.mul(LOG2_E).add(ROUND);
            var n = shifted.sub(ROUND);
            var r = x.sub(n.mul(LN2_HIGH)).sub(n.mul(LN2_LOW));
            var p = r.mul(P6).add(P5).mul(r).add(P4).mul(r).add(P3).mul(r).add(P2);
            p = p.mul(r).add(1).mul(r).add(1);
            p = p.mul(shifted.reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 23)
                    .reinterpretAsFloats());
            p.intoArray(w, at);
            total = p.add(total);
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
        if (mask != null) {
            hide(rows, width, mask, maskAt, w, scores);
        }
        for (int c = 0; c < NR; c += W) {
            gradientColumn(rows, shift - c, width - c, scale, logSum, sumsAt, w, delta, scores + c, dScores + c);
        }
    }

    // What is no key gets the score −∞.
    private static void hide(int rows, int width, float[] mask, int maskAt, float[] w, int scores) {
        for (int j = 0; j < width; j++) {
            for (int i = 0; mask[maskAt + j] == 0 && i < rows; i++) {
                w[scores + i * NR + j] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    // The exponential is VectorMath's, written out as explained there. What is not seen may hold rubbish, even no
    // numbers.
    private static void gradientColumn(
            int rows,
            int shift,
            int width,
            float scale,
            float[] logSum,
            int sumsAt,
            float[] w,
            int delta,
            int scores,
            int dScores) {
        for (int i = 0; i < rows; i++, scores += NR, dScores += NR) {
            float sum = logSum[sumsAt + i];
            int seen = sum == Float.NEGATIVE_INFINITY ? 0 : Math.min(width, i + shift + 1);
            var hidden = IOTA.compare(VectorOperators.GE, seen);
            var x = FloatVector.fromArray(SPECIES, w, scores).mul(scale).sub(sum);
            x = x.blend(LOWEST, x.compare(VectorOperators.LT, NEGLIGIBLE).or(hidden));
            var shifted = x.mul(LOG2_E).add(ROUND);
            var n = shifted.sub(ROUND);
            var r = x.sub(n.mul(LN2_HIGH)).sub(n.mul(LN2_LOW));
            var p = r.mul(P6).add(P5).mul(r).add(P4).mul(r).add(P3).mul(r).add(P2);
            p = p.mul(r).add(1).mul(r).add(1);
            p = p.mul(shifted.reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 23)
                    .reinterpretAsFloats());
            p.intoArray(w, scores);
            FloatVector.fromArray(SPECIES, w, dScores)
                    .sub(w[delta + i])
                    .mul(p)
                    .mul(scale)
                    .blend(0, hidden)
                    .intoArray(w, dScores);
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
