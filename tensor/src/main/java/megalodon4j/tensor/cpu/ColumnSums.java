package megalodon4j.tensor.cpu;

import java.util.Arrays;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * Sums over rows, which the gradients of vectors are: every block of {@link Blocks#ROWS} rows adds up a partial sum of its own, in
 * the same pass that computes something else of these rows; {@link #finish} adds the partial sums in the order of the blocks.
 *
 * <pre>
 * sums.start(result, rows);
 * … for each block of rows [from, to):
 *     int at = sums.open(from);
 *     … add these rows to sums.partial[at …]
 * sums.finish(add);
 * </pre>
 */
final class ColumnSums {
    private static final int STRIP = 256;

    private final Blocks strips;
    private Tensor result;
    private int columns;
    private int blocks;
    private boolean add;

    /** The partial sums, (blocks, columns). */
    float[] partial = new float[0];

    ColumnSums(Workers workers) {
        strips = new Blocks(workers, this::addUp);
    }

    /** Prepares for a sum over {@code rows} rows; without a result nothing is {@link #wanted}. */
    void start(Tensor result, int rows) {
        this.result = result;
        if (wanted()) {
            columns = result.elements();
            blocks = Math.max(1, Math.ceilDiv(rows, Blocks.ROWS));
            partial = Scratch.atLeast(blocks * columns, partial);
            Arrays.fill(partial, 0, columns, 0); // the result of no rows
        }
    }

    boolean wanted() {
        return result != null;
    }

    /** Clears the partial sum of the block that begins at row {@code from} and tells where it lies. */
    int open(int from) {
        int at = from / Blocks.ROWS * columns;
        if (wanted()) {
            Arrays.fill(partial, at, at + columns, 0);
        }
        return at;
    }

    /** result (+)= the sum of all partial sums. */
    void finish(boolean add) {
        if (wanted()) {
            this.add = add;
            strips.blocks(columns, STRIP);
            result = null;
        }
    }

    private void addUp(int from, int to, int worker) {
        for (int block = 1; block < blocks; block++) {
            Elementwise.add(1, partial, block * columns + from, partial, from, to - from, true);
        }
        Elementwise.add(1, partial, from, CpuStorage.data(result), CpuStorage.offset(result) + from, to - from, add);
    }
}
