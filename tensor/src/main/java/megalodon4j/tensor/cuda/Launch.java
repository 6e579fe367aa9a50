package megalodon4j.tensor.cuda;

/** The arguments of a kernel, in order; then {@link #run}. */
final class Launch {
    Launch ptr(long pointer) {
        throw new UnsupportedOperationException();
    }

    Launch i32(int value) {
        throw new UnsupportedOperationException();
    }

    Launch i64(long value) {
        throw new UnsupportedOperationException();
    }

    Launch f32(float value) {
        throw new UnsupportedOperationException();
    }

    /** How many bytes the kernel reads and writes in global memory, for the {@link Counters}; optional. */
    Launch traffic(long bytes) {
        throw new UnsupportedOperationException();
    }

    void run() {
        throw new UnsupportedOperationException();
    }
}
