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
 * <p>Kernels make no objects, which is a matter of how C2 compiles the Vector API. It always inlines that, but stops inlining anything else
 * once a compilation has grown to 18,000 nodes; a vector that is then passed to a method of ours, or returned by one, becomes an object. And it
 * must know a vector's class to inline its methods: it knows that of what an operation gives, but not that of what a loop changes until those
 * methods are inlined. Therefore
 *
 * <ul>
 *   <li>kernels write out multiplication and addition rather than call {@link Lanes#fma}, or both forms where the one instruction pays
 *       ({@link EmaScan}), write out the sum across lanes, and take their exponentials from arrays or write them out too;
 *   <li>what a loop adds up is an argument of its operation: {@code sum = product.add(sum)}, not {@code sum.add(product)};
 *   <li>all vectors of floats have the length of {@link Lanes#SPECIES}: with two classes about, C2 would compile both into every kernel.
 * </ul>
 */
final class VectorMath {
    /** v + v.rearrange(OTHER_HALF) has the sums of both halves of 16 lanes in each; the first step of a sum. */
    static final VectorShuffle<Float> OTHER_HALF = VectorShuffle.fromOp(SPECIES, lane -> lane ^ 8 % W);

    /** Likewise the sums of both halves of 8 lanes; then (v[0] + v[1]) + (v[2] + v[3]) is that of all. */
    static final VectorShuffle<Float> OTHER_QUARTER = VectorShuffle.fromOp(SPECIES, lane -> lane ^ 4 % W);

    // Beyond these, 2ⁿ is 0 and ∞ in the representation below: n = −127 and n = 128.
    static final float LOWEST = -88;
    static final float HIGHEST = 88.7f;

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

    /**
     * Products below become 0. What a shut gate lets through, and what comes back from a byte that never occurs, would soon be subnormal, and a
     * matrix product with subnormal numbers takes ten times as long. Nothing of that size can matter beside numbers that do.
     */
    static final float NEGLIGIBLE = 1e-30f;

    private VectorMath() {}

    /** 0 for what is {@link #NEGLIGIBLE}. */
    static float flush(float x) {
        return Math.abs(x) < NEGLIGIBLE ? 0 : x;
    }

    /**
     * out = eˣ of x · scale + shift, to one unit in the last place; 0 below −87.7, ∞ above 88.4. The same bits with and without FMA.
     *
     * <p>With n the integer nearest to x / ln 2 and r = x − n ln 2, it is 2ⁿ eʳ, and eʳ a minimax polynomial on |r| ≤ ½ ln 2.
     */
    static void exp(float scale, float[] x, int xo, float shift, float[] out, int oo, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var v = FloatVector.fromArray(SPECIES, x, xo + i).mul(scale).add(shift);
            v = v.blend(LOWEST, v.compare(VectorOperators.LT, LOWEST));
            v = v.blend(HIGHEST, v.compare(VectorOperators.GT, HIGHEST));
            var shifted = v.mul(LOG2_E).add(ROUND);
            var whole = shifted.sub(ROUND);
            var r = v.sub(whole.mul(LN2_HIGH)).sub(whole.mul(LN2_LOW));
            var p = r.mul(P6).add(P5).mul(r).add(P4).mul(r).add(P3).mul(r).add(P2);
            p = p.mul(r).add(1).mul(r).add(1);
            var power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
            p.mul(power.reinterpretAsFloats()).intoArray(out, oo + i);
        }
        for (; i < n; i++) {
            out[oo + i] = (float) Math.exp(x[xo + i] * scale + shift);
        }
    }
}
