package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;

/**
 * The exponential and the sum across lanes, made of operations that round in one way only.
 *
 * <p>The Vector API has both, but {@code lanewise(EXP)} and {@code reduceLanes(ADD)} give other last bits in the interpreter than in
 * compiled code: a result would depend on the moment at which the compiler gets to a kernel, and no two runs would be the same.
 *
 * <p>C2 always inlines the Vector API, but stops inlining anything else once a compilation has grown to 18,000 nodes; a vector that is then
 * passed to a method of ours is boxed. Two exponentials are too many already. Kernels that only wait for memory therefore write out
 * multiplication and addition rather than call {@link Lanes#fma}, take their exponentials from arrays, and where a loop sums many short rows
 * write {@link #sum} out too.
 */
final class VectorMath {
    /** For {@link #sum} written out. */
    static final VectorShuffle<Float> OTHER_HALF = VectorShuffle.fromOp(SPECIES, lane -> lane ^ 8 % W);

    /** For {@link #sum} written out. */
    static final VectorShuffle<Float> OTHER_QUARTER = VectorShuffle.fromOp(SPECIES, lane -> lane ^ 4 % W);

    // Beyond these, 2ⁿ is 0 and ∞ in the representation below: n = −127 and n = 128.
    static final float LOWEST = -88;
    private static final float HIGHEST = 88.7f;

    // x + ROUND rounds x to an integer and has it, plus the bias of float's exponent, in its low bits.
    static final float ROUND = 0x1.8p23f + 127;
    static final float LOG2_E = 1.44269504f;
    static final float LN2_HIGH = 0.693359375f; // few bits, so that its products with small integers are exact
    static final float LN2_LOW = -2.12194440e-4f; // ln 2 − LN2_HIGH

    // eʳ = 1 + r + P2 r² + … + P6 r⁶, minimax on |r| ≤ ½ ln 2.
    static final float P2 = 0.49999994f;
    static final float P3 = 0.16666473f;
    static final float P4 = 0.04166758f;
    static final float P5 = 0.0083733154f;
    static final float P6 = 0.0013887505f;

    private VectorMath() {}

    /**
     * eˣ to one unit in the last place; 0 below −87.7, ∞ above 88.4. The same bits with and without FMA.
     *
     * <p>With n the integer nearest to x / ln 2 and r = x − n ln 2, it is 2ⁿ eʳ, and eʳ a minimax polynomial on |r| ≤ ½ ln 2.
     */
    static FloatVector exp(FloatVector x) {
        x = x.blend(LOWEST, x.compare(VectorOperators.LT, LOWEST));
        x = x.blend(HIGHEST, x.compare(VectorOperators.GT, HIGHEST));
        var shifted = x.mul(LOG2_E).add(ROUND);
        var n = shifted.sub(ROUND);
        var r = x.sub(n.mul(LN2_HIGH)).sub(n.mul(LN2_LOW));
        var p = r.mul(P6).add(P5).mul(r).add(P4).mul(r).add(P3).mul(r).add(P2);
        p = p.mul(r).add(1).mul(r).add(1);
        return p.mul(
                shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
    }

    /** out = e^(scale · x + shift). */
    static void exp(float scale, float[] x, int xo, float shift, float[] out, int oo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            exp(FloatVector.fromArray(SPECIES, x, xo + i).mul(scale).add(shift)).intoArray(out, oo + i);
        }
        for (; i < n; i++) {
            out[oo + i] = (float) Math.exp(x[xo + i] * scale + shift);
        }
    }

    /** The sum of the lanes of a vector of {@link Lanes#SPECIES}, or of four lanes. */
    static float sum(FloatVector v) {
        if (v.length() > 8) {
            v = v.add(v.rearrange(OTHER_HALF));
        }
        if (v.length() > 4) {
            v = v.add(v.rearrange(OTHER_QUARTER));
        }
        return (v.lane(0) + v.lane(1)) + (v.lane(2) + v.lane(3));
    }
}
