package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;

import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** A linear layer of few rows, as in generation: reading w is all the work, so nothing is packed, and each element of y is one dot product. */
final class FewRows {
    /** The most rows that are few. */
    static final int MOST = 4;

    /**
     * Floats of w that a worker reads in a run. Where one begins, the chip must find out anew what to fetch ahead: shares
     * of 64 KB cost a tenth more time than those of a megabyte.
     */
    private static final int LEAST_READ = 1 << 14, MOST_READ = 1 << 18;

    private final Workers workers;

    FewRows(Workers workers) {
        this.workers = workers;
    }

    /** y = x · wᵀ + bias + residual, those nullable. */
    void linear(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        int m = x.rows(), n = w.rows(), k = x.columns();
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
