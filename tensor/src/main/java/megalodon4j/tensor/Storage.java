package megalodon4j.tensor;

/** A run of floats in a device's memory. What it really is (an array, a device pointer) is known to its {@link Backend} alone. */
public abstract class Storage {
    // With one, the tensors that share a size class and therefore memory would replace each other throughout a step.
    private static final int SHAPES = 4;

    private final int capacity;
    private boolean pooled;
    private final Tensor[] tensors = new Tensor[SHAPES]; // those of the latest shapes
    private int oldest;

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

    /**
     * A blank tensor of {@code Shape.of(sizes, columns)} at the beginning. For a shape that it had lately it is the same object, so that a training
     * step which takes the memory of the one before makes no new ones.
     */
    final Tensor tensor(Backend backend, int[] sizes, int columns) {
        for (var tensor : tensors) {
            if (tensor != null && tensor.shape().equals(sizes, columns)) {
                tensor.makeBlank();
                return tensor;
            }
        }
        var tensor = new Tensor(backend, this, Shape.of(sizes, columns));
        tensors[oldest] = tensor;
        oldest = (oldest + 1) % SHAPES;
        return tensor;
    }

    /** Gives the memory back to the device. The storage must not be used afterwards. */
    protected void free() {}
}
