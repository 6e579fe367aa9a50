package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Lanes.W;

/**
 * The pieces of a blocked matrix product C (+)= op(A) · op(B) on one thread: packing, and the product of packed blocks.
 *
 * <p>A is packed into panels of {@link #MR} rows, a[k][MR]; B into panels of {@link #NR} columns, b[k][NR]. Every element of C is one
 * chain of multiply-adds over k, so neither the blocking of rows and columns nor the edge changes a bit of it. After Goto and van de
 * Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).
 */
final class Gemm {
    // 32 vector registers hold 24 sums, 2 vectors of B and one of A; 16 registers hold 12 sums.
    private static final boolean MANY_REGISTERS = W == 16 || Lanes.ARM;

    /** Rows of a tile of C. */
    static final int MR = MANY_REGISTERS ? Tile12x2.ROWS : Tile6x2.ROWS;

    /** Columns of a tile of C. */
    static final int NR = 2 * W;

    /** The most rows of A that are packed at a time. */
    static final int MC = 16 * MR;

    /** The most columns of A that are packed at a time: a panel of A of this depth fits the first-level cache. */
    static final int KC = 640;

    /** The most floats of B that one panel of A after the other is multiplied by: together they fit the second-level cache. */
    private static final int B_BLOCK = 160 << 10;

    /** Floats that {@link #multiply} needs for tiles at the edge. */
    static final int EDGE = MR * NR;

    private Gemm() {}

    /** How many panels of a width cover n. */
    static int panels(int n, int width) {
        return (n + width - 1) / width;
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
            int count = Math.min(MR, rows - i);
            if (transposed) {
                Pack.copyRows(a, ao + i, lda, count, depth, out, to, MR);
            } else {
                Pack.transposeRows(a, ao + i * lda, lda, count, depth, out, to, MR);
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

    /**
     * C[rows × columns] (+)= packed A · packed B, one block of columns after the other.
     *
     * @param a panels of A from {@code ao}, one after the other
     * @param b panels of B, {@code panelStride} apart from {@code bo} on
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
            int panelStride,
            float[] c,
            int co,
            int ldc,
            boolean add,
            float[] edge,
            int eo) {
        int panels = panels(columns, NR);
        int most = Math.max(1, B_BLOCK / (NR * Math.max(1, depth)));
        int atOnce = panels(panels, panels(panels, most));
        for (int p = 0; p < panels; p += atOnce) {
            int j = p * NR, width = Math.min(columns - j, atOnce * NR);
            multiplyBlock(
                    rows, width, depth, a, ao, b, bo + p * panelStride, panelStride, c, co + j, ldc, add, edge, eo);
        }
    }

    // A panel of A stays in the first-level cache while B streams from the second, and the rows of C are walked along,
    // as the
    // prefetchers of the chip expect: the other order keeps a panel of B instead, jumps about in C, and is 8 % slower
    // where C is large.
    private static void multiplyBlock(
            int rows,
            int columns,
            int depth,
            float[] a,
            int ao,
            float[] b,
            int bo,
            int panelStride,
            float[] c,
            int co,
            int ldc,
            boolean add,
            float[] edge,
            int eo) {
        for (int i = 0; i < rows; i += MR, ao += MR * depth, co += MR * ldc) {
            for (int j = 0, panel = bo; j < columns; j += NR, panel += panelStride) {
                if (i + MR <= rows && j + NR <= columns) {
                    tile(depth, a, ao, b, panel, c, co + j, ldc, add);
                } else {
                    int height = Math.min(MR, rows - i), width = Math.min(NR, columns - j);
                    edgeTile(height, width, depth, a, ao, b, panel, c, co + j, ldc, add, edge, eo);
                }
            }
        }
    }

    private static void tile(int depth, float[] a, int ao, float[] b, int bo, float[] c, int co, int ldc, boolean add) {
        if (MANY_REGISTERS) {
            Tile12x2.multiply(depth, a, ao, b, bo, c, co, ldc, add);
        } else {
            Tile6x2.multiply(depth, a, ao, b, bo, c, co, ldc, add);
        }
    }

    // A whole tile in working memory, of which the valid part goes in and out: the same sums as within the matrix.
    private static void edgeTile(
            int rows,
            int columns,
            int depth,
            float[] a,
            int ao,
            float[] b,
            int bo,
            float[] c,
            int co,
            int ldc,
            boolean add,
            float[] edge,
            int eo) {
        if (add) {
            for (int i = 0; i < rows; i++) {
                System.arraycopy(c, co + i * ldc, edge, eo + i * NR, columns);
            }
        }
        tile(depth, a, ao, b, bo, edge, eo, NR, add);
        for (int i = 0; i < rows; i++) {
            System.arraycopy(edge, eo + i * NR, c, co + i * ldc, columns);
        }
    }
}
