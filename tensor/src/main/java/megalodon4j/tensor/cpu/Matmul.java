package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * Matrix products on all workers: B is packed by all of them together, then each takes blocks of rows of C, packs its own block of A, and
 * multiplies. How rows are cut depends on the number of workers; the numbers do not (see {@link Gemm}).
 */
final class Matmul {
    /** Up to so many rows, reading w is all the work: no packing then, but one dot product for each element. */
    private static final int FEW_ROWS = 4;

    /** The most floats of B that are packed at a time. */
    private static final int PACKED = 1 << 20;

    /** Where a worker's packed panels of A begin, behind its working memory for the edge. */
    private static final int PANELS = Gemm.EDGE + Scratch.ALIGNED;

    private final Workers workers;
    private final WorkerScratch scratch;
    private float[] packed = new float[0];

    Matmul(Workers workers) {
        this.workers = workers;
        this.scratch = new WorkerScratch(workers);
    }

    void matmul(
            boolean transposeA, boolean transposeB, int m, int n, int k, Tensor a, Tensor b, Tensor c, boolean add) {
        product(
                transposeA,
                transposeB,
                m,
                n,
                k,
                data(a),
                a.offset(),
                a.columns(),
                data(b),
                b.offset(),
                b.columns(),
                data(c),
                c.offset(),
                n,
                add,
                null,
                0,
                null,
                0);
    }

    void linear(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        int m = x.rows(), n = w.rows(), k = x.columns();
        if (m <= FEW_ROWS) {
            fewRows(m, n, k, x, w, bias, residual, y);
            return;
        }
        product(
                false,
                true,
                m,
                n,
                k,
                data(x),
                x.offset(),
                k,
                data(w),
                w.offset(),
                k,
                data(y),
                y.offset(),
                n,
                false,
                data(bias),
                offset(bias),
                data(residual),
                offset(residual));
    }

    /** C = op(A)·op(B) + what C starts from: itself if {@code add}, else the bias of its column plus the residual, each where given. */
    private void product(
            boolean transposeA,
            boolean transposeB,
            int m,
            int n,
            int k,
            float[] a,
            int ao,
            int lda,
            float[] b,
            int bo,
            int ldb,
            float[] c,
            int co,
            int ldc,
            boolean add,
            float[] bias,
            int biasAt,
            float[] residual,
            int residualAt) {
        if (m == 0 || n == 0) {
            return;
        }
        int panels = Gemm.panels(n, Gemm.NR);
        int kc = blockDepth(k);
        int depthAtOnce = Math.max(1, PACKED / (panels * Gemm.NR) / kc) * kc;
        int tiles = Gemm.panels(m, Gemm.MR);
        // As many blocks for each worker, and all of them equal but for one tile.
        int rowBlocks =
                Math.min(tiles, Gemm.panels(Gemm.panels(tiles, Gemm.MC / Gemm.MR), workers.count()) * workers.count());
        // Too few blocks of rows to share: cut the columns as well.
        int columnBlocks = rowBlocks >= workers.count() ? 1 : Math.min(panels, 2 * workers.count() / rowBlocks + 1);
        int columns = Gemm.panels(panels, columnBlocks) * Gemm.NR;
        boolean startsFromC = add || bias != null || residual != null || k == 0;
        for (int from = 0; from < Math.max(k, 1); from += depthAtOnce) {
            int k0 = from, k1 = Math.min(k, from + depthAtOnce);
            packB(transposeB, n, k0, k1, kc, b, bo, ldb);
            var pb = packed;
            workers.run(rowBlocks * Gemm.panels(n, columns), (item, worker) -> {
                int block = item % rowBlocks, j = item / rowBlocks * columns;
                int i = firstRow(block, rowBlocks, tiles);
                int height = Math.min(m, firstRow(block + 1, rowBlocks, tiles)) - i, width = Math.min(columns, n - j);
                if (k0 == 0 && startsFromC && !add) {
                    start(
                            height,
                            width,
                            c,
                            co + i * ldc + j,
                            ldc,
                            bias,
                            biasAt + j,
                            residual,
                            residualAt + i * ldc + j);
                }
                var pa = scratch.of(worker, PANELS + Gemm.MC * Gemm.KC + Pack.SLACK);
                for (int p = k0; p < k1; p += kc) {
                    int depth = Math.min(kc, k1 - p);
                    int at = transposeA ? ao + p * lda + i : ao + i * lda + p;
                    Gemm.packA(transposeA, a, at, lda, height, depth, pa, PANELS);
                    int bAt = Scratch.ALIGNED + panels * Gemm.NR * (p - k0) + j * depth;
                    Gemm.multiply(
                            height,
                            width,
                            depth,
                            pa,
                            PANELS,
                            pb,
                            bAt,
                            Gemm.NR * depth,
                            c,
                            co + i * ldc + j,
                            ldc,
                            startsFromC || p > 0,
                            pa,
                            0);
                }
            });
        }
    }

