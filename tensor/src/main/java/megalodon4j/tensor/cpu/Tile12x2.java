package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;

/**
 * The innermost product: a tile of 12 rows × 2 vectors of C, held in 24 local variables, which C2 keeps in registers as long as
 * the method stays in one piece. C2 stops inlining small methods once a method has grown large, and a vector that is passed to a method
 * that is not inlined is boxed: so C is read at the start and the end consists of intrinsics alone.
 */
final class Tile12x2 {
    static final int ROWS = 12;

    private Tile12x2() {}

    /**
     * C = A · B + S for one tile, S being left out where null.
     *
     * @param a packed panel, a[k][ROWS] from {@code ao}
     * @param b packed panel, b[k][2·W] from {@code bo}
     * @param c ROWS × 2·W from {@code co}, rows {@code ldc} apart
     * @param s ROWS × 2·W from {@code so}, rows {@code lds} apart: C itself, or a row for all with 0
     */
    static void multiply(
            int kc, float[] a, int ao, float[] b, int bo, float[] c, int co, int ldc, float[] s, int so, int lds) {
        var c00 = start(s, so);
        var c01 = start(s, so + W);
        var c10 = start(s, so + lds);
        var c11 = start(s, so + lds + W);
        var c20 = start(s, so + 2 * lds);
        var c21 = start(s, so + 2 * lds + W);
        var c30 = start(s, so + 3 * lds);
        var c31 = start(s, so + 3 * lds + W);
        var c40 = start(s, so + 4 * lds);
        var c41 = start(s, so + 4 * lds + W);
        var c50 = start(s, so + 5 * lds);
        var c51 = start(s, so + 5 * lds + W);
        var c60 = start(s, so + 6 * lds);
        var c61 = start(s, so + 6 * lds + W);
        var c70 = start(s, so + 7 * lds);
        var c71 = start(s, so + 7 * lds + W);
        var c80 = start(s, so + 8 * lds);
        var c81 = start(s, so + 8 * lds + W);
        var c90 = start(s, so + 9 * lds);
        var c91 = start(s, so + 9 * lds + W);
        var cA0 = start(s, so + 10 * lds);
        var cA1 = start(s, so + 10 * lds + W);
        var cB0 = start(s, so + 11 * lds);
        var cB1 = start(s, so + 11 * lds + W);
        for (int k = 0, p = ao, q = bo; k < kc; k++, p += 12, q += 2 * W) {
            var b0 = FloatVector.fromArray(SPECIES, b, q);
            var b1 = FloatVector.fromArray(SPECIES, b, q + W);
            var a0 = FloatVector.broadcast(SPECIES, a[p]);
            c00 = a0.fma(b0, c00);
            c01 = a0.fma(b1, c01);
            var a1 = FloatVector.broadcast(SPECIES, a[p + 1]);
            c10 = a1.fma(b0, c10);
            c11 = a1.fma(b1, c11);
            var a2 = FloatVector.broadcast(SPECIES, a[p + 2]);
            c20 = a2.fma(b0, c20);
            c21 = a2.fma(b1, c21);
            var a3 = FloatVector.broadcast(SPECIES, a[p + 3]);
            c30 = a3.fma(b0, c30);
            c31 = a3.fma(b1, c31);
            var a4 = FloatVector.broadcast(SPECIES, a[p + 4]);
            c40 = a4.fma(b0, c40);
            c41 = a4.fma(b1, c41);
            var a5 = FloatVector.broadcast(SPECIES, a[p + 5]);
            c50 = a5.fma(b0, c50);
            c51 = a5.fma(b1, c51);
            var a6 = FloatVector.broadcast(SPECIES, a[p + 6]);
            c60 = a6.fma(b0, c60);
            c61 = a6.fma(b1, c61);
            var a7 = FloatVector.broadcast(SPECIES, a[p + 7]);
            c70 = a7.fma(b0, c70);
            c71 = a7.fma(b1, c71);
            var a8 = FloatVector.broadcast(SPECIES, a[p + 8]);
            c80 = a8.fma(b0, c80);
            c81 = a8.fma(b1, c81);
            var a9 = FloatVector.broadcast(SPECIES, a[p + 9]);
            c90 = a9.fma(b0, c90);
            c91 = a9.fma(b1, c91);
            var aA = FloatVector.broadcast(SPECIES, a[p + 10]);
            cA0 = aA.fma(b0, cA0);
            cA1 = aA.fma(b1, cA1);
            var aB = FloatVector.broadcast(SPECIES, a[p + 11]);
            cB0 = aB.fma(b0, cB0);
            cB1 = aB.fma(b1, cB1);
        }
        c00.intoArray(c, co);
        c01.intoArray(c, co + W);
        c10.intoArray(c, co + ldc);
        c11.intoArray(c, co + ldc + W);
        c20.intoArray(c, co + 2 * ldc);
        c21.intoArray(c, co + 2 * ldc + W);
        c30.intoArray(c, co + 3 * ldc);
        c31.intoArray(c, co + 3 * ldc + W);
        c40.intoArray(c, co + 4 * ldc);
        c41.intoArray(c, co + 4 * ldc + W);
        c50.intoArray(c, co + 5 * ldc);
        c51.intoArray(c, co + 5 * ldc + W);
        c60.intoArray(c, co + 6 * ldc);
        c61.intoArray(c, co + 6 * ldc + W);
        c70.intoArray(c, co + 7 * ldc);
        c71.intoArray(c, co + 7 * ldc + W);
        c80.intoArray(c, co + 8 * ldc);
        c81.intoArray(c, co + 8 * ldc + W);
        c90.intoArray(c, co + 9 * ldc);
        c91.intoArray(c, co + 9 * ldc + W);
        cA0.intoArray(c, co + 10 * ldc);
        cA1.intoArray(c, co + 10 * ldc + W);
        cB0.intoArray(c, co + 11 * ldc);
        cB1.intoArray(c, co + 11 * ldc + W);
    }

    private static FloatVector start(float[] s, int at) {
        return s == null ? FloatVector.zero(SPECIES) : FloatVector.fromArray(SPECIES, s, at);
    }
}
