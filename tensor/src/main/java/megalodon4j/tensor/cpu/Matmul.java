package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import java.util.ArrayList;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * Matrix products on all workers: B is packed by all of them together, then each takes blocks of rows of C, packs its own block of A, and
 * multiplies. How rows are cut depends on the number of workers; the numbers do not (see {@link Gemm}).
 *
 * <p>Products that share a matrix are computed in one loop, where it is read and packed once: those of the same A (several layers of one
 * input), of the same C (the gradient of that input, a sum), or of the same B (the gradients of the layers' weights).
 */
final class Matmul implements Kernels.Products {
    /** The most floats of B that are packed at a time, where there is more than one block of them. */
    private static final int PACKED = 1 << 20;

    /** The same where all products share B: few enough that its panels stay in the second-level cache from one block of rows to the next. */
    private static final int PACKED_SHARED = 1 << 18;

    private final Workers workers;
    private final WorkerScratch scratch;
    private final FewRows fewRows;
    private final Workers.Task packing = this::packPanel;
    private final Workers.Task product = this::multiplyRows;
    private float[] packed = new float[0];

    // The products at work.
    private final ArrayList<Product> products = new ArrayList<>(List.of(new Product()));
    private int count;
    private boolean stacked; // all share B: their rows follow each other. Else all have the same rows.

    // Blocks of B that are packed together, each of all columns and a part of the depth.
    private final ArrayList<Slab> slabs = new ArrayList<>(List.of(new Slab()));
    private int slabCount, panelCount;
    private int rowBlocks, columnBlocks;

    // Of each block of rows: whose they are, and the first of them, in tiles.
    private int[] blockProduct = new int[0];
    private int[] blockTile = new int[0];

    /** C = op(A)·op(B) + what C starts from, which is C itself if add, else the bias of its column plus the residual, each where given. */
    private static final class Product {
        boolean transposeA, transposeB, add;
        int m, n, k, kc, panels, columns;
        float[] a, b, c, bias, residual;
        int ao, lda, bo, ldb, co, biasAt, residualAt;

        boolean hasA(Product other) {
            return a == other.a && ao == other.ao && lda == other.lda;
        }
    }

    /** Rows {@code from} … {@code from + depth - 1} of op(B) of a product, its panels packed from {@code at} on. */
    private static final class Slab {
        Product product;
        int from, depth, at, firstPanel;
    }

    Matmul(Workers workers) {
        this.workers = workers;
        this.scratch = new WorkerScratch(workers);
        this.fewRows = new FewRows(workers);
    }

    @Override
    public void matmul(
            boolean transposeA, boolean transposeB, int m, int n, int k, Tensor a, Tensor b, Tensor c, boolean add) {
        begin(transposeA);
        add(transposeA, transposeB, m, n, k, a, b, c, add, null, null);
        run();
    }

    @Override
    public void linear(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        begin(false);
        addLinear(x, w, bias, residual, y);
        run();
    }

    /** y_i = x · w_iᵀ + bias_i, the first one + residual. */
    @Override
    public void linear(Tensor x, Tensor[] w, Tensor[] bias, Tensor residual, Tensor[] y) {
        begin(false);
        for (int i = 0; i < w.length; i++) {
            addLinear(x, w[i], bias[i], i == 0 ? residual : null, y[i]);
        }
        run();
    }

    private void addLinear(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        if (x.rows() <= FewRows.MOST) {
            fewRows.linear(x, w, bias, residual, y);
        } else {
            add(false, true, x.rows(), w.rows(), x.columns(), x, w, y, false, bias, residual);
        }
    }

    @Override
    public void linearGrad(Tensor[] dy, Tensor x, Tensor[] w, Tensor dx, boolean addX, Tensor[] dw, boolean[] addW) {
        linearGradX(dy, w, dx, addX);
        linearGradW(dy, x, dw, addW);
    }

    /** dx (+)= Σ dy_i · w_i. */
    private void linearGradX(Tensor[] dy, Tensor[] w, Tensor dx, boolean addX) {
        begin(false);
        for (int i = 0; i < dy.length; i++) {
            add(false, false, dx.rows(), dx.columns(), dy[i].columns(), dy[i], w[i], dx, addX || i > 0, null, null);
        }
        run();
    }

    /** dw_i (+)= dy_iᵀ · x. */
    private void linearGradW(Tensor[] dy, Tensor x, Tensor[] dw, boolean[] addW) {
        begin(true);
        for (int i = 0; i < dy.length; i++) {
            add(true, false, dy[i].columns(), x.columns(), x.rows(), dy[i], x, dw[i], addW[i], null, null);
        }
        run();
    }

    private void begin(boolean stacked) {
        count = 0;
        this.stacked = stacked;
    }

    private void add(
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
        if (count == products.size()) {
            products.add(new Product());
        }
        var p = products.get(count++);
        p.transposeA = transposeA;
        p.transposeB = transposeB;
        p.m = m;
        p.n = n;
        p.k = k;
        p.a = data(a);
        p.b = data(b);
        p.c = data(c);
        p.bias = data(bias);
        p.residual = data(residual);
        p.ao = a.offset();
        p.lda = a.columns();
        p.bo = b.offset();
        p.ldb = b.columns();
        p.co = c.offset();
        p.biasAt = offset(bias);
        p.residualAt = offset(residual);
        p.add = add;
        p.panels = Math.ceilDiv(n, Gemm.NR);
        p.kc = blockDepth(k);
    }

    private void run() {
        if (count == 0) {
            return;
        }
        cutRows();
        // Too few blocks of rows to share: cut the columns as well.
        columnBlocks = rowBlocks >= workers.count() ? 1 : 2 * workers.count() / rowBlocks + 1;
        for (int i = 0; i < count; i++) {
            var p = products.get(i);
            p.columns = Math.ceilDiv(p.panels, columnBlocks) * Gemm.NR;
        }
        int most = stacked ? PACKED_SHARED : PACKED, floats = 0;
        slabCount = 0;
        // Block by block of the depth, and of each those of all products, so that the same A follows itself.
        int kinds = stacked ? 1 : count;
        for (int block = 0, left = kinds; left > 0; block++) {
            left = 0;
            for (int i = 0; i < kinds; i++) {
                var p = products.get(i);
                int from = block * p.kc;
                if (from >= Math.max(1, p.k)) {
                    continue;
                }
                left++;
                int size = p.panels * Gemm.NR * Math.min(p.kc, p.k - from);
                if (slabCount > 0 && floats + size > most) {
                    runSlabs(floats);
                    floats = 0;
                }
                addSlab(p, from, floats);
                floats += size;
            }
        }
        runSlabs(floats);
    }

    private void addSlab(Product product, int from, int at) {
        if (slabCount == slabs.size()) {
            slabs.add(new Slab());
        }
        var slab = slabs.get(slabCount++);
        slab.product = product;
        slab.from = from;
        slab.depth = Math.min(product.kc, product.k - from);
        slab.at = Scratch.ALIGNED + at;
        slab.firstPanel = slabCount == 1 ? 0 : panelCount;
        panelCount = slab.firstPanel + product.panels;
    }

    private void runSlabs(int floats) {
        packed = Scratch.atLeast(Scratch.ALIGNED + floats + Pack.SLACK, packed);
        workers.run(panelCount, packing);
        workers.run(rowBlocks * columnBlocks, product);
        slabCount = 0;
    }

    // Blocks become smaller towards the end, so that no worker waits long for the last one: with even ones, a thread
    // that the machine delays now and then cost a tenth of the time.
    private void cutRows() {
        int most = Gemm.MC / Gemm.MR, left = 0, owners = stacked ? count : 1;
        for (int i = 0; i < owners; i++) {
            left += Math.ceilDiv(products.get(i).m, Gemm.MR);
        }
        if (blockTile.length < left) {
            blockTile = new int[left];
            blockProduct = new int[left];
        }
        rowBlocks = 0;
        for (int i = 0; i < owners; i++) {
            int tiles = Math.ceilDiv(products.get(i).m, Gemm.MR);
            for (int tile = 0; tile < tiles; rowBlocks++) {
                blockProduct[rowBlocks] = i;
                blockTile[rowBlocks] = tile;
                int share = workers.count() == 1 ? most : Math.ceilDiv(3 * left, 4 * workers.count());
                int height = Math.min(Math.min(share, most), tiles - tile);
                tile += height;
                left -= height;
            }
        }
    }

    private void packPanel(int item, int worker) {
        int s = slabCount - 1;
        while (slabs.get(s).firstPanel > item) {
            s--;
        }
        var slab = slabs.get(s);
        var p = slab.product;
        int j = (item - slab.firstPanel) * Gemm.NR, width = Math.min(Gemm.NR, p.n - j);
        int at = p.transposeB ? p.bo + j * p.ldb + slab.from : p.bo + slab.from * p.ldb + j;
        Gemm.packB(p.transposeB, p.b, at, p.ldb, slab.depth, width, packed, slab.at + j * slab.depth);
    }

    private void multiplyRows(int item, int worker) {
        int block = item % rowBlocks, columnBlock = item / rowBlocks;
        var owner = products.get(blockProduct[block]);
        int i = blockTile[block] * Gemm.MR;
        int end = block + 1 < rowBlocks && blockProduct[block + 1] == blockProduct[block]
                ? blockTile[block + 1] * Gemm.MR
                : owner.m;
        var pa = scratch.of(worker, Gemm.PANELS + Gemm.MC * Gemm.KC + Pack.SLACK);
        Product inPanels = null; // whose A is packed, from the depth packedFrom on
        int packedFrom = -1;
        for (int s = 0; s < slabCount; s++) {
            var slab = slabs.get(s);
            var p = stacked ? owner : slab.product;
            int j = columnBlock * p.columns, width = Math.min(p.columns, p.n - j);
            if (width <= 0) {
                continue;
            }
            if (inPanels == null || !p.hasA(inPanels) || slab.from != packedFrom) {
                int at = p.transposeA ? p.ao + slab.from * p.lda + i : p.ao + i * p.lda + slab.from;
                Gemm.packA(p.transposeA, p.a, at, p.lda, end - i, slab.depth, pa, Gemm.PANELS);
                inPanels = p;
                packedFrom = slab.from;
            }
            multiply(p, slab, i, end - i, j, width, pa);
        }
    }

    private void multiply(Product p, Slab slab, int i, int height, int j, int width, float[] pa) {
        int at = i * p.n + j, c = p.co + at, b = slab.at + j * slab.depth, stride = Gemm.NR * slab.depth;
        float[] s = p.c;
        int so = c, lds = p.n;
        if (slab.from == 0 && !p.add) {
            if (p.bias == null) {
                s = p.residual;
                so = p.residualAt + at;
            } else if (p.residual == null) {
                s = p.bias;
                so = p.biasAt + j;
                lds = 0;
            } else {
                for (int r = 0; r < height; r++) {
                    addRows(width, p.bias, p.biasAt + j, p.residual, p.residualAt + at + r * p.n, p.c, c + r * p.n);
                }
            }
        }
        Gemm.multiply(height, width, slab.depth, pa, Gemm.PANELS, packed, b, stride, p.c, c, p.n, s, so, lds, pa, 0);
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
}
