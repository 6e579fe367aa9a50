package megalodon4j.tensor;

/** A device's way to do work of many operations again as a whole. First it rehearses it, then records it, then replays it. */
public interface Recording extends AutoCloseable {
    /**
     * Does the work once, so that all it needs is in place.
     *
     * @return whether it can be recorded: not if it depends on numbers, such as those of a {@link Dropout}, that would be the same each time
     */
    boolean rehearse(Runnable work);

    /** Notes what the work does, without doing it. */
    void record(Runnable work);

    /** Does what was recorded, with the contents that tensors and arrays have now. */
    void replay();

    @Override
    void close();
}
