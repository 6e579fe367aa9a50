package megalodon4j.tensor;

/** A run of floats in a device's memory. What it really is (an array, a device pointer) is known to its {@link Backend} alone. */
public abstract class Storage {
    private final int capacity;
    private boolean pooled;

    protected Storage(int capacity) {
        this.capacity = capacity;
    }

    /** How many floats fit. */
    public final int capacity() {
        return capacity;
    }

    /** Whether it belongs to scopes, one after the other. */
    final boolean isPooled() {
        return pooled;
    }

    final Storage pooled() {
        pooled = true;
        return this;
    }

    /** Where a tensor that fills the storage begins, in floats. */
    protected int origin() {
        return 0;
    }

    /** Gives the memory back to the device. The storage must not be used afterwards. */
    protected void free() {}
}
