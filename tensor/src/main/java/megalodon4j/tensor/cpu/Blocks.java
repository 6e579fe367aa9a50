package megalodon4j.tensor.cpu;

import megalodon4j.tensor.Workers;

/**
 * A parallel loop over blocks of a fixed size. Where a block begins depends on the shape alone, never on the number of threads, so
 * that a sum which crosses blocks is the same bit for bit however many work on it.
 *
 * <p>A kernel makes its loops once and leaves the arguments of a call in its fields: a lambda that captures them would be an object for each
 * of the thousands of loops of a training step.
 */
final class Blocks implements Workers.Task {
    /** Rows of a block: some ten microseconds of work, and few enough to stay in the second-level cache. */
    static final int ROWS = 32;

    /** Elements of a block where there are no rows to respect; a multiple of every vector length. */
    static final int ELEMENTS = 16384;

    /** The body of a loop. */
    @FunctionalInterface
    interface Body {
        /** Computes [from, to); {@code worker} as in {@link Workers.Task}. */
        void run(int from, int to, int worker);
    }

    private final Workers workers;
    private final Body body;
    private int n;
    private int size;

    Blocks(Workers workers, Body body) {
        this.workers = workers;
        this.body = body;
    }

    void rows(int rows) {
        blocks(rows, ROWS);
    }

    void elements(int elements) {
        blocks(elements, ELEMENTS);
    }

    /** Runs the body on [0, n) in blocks of {@code size}. */
    void blocks(int n, int size) {
        this.n = n;
        this.size = size;
        workers.run(Math.ceilDiv(n, size), this);
    }

    @Override
    public void run(int block, int worker) {
        int from = block * size;
        body.run(from, from + Math.min(size, n - from), worker);
    }
}
