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

    /**
     * Floats of w that a worker reads in a run. Where one begins, the chip must find out anew what to fetch ahead: shares
     * of 64 KB cost a tenth more time than those of a megabyte.
     */
    private static final int LEAST_READ = 1 << 14, MOST_READ = 1 << 18;

    /** The most floats of B that are packed at a time. */
    private static final int PACKED = 1 << 20;

    /** Where a worker's packed panels of A begin, behind its working memory for the edge. */
    private static final int PANELS = Gemm.EDGE + Scratch.ALIGNED;

    private final Workers workers;
    private final WorkerScratch scratch;
    private final Workers.Task packing = this::packPanel;
    private final Workers.Task product = this::multiplyBlock;
    private float[] packed = new float[0];

    // The product at work: C = op(A)·op(B) + what C starts from, which is C itself if add, else the bias of its column
    // plus the residual, each where given.
    private boolean transposeA, transposeB, add;
    private int m, n, k;
    private float[] a, b, c, bias, residual;
    private int ao, lda, bo, ldb, co, biasAt, residualAt;
    private int panels, kc, tiles, rowBlocks, columns, k0, k1;
    private int[] firstTile = new int[0]; // of each block of rows, and the end

    Matmul(Workers workers) {
        this.workers = workers;
        this.scratch = new WorkerScratch(workers);
    }

    void matmul(
            boolean transposeA, boolean transposeB, int m, int n, int k, Tensor a, Tensor b, Tensor c, boolean add) {
        product(transposeA, transposeB, m, n, k, a, b, c, add, null, null);
    }

    void linear(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        if (x.rows() <= FEW_ROWS) {
            fewRows(x.rows(), w.rows(), x.columns(), x, w, bias, residual, y);
        } else {
            product(false, true, x.rows(), w.rows(), x.columns(), x, w, y, false, bias, residual);
        }
    }

    private void product(
            boolean transposeA,
            boolean transposeB,
            int m,
            int n,
            int k,
            Tensor a,
            Tensor b,
            Tensor c,
            boolean add,
            Tensor bias,
            Tensor residual) {
        if (m == 0 || n == 0) {
            return;
        }
        this.transposeA = transposeA;
        this.transposeB = transposeB;
        this.m = m;
        this.n = n;
        this.k = k;
        this.a = data(a);
        this.b = data(b);
        this.c = data(c);
        this.bias = data(bias);
        this.residual = data(residual);
        ao = a.offset();
        lda = a.columns();
        bo = b.offset();
        ldb = b.columns();
        co = c.offset();
        biasAt = offset(bias);
        residualAt = offset(residual);
        this.add = add;
        run();
    }

    private void run() {
        panels = Math.ceilDiv(n, Gemm.NR);
        kc = blockDepth(k);
        int depthAtOnce = Math.max(1, PACKED / (panels * Gemm.NR) / kc) * kc;
        tiles = Math.ceilDiv(m, Gemm.MR);
        cutRows();
        // Too few blocks of rows to share: cut the columns as well.
        int columnBlocks = rowBlocks >= workers.count() ? 1 : Math.min(panels, 2 * workers.count() / rowBlocks + 1);
        columns = Math.ceilDiv(panels, columnBlocks) * Gemm.NR;
        for (k0 = 0; k0 < Math.max(k, 1); k0 += depthAtOnce) {
            k1 = Math.min(k, k0 + depthAtOnce);
            packed = Scratch.atLeast(Scratch.ALIGNED + panels * Gemm.NR * (k1 - k0) + Pack.SLACK, packed);
            workers.run(panels * Math.ceilDiv(k1 - k0, kc), packing);
            workers.run(rowBlocks * Math.ceilDiv(n, columns), product);
        }
    }

    // Blocks become smaller towards the end, so that no worker waits long for the last one: with even ones, a thread
    // that the machine delays now and then cost a tenth of the time.
    private void cutRows() {
        int most = Gemm.MC / Gemm.MR;
        firstTile = firstTile.length > tiles ? firstTile : new int[tiles + 1];
        rowBlocks = 0;
        for (int tile = 0; tile < tiles; rowBlocks++) {
            firstTile[rowBlocks] = tile;
            int share = workers.count() == 1 ? most : Math.ceilDiv(3 * (tiles - tile), 4 * workers.count());
            tile += Math.min(Math.min(share, most), tiles - tile);
        }
        firstTile[rowBlocks] = tiles;
    }

    // All panels of one depth block, then those of the next.
    private void packPanel(int item, int worker) {
        int j = item % panels * Gemm.NR, from = k0 + item / panels * kc;
        int depth = Math.min(kc, k1 - from), width = Math.min(Gemm.NR, n - j);
        int at = transposeB ? bo + j * ldb + from : bo + from * ldb + j;
        int to = Scratch.ALIGNED + panels * Gemm.NR * (from - k0) + j * depth;
        Gemm.packB(transposeB, b, at, ldb, depth, width, packed, to);
    }

    private void multiplyBlock(int item, int worker) {
        int block = item % rowBlocks, j = item / rowBlocks * columns;
        int i = firstTile[block] * Gemm.MR;
        int height = Math.min(m, firstTile[block + 1] * Gemm.MR) - i, width = Math.min(columns, n - j);
        int at = i * n + j;
        boolean both = k0 == 0 && residual != null && bias != null;
        for (int r = 0; both && r < height; r++) {
            addRows(width, bias, biasAt + j, residual, residualAt + at + r * n, c, co + at + r * n);
        }
        var pa = scratch.of(worker, PANELS + Gemm.MC * Gemm.KC + Pack.SLACK);
        int p = k0;
        do {
            int depth = Math.min(kc, k1 - p), stride = Gemm.NR * depth;
            int aAt = transposeA ? ao + p * lda + i : ao + i * lda + p;
            Gemm.packA(transposeA, a, aAt, lda, height, depth, pa, PANELS);
            int bAt = Scratch.ALIGNED + panels * Gemm.NR * (p - k0) + j * depth;
            if (add || both || p > 0) {
                Gemm.multiply(height, width, depth, pa, PANELS, packed, bAt, stride, c, co + at, n, true, pa, 0);
            } else if (bias != null) {
                multiply(height, width, depth, pa, bAt, at, bias, biasAt + j, 0);
            } else {
                multiply(height, width, depth, pa, bAt, at, residual, residualAt + at, n);
            }
            p += kc;
        } while (p < k1);
    }

    // Starts from s, nullable.
    private void multiply(int rows, int columns, int depth, float[] pa, int bAt, int at, float[] s, int so, int lds) {
        int stride = Gemm.NR * depth;
        Gemm.multiply(rows, columns, depth, pa, PANELS, packed, bAt, stride, c, co + at, n, s, so, lds, pa, 0);
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

    /** A depth of equal blocks, at most KC. It depends on k alone, since it decides where partial sums are rounded to memory. */
    private static int blockDepth(int k) {
        int blocks = Math.max(1, Math.ceilDiv(k, Gemm.KC));
        return Math.max(1, Math.ceilDiv(k, blocks));
    }

    private void fewRows(int m, int n, int k, Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        float[] xs = data(x), ws = data(w), ys = data(y), bs = data(bias), rs = data(residual);
        int xo = x.offset(), wo = w.offset(), yo = y.offset(), bo = offset(bias), ro = offset(residual);
        int shares = shares(n, k);
        workers.run(shares, (share, _) -> {
            int j1 = firstOf(share + 1, shares, n);
            for (int j = firstOf(share, shares, n); j < j1; j++) {
                for (int i = 0; i < m; i++) {
                    float sum = Reductions.dot(xs, xo + i * k, ws, wo + j * k, k);
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

    /** Into how many runs of rows w is cut where it is read once: as many for each worker, unless they would be short. */
    private int shares(int n, int k) {
        long floats = (long) n * k;
        int even = (int) Math.ceilDiv(Math.max(1, floats), (long) workers.count() * MOST_READ) * workers.count();
        return (int) Math.max(1, Math.min(Math.min(n, even), floats / LEAST_READ));
    }

    /** Where a share of n begins, if all are as equal as can be. */
    private static int firstOf(int share, int shares, int n) {
        return (int) ((long) share * n / shares);
    }
}
