package megalodon4j.tensor.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** {@link Transpose16} for 8 × 8 floats. */
final class Transpose8 {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_256;
    private static final VectorShuffle<Float> X4 = VectorShuffle.fromOp(S, lane -> lane ^ 4);
    private static final VectorShuffle<Float> X2 = VectorShuffle.fromOp(S, lane -> lane ^ 2);
    private static final VectorShuffle<Float> X1 = VectorShuffle.fromOp(S, lane -> lane ^ 1);
    private static final VectorMask<Float> M4 = VectorMask.fromLong(S, 0xF0);
    private static final VectorMask<Float> M2 = VectorMask.fromLong(S, 0xCC);
    private static final VectorMask<Float> M1 = VectorMask.fromLong(S, 0xAA);

    private Transpose8() {}

    /** As {@link Transpose16#run}, for k, r in 0 … 7. */
    static void run(float[] a, int ao, int lda, int last, float[] out, int to, int stride) {
        var a0 = FloatVector.fromArray(S, a, ao + Math.min(0, last) * lda);
        var a1 = FloatVector.fromArray(S, a, ao + Math.min(1, last) * lda);
        var a2 = FloatVector.fromArray(S, a, ao + Math.min(2, last) * lda);
        var a3 = FloatVector.fromArray(S, a, ao + Math.min(3, last) * lda);
        var a4 = FloatVector.fromArray(S, a, ao + Math.min(4, last) * lda);
        var a5 = FloatVector.fromArray(S, a, ao + Math.min(5, last) * lda);
        var a6 = FloatVector.fromArray(S, a, ao + Math.min(6, last) * lda);
        var a7 = FloatVector.fromArray(S, a, ao + Math.min(7, last) * lda);
        var b0 = a0.blend(a4.rearrange(X4), M4);
        var b1 = a1.blend(a5.rearrange(X4), M4);
        var b2 = a2.blend(a6.rearrange(X4), M4);
        var b3 = a3.blend(a7.rearrange(X4), M4);
        var b4 = a0.rearrange(X4).blend(a4, M4);
        var b5 = a1.rearrange(X4).blend(a5, M4);
        var b6 = a2.rearrange(X4).blend(a6, M4);
        var b7 = a3.rearrange(X4).blend(a7, M4);
        var c0 = b0.blend(b2.rearrange(X2), M2);
        var c1 = b1.blend(b3.rearrange(X2), M2);
        var c2 = b0.rearrange(X2).blend(b2, M2);
        var c3 = b1.rearrange(X2).blend(b3, M2);
        var c4 = b4.blend(b6.rearrange(X2), M2);
        var c5 = b5.blend(b7.rearrange(X2), M2);
        var c6 = b4.rearrange(X2).blend(b6, M2);
        var c7 = b5.rearrange(X2).blend(b7, M2);
        var d0 = c0.blend(c1.rearrange(X1), M1);
        var d1 = c0.rearrange(X1).blend(c1, M1);
        var d2 = c2.blend(c3.rearrange(X1), M1);
        var d3 = c2.rearrange(X1).blend(c3, M1);
        var d4 = c4.blend(c5.rearrange(X1), M1);
        var d5 = c4.rearrange(X1).blend(c5, M1);
        var d6 = c6.blend(c7.rearrange(X1), M1);
        var d7 = c6.rearrange(X1).blend(c7, M1);
        d0.intoArray(out, to);
        d1.intoArray(out, to + stride);
        d2.intoArray(out, to + 2 * stride);
        d3.intoArray(out, to + 3 * stride);
        d4.intoArray(out, to + 4 * stride);
        d5.intoArray(out, to + 5 * stride);
        d6.intoArray(out, to + 6 * stride);
        d7.intoArray(out, to + 7 * stride);
    }
}
