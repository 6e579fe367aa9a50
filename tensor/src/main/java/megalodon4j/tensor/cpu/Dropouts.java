package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;

import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** Dropout by factors, 0 or 1 / (1 − p), that are made row by row where they are needed. */
final class Dropouts implements Kernels.Dropouts {
    private final Workers workers;
    private final WorkerScratch scratch;
    private final int[][] words; // (workers, 4), each in a cache line of its own

    Dropouts(Workers workers) {
        this.workers = workers;
        scratch = new WorkerScratch(workers);
        words = new int[workers.count()][32];
    }

    @Override
    public void dropout(Dropout dropout, Tensor x, Tensor y) {
        int length = x.shape().size(1), columns = x.columns();
        float[] xs = data(x), ys = data(y);
        int xo = offset(x), yo = offset(y);
        new Blocks(workers, (from, to, worker) -> {
                    var factors = scratch.of(worker, columns);
                    for (int row = from; row < to; row++) {
                        int at = row * columns;
                        factors(dropout, row / length, row % length, 0, columns, factors, 0, worker);
                        Elementwise.multiply(xs, xo + at, factors, 0, ys, yo + at, columns, false);
                    }
                })
                .rows(x.rows());
    }

    /** The factors of columns [from, from + count) of a row of the batch's sequence {@code b}. */
    void factors(Dropout dropout, int b, int row, int from, int count, float[] to, int at, int worker) {
        int threshold = dropout.threshold() + Integer.MIN_VALUE;
        float scale = dropout.scale();
        var four = words[worker];
        for (int column = from & -4; column < from + count; column += 4) {
            dropout.words(b, row, column, four);
            int first = Math.max(column, from), end = Math.min(column + 4, from + count);
            for (int c = first; c < end; c++) {
                to[at + c - from] = four[c - column] + Integer.MIN_VALUE < threshold ? 0 : scale;
            }
        }
    }
}
