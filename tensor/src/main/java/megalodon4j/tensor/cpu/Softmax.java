package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Gemm.NR;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;
import static megalodon4j.tensor.cpu.VectorMath.ROUND;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * What happens to a tile of attention scores between two matrix products. A tile has rows of {@link Gemm#NR} floats.
 *
 * <p>Exponentials are powers of two here: with n the integer nearest to y and f = y − n, 2ʸ is 2ⁿ times a minimax
 * polynomial in f, to one unit in the last place. They are written out, as {@link VectorMath} explains.
 */
final class Softmax {
    private static final FloatVector IOTA = FloatVector.zero(SPECIES).addIndex(1);

    private static final float LOG2_E = 1.44269504f;
    private static final float LN_2 = 0.69314718f;

    // Below 2^−72 a probability counts as none, for the reason of VectorMath.NEGLIGIBLE: 2^−127 is 0 by its bits.
    private static final float NEGLIGIBLE = -72;
    private static final float NONE = -127;

    // 2ᶠ = 1 + P1 f + … + P6 f⁶ on |f| ≤ ½.
    private static final float P1 = 0.6931472f;
    private static final float P2 = 0.24022648f;
    private static final float P3 = 0.055503324f;
    private static final float P4 = 0.009618437f;
    private static final float P5 = 0.0013398875f;
    private static final float P6 = 1.5353362e-4f;

    private Softmax() {}

    /**
     * Turns scores [keys][queries] into e^(scale·s − m), m the column's maximum of scale·s; column c sees the first {@code sees + c} keys, the
     * others become 0. Then sums[c] = ln Σ + m, sums[NR + c] = 1 / Σ, or −∞ and 0 where nothing is seen, and sums[2·NR + c] = m / ln 2.
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
        maxima(keys, scale * LOG2_E, w, scores, sums + 2 * NR);
        exponentials(keys, scale * LOG2_E, w, scores, sums);
        exponentials(keys, scale * LOG2_E, w, scores + W, sums + W);
        for (int c = sums; c < sums + NR; c++) {
            w[c + NR] = w[c] == 0 ? 0 : 1 / w[c];
            w[c] = (float) (Math.log(w[c]) + LN_2 * w[c + 2 * NR]);
        }
    }

    // Comparing and blending, two columns of vectors and two rows at a time: a chain of max() waits a dozen cycles for
    // each of its links.
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

    // 2^(scale · s − m) and its sum, of one vector of columns.
    private static void exponentials(int keys, float scale, float[] w, int scores, int sums) {
        var max = FloatVector.fromArray(SPECIES, w, sums + 2 * NR);
        var total = FloatVector.zero(SPECIES);
        for (int j = 0, at = scores; j < keys; j++, at += NR) {
            var y = FloatVector.fromArray(SPECIES, w, at).mul(scale).sub(max);
            y = y.blend(NONE, y.compare(VectorOperators.LT, NEGLIGIBLE));
            var shifted = y.add(ROUND);
            var f = y.sub(shifted.sub(ROUND));
            var p = f.mul(P6).add(P5).mul(f).add(P4).mul(f).add(P3);
            p = p.mul(f).add(P2).mul(f).add(P1).mul(f).add(1);
            p = p.mul(shifted.reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 23)
                    .reinterpretAsFloats());
            p.intoArray(w, at);
            total = p.add(total);
        }
        total.intoArray(w, sums);
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
        gradient(rows, scale, logSum, sumsAt, w, delta, scores, dScores);
        // From here on every row sees all there is, unless it sees nothing at all.
        int most = width < NR || mask != null ? rows : Math.min(rows, NR - 1 - shift);
        for (int i = 0; i < most; i++) {
            boolean none = logSum[sumsAt + i] == Float.NEGATIVE_INFINITY;
            int seen = none ? 0 : Math.max(0, Math.min(width, i + shift + 1));
            Arrays.fill(w, scores + i * NR + seen, scores + (i + 1) * NR, 0);
            Arrays.fill(w, dScores + i * NR + seen, dScores + (i + 1) * NR, 0);
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

    // As if every row saw everything; what is not seen may hold rubbish, even no numbers.
    private static void gradient(
            int rows, float scale, float[] logSum, int sumsAt, float[] w, int delta, int scores, int dScores) {
        float slope = scale * LOG2_E;
        int ahead = dScores - scores;
        for (int at = scores; at < scores + rows * NR; at += W) {
            int i = (at - scores) / NR;
            var y = FloatVector.fromArray(SPECIES, w, at).mul(slope).sub(logSum[sumsAt + i] * LOG2_E);
            y = y.blend(NONE, y.compare(VectorOperators.LT, NEGLIGIBLE));
            var shifted = y.add(ROUND);
            var f = y.sub(shifted.sub(ROUND));
            var p = f.mul(P6).add(P5).mul(f).add(P4).mul(f).add(P3);
            p = p.mul(f).add(P2).mul(f).add(P1).mul(f).add(1);
            p = p.mul(shifted.reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 23)
                    .reinterpretAsFloats());
            p.intoArray(w, at);
            FloatVector.fromArray(SPECIES, w, at + ahead)
                    .sub(w[delta + i])
                    .mul(p)
                    .mul(scale)
                    .intoArray(w, at + ahead);
        }
    }
}
