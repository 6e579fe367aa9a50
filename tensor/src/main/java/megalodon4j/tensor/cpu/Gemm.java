package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Lanes.W;

import java.util.Arrays;

/**
 * The pieces of a blocked matrix product C (+)= op(A) · op(B) on one thread: packing, and the product of packed blocks.
 *
 * <p>A is packed into panels of {@link #MR} rows, a[k][MR], the last one into {@link Tile4x2#ROWS} where no more are
 * left; B into panels of {@link #NR} columns, b[k][NR]. Every element of C is one chain of multiply-adds over k, so
 * neither the blocking of rows and columns nor the edge changes a bit of it. After Goto and van de Geijn, "Anatomy of
 * High-Performance Matrix Multiplication" (2008).
 */
final class Gemm {
    // 32 vector registers hold 24 sums, 2 vectors of B and what is needed of A; 16 hold 8 sums, 2 vectors of B and 4
    // broadcasts of A, all of which C2 loads before it multiplies.
    private static final boolean MANY_REGISTERS = W == 16 || Lanes.ARM;

    /** Rows of a tile of C. */
    static final int MR = MANY_REGISTERS ? Tile12x2.ROWS : Tile4x2.ROWS;

    /** Rows of C that are computed while a block of B passes. */
    private static final int STAY = MANY_REGISTERS ? MR : 4 * MR;

    /** Columns of a tile of C. */
    static final int NR = 2 * W;

    /** The most rows of A that are packed at a time. */
    static final int MC = 192;

    /** The most columns of A that are packed at a time: {@link #STAY} rows of this depth fit the first-level cache. */
    static final int KC = 640;

    /** The most floats of a block of B, which passes once for each {@link #STAY} rows: it fits the second-level cache. */
    private static final int B_BLOCK = 160 << 10;

    /** Floats that {@link #multiply} needs for tiles at the edge. */
    static final int EDGE = MR * NR;

    /** Where panels begin in a worker's memory: at a cache line, behind those floats. */
    static final int PANELS = Scratch.ALIGNED + EDGE;

    private Gemm() {}

    /** The rows of a panel of A that begins where so many are left. */
    static int panelRows(int left) {
        return left <= Tile4x2.ROWS ? Tile4x2.ROWS : MR;
    }

    /** Packs {@code rows} × {@code depth} of op(A); element (i, k) is {@code a[ao + i·lda + k]}, transposed {@code a[ao + k·lda + i]}. */
    static void packA(boolean transposed, float[] a, int ao, int lda, int rows, int depth, float[] out, int to) {
        int i = 0;
        if (transposed) {
            for (; i + 4 * MR <= rows; i += 4 * MR, to += 4 * MR * depth) {
                Pack.copyFourPanels(a, ao + i, lda, depth, out, to, MR);
            }
        }
        for (; i < rows; i += MR, to += MR * depth) {
            int count = Math.min(MR, rows - i), width = panelRows(rows - i);
            if (transposed) {
                Pack.copyRows(a, ao + i, lda, count, depth, out, to, width);
            } else {
                Pack.transposeRows(a, ao + i * lda, lda, count, depth, out, to, width);
            }
        }
    }

    /** Packs one panel of op(B), at most NR columns; element (k, j) is {@code b[bo + k·ldb + j]}, transposed {@code b[bo + j·ldb + k]}. */
    static void packB(boolean transposed, float[] b, int bo, int ldb, int depth, int columns, float[] out, int to) {
        if (transposed) {
            Pack.transposeRows(b, bo, ldb, columns, depth, out, to, NR);
        } else {
            Pack.copyRows(b, bo, ldb, columns, depth, out, to, NR);
        }
    }

    /** C[rows × columns] (+)= packed A · packed B: {@link #multiply} with C itself as what is added. */
    static void multiply(
            int rows,
            int columns,
            int depth,
            float[] a,
            int ao,
            float[] b,
            int bo,
            int stride,
            float[] c,
            int co,
            int ldc,
            boolean add,
            float[] edge,
            int eo) {
        multiply(rows, columns, depth, a, ao, b, bo, stride, c, co, ldc, add ? c : null, co, ldc, edge, eo);
    }

