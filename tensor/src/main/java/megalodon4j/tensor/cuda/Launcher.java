package megalodon4j.tensor.cuda;

import java.util.Locale;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Scope;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Storage;
import megalodon4j.tensor.Tensor;

/**
 * What all operations need: where a tensor lies, working memory, and launches in the three forms that kernels have: over elements, over
 * warps and over columns. The number of floats that a kernel moves goes into the {@link Counters}.
 */
final class Launcher {
    private static final int BLOCK = 256;
    private static final int WARPS = 4;

    // Blocks of a launch over elements: a few for each processor of the largest GPUs, whose threads then take several.
    private static final int MOST_BLOCKS = 2048;

    private static final int STRIP_ROWS = 256;
    private static final int STRIP_COLUMNS = 32;

    final Device device;
    private final Backend backend;
    private Replayed replayed;

    Launcher(Device device, Backend backend) {
        this.device = device;
        this.backend = backend;
    }

    // --- memory -----------------------------------------------------------------------------------------------------

    /** Where a tensor's first element lies; 0 for null. */
    long at(Tensor x) {
        return x == null ? 0 : at(x, x.filledStorage());
    }

    private long at(Tensor x, Storage storage) {
        var memory = (CudaStorage) storage;
        if (replayed != null) {
            replayed.uses(memory);
        }
        return memory.pointer + (long) x.offset() * Float.BYTES;
    }

    /** A scope for working memory. */
    Scope scope() {
        return backend.scope();
    }

    /**
     * So many floats of working memory.
     *
     * @throws IllegalArgumentException if no tensor can have as many
     */
    long floats(Scope scope, long count) {
        if (count > Shape.MOST_ELEMENTS) {
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT, "%,d floats of working memory are too many: fewer tokens at once", count));
        }
        var memory = scope.tensor((int) count);
        return at(memory, memory.storage());
    }

    /** Numbers from the host, in working memory. */
    long ints(Scope scope, int[] values) {
        if (replayed != null) {
            return replayed.input(values);
        }
        long to = floats(scope, values.length);
        device.upload(values, 0, values.length, to);
        return to;
    }

    /** Gives a kernel the arguments of its {@code Dropout}; null drops nothing. */
    Launch dropout(Launch launch, Dropout dropout) {
        if (dropout == null) {
            return launch.i32(0).f32(1).i64(0).i64(0).i32(0);
        }
        if (replayed != null) {
            replayed.changes();
        }
        return launch.i32(dropout.threshold())
                .f32(dropout.scale())
                .i64(dropout.seed())
                .i64(dropout.firstSequence())
                .i32(dropout.site());
    }

    /** Sets what is being replayed from now on; null for nothing. */
    void replayed(Replayed replayed) {
        this.replayed = replayed;
    }

    // --- launches ---------------------------------------------------------------------------------------------------

    /** A kernel that walks over n elements with {@code EACH}. */
    Launch each(String name, long n, long floatsMoved) {
        int blocks = Math.clamp(blocks(n, 4 * BLOCK), 1, MOST_BLOCKS);
        return launch(name, blocks, 1, BLOCK, floatsMoved);
    }

    /** A kernel that has a warp for each of {@code count} items. */
    Launch warps(String name, long count, long floatsMoved) {
        return launch(name, Math.toIntExact(Math.max(1, blocks(count, WARPS))), 1, 32 * WARPS, floatsMoved);
    }

    /** A kernel of blocks of so many threads. */
    Launch launch(String name, int gridX, int gridY, int block, long floatsMoved) {
        return device.kernel(name, gridX, gridY, block, 0).traffic(Float.BYTES * floatsMoved);
    }

    static long blocks(long n, int size) {
        return (n + size - 1) / size;
    }

    /** Gives a kernel of {@code columnSums} its arguments but the last, where the partial sums go. */
    interface ColumnTerms {
        Launch arguments(Launch launch);
    }

    /** to (columns) (+)= Σ over rows of the terms of a kernel that calls {@code columnSums}. */
    void columnSums(String name, int rows, int columns, long floatsMoved, Tensor to, boolean add, ColumnTerms terms) {
        int strips = (int) Math.max(1, blocks(rows, STRIP_ROWS));
        try (var scope = scope()) {
            long partial = floats(scope, (long) strips * columns);
            terms.arguments(launch(name, (int) Math.max(1, blocks(columns, STRIP_COLUMNS)), strips, BLOCK, floatsMoved))
                    .ptr(partial)
                    .run();
            addStrips(partial, strips, columns, to, add);
        }
    }

    /** to (columns) (+)= Σ over strips of partial (strips, columns). */
    void addStrips(long partial, int strips, int columns, Tensor to, boolean add) {
        each("reductions.addStrips", columns, (long) strips * columns + columns)
                .ptr(partial)
                .i32(strips)
                .i32(columns)
                .ptr(at(to))
                .i32(flag(add))
                .run();
    }

    static int flag(boolean set) {
        return set ? 1 : 0;
    }
}
