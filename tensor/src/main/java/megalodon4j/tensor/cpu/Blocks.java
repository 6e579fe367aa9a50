package megalodon4j.tensor.cpu;

import megalodon4j.tensor.Workers;

/**
 * Parallel loops over blocks of a fixed size. Where a block begins depends on the shape alone, never on the number of threads, so
 * that a sum which crosses blocks is the same bit for bit however many work on it.
 */
final class Blocks {
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

    private Blocks() {}

    static void rows(Workers workers, int rows, Body body) {
        run(workers, rows, ROWS, body);
    }

    static void elements(Workers workers, int elements, Body body) {
        run(workers, elements, ELEMENTS, body);
    }

    /** Runs the body on [0, n) in blocks of {@code size}. */
    static void run(Workers workers, int n, int size, Body body) {
        workers.run(count(n, size), (block, worker) -> {
            int from = block * size;
            body.run(from, from + Math.min(size, n - from), worker);
        });
    }

    /** How many blocks cover [0, n). */
    static int count(int n, int size) {
        return n / size + (n % size == 0 ? 0 : 1);
    }
}