    /**
     * C = packed A · packed B + S, S being left out where null; one block of columns after the other.
     *
     * @param a panels of A from {@code ao}, one after the other; {@code rows} are all that were packed, or whole panels of them
     * @param b panels of B, {@code stride} apart from {@code bo} on
     * @param c rows × columns from {@code co}, rows {@code ldc} apart
     * @param s the same from {@code so}, rows {@code lds} apart: C itself, or a row for all with 0
     * @param edge {@link #EDGE} floats of working memory from {@code eo} on
     */
    static void multiply(
            int rows,
            int columns,
            int depth,
            float[] a,
            int ao,
            float[] b,
            int bo,
            int stride,
            float[] c,
            int co,
            int ldc,
            float[] s,
            int so,
            int lds,
            float[] edge,
            int eo) {
        int panels = Math.ceilDiv(columns, NR);
        int most = Math.max(1, B_BLOCK / (NR * Math.max(1, depth)));
        int atOnce = Math.ceilDiv(panels, Math.ceilDiv(panels, most));
        for (int p = 0; p < panels; p += atOnce) {
            int j = p * NR, width = Math.min(columns - j, atOnce * NR), block = bo + p * stride;
            multiplyBlock(rows, width, depth, a, ao, b, block, stride, c, co + j, ldc, s, so + j, lds, edge, eo);
        }
    }

    // Some rows of A stay in the first-level cache while B streams from the second, and the rows of C are walked along,
    // as the chip's prefetchers expect: the other order keeps a panel of B instead, jumps about in C, and is 8 % slower
    // where C is large.
    private static void multiplyBlock(
            int rows,
            int columns,
            int depth,
            float[] a,
            int ao,
            float[] b,
            int bo,
            int stride,
            float[] c,
            int co,
            int ldc,
            float[] s,
            int so,
            int lds,
            float[] edge,
            int eo) {
        for (int first = 0; first < rows; first += STAY) {
            int end = Math.min(rows, first + STAY);
            for (int j = 0, panel = bo; j < columns; j += NR, panel += stride) {
                for (int i = first; i < end; i += MR) {
                    int height = Math.min(MR, rows - i), width = Math.min(NR, columns - j);
                    int at = ao + i * depth, to = co + i * ldc + j, from = so + i * lds + j;
                    if (width == NR && height == panelRows(height)) {
                        tile(height, depth, a, at, b, panel, c, to, ldc, s, from, lds);
                        continue;
                    }
                    startEdge(height, width, s, from, lds, edge, eo);
                    tile(height, depth, a, at, b, panel, edge, eo, NR, edge, eo, NR);
                    for (int r = 0; r < height; r++) {
                        System.arraycopy(edge, eo + r * NR, c, to + r * ldc, width);
                    }
                }
            }
        }
    }

    private static void tile(
            int height,
            int depth,
            float[] a,
            int ao,
            float[] b,
            int bo,
            float[] c,
            int co,
            int ldc,
            float[] s,
            int so,
            int lds) {
        if (height > Tile4x2.ROWS) {
            Tile12x2.multiply(depth, a, ao, b, bo, c, co, ldc, s, so, lds);
        } else {
            Tile4x2.multiply(depth, a, ao, b, bo, c, co, ldc, s, so, lds);
        }
    }

    // At an edge a whole tile is computed in working memory, of which the valid part goes in and out: the same sums.
    private static void startEdge(int rows, int columns, float[] s, int so, int lds, float[] edge, int eo) {
        Arrays.fill(edge, eo, eo + EDGE, 0);
        for (int i = 0; s != null && i < rows; i++) {
            System.arraycopy(s, so + i * lds, edge, eo + i * NR, columns);
        }
    }
}