    // All panels of one depth block, then those of the next.
    private void packB(boolean transposed, int n, int k0, int k1, int kc, float[] b, int bo, int ldb) {
        int panels = Gemm.panels(n, Gemm.NR);
        int floats = Scratch.ALIGNED + panels * Gemm.NR * (k1 - k0) + Pack.SLACK;
        if (packed.length < floats) {
            packed = new float[floats];
        }
        workers.run(panels * Gemm.panels(k1 - k0, kc), (item, _) -> {
            int j = item % panels * Gemm.NR, k = k0 + item / panels * kc;
            int depth = Math.min(kc, k1 - k);
            int at = transposed ? bo + j * ldb + k : bo + k * ldb + j;
            Gemm.packB(
                    transposed,
                    b,
                    at,
                    ldb,
                    depth,
                    Math.min(Gemm.NR, n - j),
                    packed,
                    Scratch.ALIGNED + panels * Gemm.NR * (k - k0) + j * depth);
        });
    }

    private static void start(
            int rows,
            int columns,
            float[] c,
            int co,
            int ldc,
            float[] bias,
            int biasAt,
            float[] residual,
            int residualAt) {
        for (int i = 0; i < rows; i++, co += ldc, residualAt += ldc) {
            if (residual == null && bias == null) {
                java.util.Arrays.fill(c, co, co + columns, 0);
            } else if (residual == null) {
                System.arraycopy(bias, biasAt, c, co, columns);
            } else if (bias == null) {
                System.arraycopy(residual, residualAt, c, co, columns);
            } else {
                addRows(columns, bias, biasAt, residual, residualAt, c, co);
            }
        }
    }

    private static void addRows(int n, float[] x, int xo, float[] y, int yo, float[] z, int zo) {
        int i = 0;
        for (; i + W <= n; i += W) {
            FloatVector.fromArray(SPECIES, x, xo + i)
                    .add(FloatVector.fromArray(SPECIES, y, yo + i))
                    .intoArray(z, zo + i);
        }
        for (; i < n; i++) {
            z[zo + i] = x[xo + i] + y[yo + i];
        }
    }

    private static int firstRow(int block, int blocks, int tiles) {
        return (int) ((long) block * tiles / blocks) * Gemm.MR;
    }

    /** A depth of equal blocks, at most KC. It depends on k alone, since it decides where partial sums are rounded to memory. */
    private static int blockDepth(int k) {
        int blocks = Math.max(1, Gemm.panels(k, Gemm.KC));
        return Math.max(1, Gemm.panels(k, blocks));
    }

    private void fewRows(int m, int n, int k, Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        float[] xs = data(x), ws = data(w), ys = data(y), bs = data(bias), rs = data(residual);
        int xo = x.offset(), wo = w.offset(), yo = y.offset(), bo = offset(bias), ro = offset(residual);
        // A worker's share is a run of rows of w, some 64 KB.
        int block = Math.max(1, (1 << 14) / Math.max(1, k));
        workers.run(Gemm.panels(n, block), (item, _) -> {
            int j1 = Math.min(n, (item + 1) * block);
            for (int j = item * block; j < j1; j++) {
                for (int i = 0; i < m; i++) {
                    float sum = dot(k, xs, xo + i * k, ws, wo + j * k);
                    if (bs != null) {
                        sum += bs[bo + j];
                    }
                    if (rs != null) {
                        sum += rs[ro + i * n + j];
                    }
                    ys[yo + i * n + j] = sum;
                }
            }
        });
    }

    private static float dot(int n, float[] x, int xo, float[] y, int yo) {
        var s0 = FloatVector.zero(SPECIES);
        var s1 = FloatVector.zero(SPECIES);
        var s2 = FloatVector.zero(SPECIES);
        var s3 = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i + 4 * W <= n; i += 4 * W) {
            s0 = FloatVector.fromArray(SPECIES, x, xo + i)
                    .mul(FloatVector.fromArray(SPECIES, y, yo + i))
                    .add(s0);
            s1 = FloatVector.fromArray(SPECIES, x, xo + i + W)
                    .mul(FloatVector.fromArray(SPECIES, y, yo + i + W))
                    .add(s1);
            s2 = FloatVector.fromArray(SPECIES, x, xo + i + 2 * W)
                    .mul(FloatVector.fromArray(SPECIES, y, yo + i + 2 * W))
                    .add(s2);
            s3 = FloatVector.fromArray(SPECIES, x, xo + i + 3 * W)
                    .mul(FloatVector.fromArray(SPECIES, y, yo + i + 3 * W))
                    .add(s3);
        }
        for (; i + W <= n; i += W) {
            s0 = FloatVector.fromArray(SPECIES, x, xo + i)
                    .mul(FloatVector.fromArray(SPECIES, y, yo + i))
                    .add(s0);
        }
        float sum = VectorMath.sum(s0.add(s1).add(s2.add(s3)));
        for (; i < n; i++) {
            sum += x[xo + i] * y[yo + i];
        }
        return sum;
    }
}
