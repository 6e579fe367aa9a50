package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;
import static megalodon4j.tensor.cpu.Lanes.fma;

import jdk.incubator.vector.FloatVector;

/** {@link Tile12x2} with 4 rows: for chips of 16 vector registers, and for rows that are left over. */
final class Tile4x2 {
    static final int ROWS = 4;

    private Tile4x2() {}

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
        for (int k = 0, p = ao, q = bo; k < kc; k++, p += 4, q += 2 * W) {
            var b0 = FloatVector.fromArray(SPECIES, b, q);
            var b1 = FloatVector.fromArray(SPECIES, b, q + W);
            var a0 = FloatVector.broadcast(SPECIES, a[p]);
            c00 = fma(a0, b0, c00);
            c01 = fma(a0, b1, c01);
            var a1 = FloatVector.broadcast(SPECIES, a[p + 1]);
            c10 = fma(a1, b0, c10);
            c11 = fma(a1, b1, c11);
            var a2 = FloatVector.broadcast(SPECIES, a[p + 2]);
            c20 = fma(a2, b0, c20);
            c21 = fma(a2, b1, c21);
            var a3 = FloatVector.broadcast(SPECIES, a[p + 3]);
            c30 = fma(a3, b0, c30);
            c31 = fma(a3, b1, c31);
        }
        c00.intoArray(c, co);
        c01.intoArray(c, co + W);
        c10.intoArray(c, co + ldc);
        c11.intoArray(c, co + ldc + W);
        c20.intoArray(c, co + 2 * ldc);
        c21.intoArray(c, co + 2 * ldc + W);
        c30.intoArray(c, co + 3 * ldc);
        c31.intoArray(c, co + 3 * ldc + W);
    }

    private static FloatVector start(float[] s, int at) {
        return s == null ? FloatVector.zero(SPECIES) : FloatVector.fromArray(SPECIES, s, at);
    }
}
