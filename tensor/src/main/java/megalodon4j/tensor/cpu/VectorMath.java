package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.fma;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;

/**
 * The exponential and the sum across lanes, made of operations that round in one way only.
 *
 * <p>The Vector API has both, but {@code lanewise(EXP)} and {@code reduceLanes(ADD)} give other last bits in the interpreter than in
 * compiled code: a result would depend on the moment at which the compiler gets to a kernel, and no two runs would be the same.
 */
final class VectorMath {
    private static final VectorShuffle<Float> OTHER_HALF = VectorShuffle.fromOp(SPECIES, lane -> lane ^ 8 % Lanes.W);
    private static final VectorShuffle<Float> OTHER_QUARTER = VectorShuffle.fromOp(SPECIES, lane -> lane ^ 4 % Lanes.W);

    private static final float LOG2_E = 1.44269504f;
    private static final float LN2_HIGH = 0.693359375f; // few bits, so that its products with small integers are exact
    private static final float LN2_LOW = -2.12194440e-4f; // ln 2 − LN2_HIGH
    private static final float ROUND = 0x1.8p23f; // x + ROUND has the integer nearest to x in its low bits

    // Where 2ⁿ leaves the range of normal numbers.
    private static final float LOWEST = -87.3f;
    private static final float HIGHEST = 88.3f;

    private VectorMath() {}

    /**
     * eˣ to 2 units in the last place; 0 below −87.3, ∞ above 88.3.
     *
     * <p>With n the integer nearest to x / ln 2 and r = x − n ln 2, it is 2ⁿ eʳ; the polynomial for eʳ is that of Cephes' {@code expf}.
     */
    static FloatVector exp(FloatVector x) {
        var shifted = fma(x, FloatVector.broadcast(SPECIES, LOG2_E), FloatVector.broadcast(SPECIES, ROUND));
        var n = shifted.sub(ROUND);
        var r = fma(n, FloatVector.broadcast(SPECIES, -LN2_HIGH), x);
        r = fma(n, FloatVector.broadcast(SPECIES, -LN2_LOW), r);
        var p = FloatVector.broadcast(SPECIES, 1.9875691500e-4f);
        p = fma(p, r, FloatVector.broadcast(SPECIES, 1.3981999507e-3f));
        p = fma(p, r, FloatVector.broadcast(SPECIES, 8.3334519073e-3f));
        p = fma(p, r, FloatVector.broadcast(SPECIES, 4.1665795894e-2f));
        p = fma(p, r, FloatVector.broadcast(SPECIES, 1.6666665459e-1f));
        p = fma(p, r, FloatVector.broadcast(SPECIES, 5.0000001201e-1f));
        p = fma(p, r.mul(r), r).add(1);
        var exponent = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
        return p.reinterpretAsInts()
                .add(exponent)
                .reinterpretAsFloats()
                .blend(0, x.compare(VectorOperators.LT, LOWEST))
                .blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, HIGHEST));
    }

    /** The sum of a vector's lanes; of {@link Lanes#SPECIES} or of four lanes. */
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
