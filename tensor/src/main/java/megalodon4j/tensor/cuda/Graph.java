package megalodon4j.tensor.cuda;

/** Recorded work, to be run again as a whole. */
final class Graph implements AutoCloseable {
    void launch() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
}
