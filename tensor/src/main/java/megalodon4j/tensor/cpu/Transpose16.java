package megalodon4j.tensor.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Transposes 16 × 16 floats in registers: in the stage of distance s, rows i and i + s exchange the blocks of s × s off their diagonal;
 * after s = 8, 4, 2, 1 the square is transposed.
 */
final class Transpose16 {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_512;
    private static final VectorShuffle<Float> X8 = VectorShuffle.fromOp(S, lane -> lane ^ 8);
    private static final VectorShuffle<Float> X4 = VectorShuffle.fromOp(S, lane -> lane ^ 4);
    private static final VectorShuffle<Float> X2 = VectorShuffle.fromOp(S, lane -> lane ^ 2);
    private static final VectorShuffle<Float> X1 = VectorShuffle.fromOp(S, lane -> lane ^ 1);
    private static final VectorMask<Float> M8 = VectorMask.fromLong(S, 0xFF00);
    private static final VectorMask<Float> M4 = VectorMask.fromLong(S, 0xF0F0);
    private static final VectorMask<Float> M2 = VectorMask.fromLong(S, 0xCCCC);
    private static final VectorMask<Float> M1 = VectorMask.fromLong(S, 0xAAAA);

    private Transpose16() {}

    /**
     * out[k][r] = a[min(r, last)][k] for k, r in 0 … 15. Rows of a are {@code lda} apart, rows of out {@code stride}, in
     * ascending order, so that out may be narrower than 16: what a row writes too much the next one overwrites.
     */
    static void run(float[] a, int ao, int lda, int last, float[] out, int to, int stride) {
        var a0 = FloatVector.fromArray(S, a, ao + Math.min(0, last) * lda);
        var a1 = FloatVector.fromArray(S, a, ao + Math.min(1, last) * lda);
        var a2 = FloatVector.fromArray(S, a, ao + Math.min(2, last) * lda);
        var a3 = FloatVector.fromArray(S, a, ao + Math.min(3, last) * lda);
        var a4 = FloatVector.fromArray(S, a, ao + Math.min(4, last) * lda);
        var a5 = FloatVector.fromArray(S, a, ao + Math.min(5, last) * lda);
        var a6 = FloatVector.fromArray(S, a, ao + Math.min(6, last) * lda);
        var a7 = FloatVector.fromArray(S, a, ao + Math.min(7, last) * lda);
        var a8 = FloatVector.fromArray(S, a, ao + Math.min(8, last) * lda);
        var a9 = FloatVector.fromArray(S, a, ao + Math.min(9, last) * lda);
        var aA = FloatVector.fromArray(S, a, ao + Math.min(10, last) * lda);
        var aB = FloatVector.fromArray(S, a, ao + Math.min(11, last) * lda);
        var aC = FloatVector.fromArray(S, a, ao + Math.min(12, last) * lda);
        var aD = FloatVector.fromArray(S, a, ao + Math.min(13, last) * lda);
        var aE = FloatVector.fromArray(S, a, ao + Math.min(14, last) * lda);
        var aF = FloatVector.fromArray(S, a, ao + Math.min(15, last) * lda);
        var b0 = a0.blend(a8.rearrange(X8), M8);
        var b1 = a1.blend(a9.rearrange(X8), M8);
        var b2 = a2.blend(aA.rearrange(X8), M8);
        var b3 = a3.blend(aB.rearrange(X8), M8);
        var b4 = a4.blend(aC.rearrange(X8), M8);
        var b5 = a5.blend(aD.rearrange(X8), M8);
        var b6 = a6.blend(aE.rearrange(X8), M8);
        var b7 = a7.blend(aF.rearrange(X8), M8);
        var b8 = a0.rearrange(X8).blend(a8, M8);
        var b9 = a1.rearrange(X8).blend(a9, M8);
        var bA = a2.rearrange(X8).blend(aA, M8);
        var bB = a3.rearrange(X8).blend(aB, M8);
        var bC = a4.rearrange(X8).blend(aC, M8);
        var bD = a5.rearrange(X8).blend(aD, M8);
        var bE = a6.rearrange(X8).blend(aE, M8);
        var bF = a7.rearrange(X8).blend(aF, M8);
        var c0 = b0.blend(b4.rearrange(X4), M4);
        var c1 = b1.blend(b5.rearrange(X4), M4);
        var c2 = b2.blend(b6.rearrange(X4), M4);
        var c3 = b3.blend(b7.rearrange(X4), M4);
        var c4 = b0.rearrange(X4).blend(b4, M4);
        var c5 = b1.rearrange(X4).blend(b5, M4);
        var c6 = b2.rearrange(X4).blend(b6, M4);
        var c7 = b3.rearrange(X4).blend(b7, M4);
        var c8 = b8.blend(bC.rearrange(X4), M4);
        var c9 = b9.blend(bD.rearrange(X4), M4);
        var cA = bA.blend(bE.rearrange(X4), M4);
        var cB = bB.blend(bF.rearrange(X4), M4);
        var cC = b8.rearrange(X4).blend(bC, M4);
        var cD = b9.rearrange(X4).blend(bD, M4);
        var cE = bA.rearrange(X4).blend(bE, M4);
        var cF = bB.rearrange(X4).blend(bF, M4);
        var d0 = c0.blend(c2.rearrange(X2), M2);
        var d1 = c1.blend(c3.rearrange(X2), M2);
        var d2 = c0.rearrange(X2).blend(c2, M2);
        var d3 = c1.rearrange(X2).blend(c3, M2);
        var d4 = c4.blend(c6.rearrange(X2), M2);
        var d5 = c5.blend(c7.rearrange(X2), M2);
        var d6 = c4.rearrange(X2).blend(c6, M2);
        var d7 = c5.rearrange(X2).blend(c7, M2);
        var d8 = c8.blend(cA.rearrange(X2), M2);
        var d9 = c9.blend(cB.rearrange(X2), M2);
        var dA = c8.rearrange(X2).blend(cA, M2);
        var dB = c9.rearrange(X2).blend(cB, M2);
        var dC = cC.blend(cE.rearrange(X2), M2);
        var dD = cD.blend(cF.rearrange(X2), M2);
        var dE = cC.rearrange(X2).blend(cE, M2);
        var dF = cD.rearrange(X2).blend(cF, M2);
        var e0 = d0.blend(d1.rearrange(X1), M1);
        var e1 = d0.rearrange(X1).blend(d1, M1);
        var e2 = d2.blend(d3.rearrange(X1), M1);
        var e3 = d2.rearrange(X1).blend(d3, M1);
        var e4 = d4.blend(d5.rearrange(X1), M1);
        var e5 = d4.rearrange(X1).blend(d5, M1);
        var e6 = d6.blend(d7.rearrange(X1), M1);
        var e7 = d6.rearrange(X1).blend(d7, M1);
        var e8 = d8.blend(d9.rearrange(X1), M1);
        var e9 = d8.rearrange(X1).blend(d9, M1);
        var eA = dA.blend(dB.rearrange(X1), M1);
        var eB = dA.rearrange(X1).blend(dB, M1);
        var eC = dC.blend(dD.rearrange(X1), M1);
        var eD = dC.rearrange(X1).blend(dD, M1);
        var eE = dE.blend(dF.rearrange(X1), M1);
        var eF = dE.rearrange(X1).blend(dF, M1);
        e0.intoArray(out, to);
        e1.intoArray(out, to + stride);
        e2.intoArray(out, to + 2 * stride);
        e3.intoArray(out, to + 3 * stride);
        e4.intoArray(out, to + 4 * stride);
        e5.intoArray(out, to + 5 * stride);
        e6.intoArray(out, to + 6 * stride);
        e7.intoArray(out, to + 7 * stride);
        e8.intoArray(out, to + 8 * stride);
        e9.intoArray(out, to + 9 * stride);
        eA.intoArray(out, to + 10 * stride);
        eB.intoArray(out, to + 11 * stride);
        eC.intoArray(out, to + 12 * stride);
        eD.intoArray(out, to + 13 * stride);
        eE.intoArray(out, to + 14 * stride);
        eF.intoArray(out, to + 15 * stride);
    }
}
