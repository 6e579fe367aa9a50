package megalodon4j.tensor;

/**
 * A contiguous, row-major array of float32 on one device.
 *
 * <p>A new tensor is <em>blank</em>: nothing has been written to it. An operation that overwrites its result fills it; one that accumulates
 * (gradients do) overwrites a blank tensor and adds to a filled one, so that no memory is cleared only to be added to. So a blank gradient
 * counts as zero, also in {@link #toArray} and in sums; any other input must have been filled.
 *
 * <p>Layouts with other strides do not exist; views are those of {@link #reshape} and {@link #slice}.
 */
public final class Tensor {
    private final Backend backend;
    private final Storage storage;
    private final int offset;
    private final Shape shape;
    private boolean blank;

    /** A blank tensor at the beginning of a storage. */
    Tensor(Backend backend, Storage storage, Shape shape) {
        this(backend, storage, storage.origin(), shape, true);
    }

    private Tensor(Backend backend, Storage storage, int offset, Shape shape, boolean blank) {
        this.backend = backend;
        this.storage = storage;
        this.offset = offset;
        this.shape = shape;
        this.blank = blank;
    }

    public Backend backend() {
        return backend;
    }

    public Storage storage() {
        return storage;
    }

    /**
     * The storage, for a kernel: what it reads has been written before, and what it writes counts as filled.
     *
     * @throws IllegalStateException if the tensor is blank
     */
    public Storage filledStorage() {
        if (blank) {
            throw new IllegalStateException(this + " was to be read, but nothing has been written to it");
        }
        return storage;
    }

    /** Where the first element lies in the storage, in floats. */
    public int offset() {
        return offset;
    }

    public Shape shape() {
        return shape;
    }

    /** {@link Shape#elements}. */
    public int elements() {
        return shape.elements();
    }

    /** {@link Shape#rows}. */
    public int rows() {
        return shape.rows();
    }

    /** {@link Shape#columns}. */
    public int columns() {
        return shape.columns();
    }

    /** Whether nothing has been written yet, so that the tensor counts as zero. */
    public boolean isBlank() {
        return blank;
    }

    /** Forgets the contents: from now on the tensor counts as zero. */
    public void makeBlank() {
        blank = true;
    }

    /**
     * Says that the tensor is about to be written.
     *
     * @return whether it held something before, that is, whether an accumulating operation must add rather than overwrite
     */
    boolean fill() {
        boolean held = !blank;
        backend.filling(this, blank);
        blank = false;
        return held;
    }

    /**
     * The same elements under another shape.
     *
     * @throws IllegalArgumentException if the number of elements differs
     * @throws IllegalStateException if the tensor is blank
     */
    public Tensor reshape(Shape other) {
        if (other.elements() != elements()) {
            throw new IllegalArgumentException(
                    "reshape: " + shape + " has " + elements() + " elements, " + other + " has " + other.elements());
        }
        return view(0, other);
    }

    /**
     * Entries [from, to) of the first dimension.
     *
     * @throws IndexOutOfBoundsException if the range leaves the dimension
     * @throws IllegalStateException if the tensor is blank
     */
    public Tensor slice(int from, int to) {
        java.util.Objects.checkFromToIndex(from, to, shape.size(0));
        var sizes = shape.toArray();
        int stride = sizes[0] == 0 ? 0 : elements() / sizes[0];
        sizes[0] = to - from;
        return view(from * stride, Shape.of(sizes));
    }

    private Tensor view(int shift, Shape other) {
        if (blank) {
            throw new IllegalStateException("a blank tensor " + shape + " has no contents to view");
        }
        return new Tensor(backend, storage, offset + shift, other, false);
    }

    /** Copies the elements to the host; zeros if blank. */
    public float[] toArray() {
        var copy = new float[elements()];
        if (!blank) {
            backend.download(this, copy);
        }
        return copy;
    }

    /** Fills the tensor from the host. */
    public Tensor set(float... elements) {
        if (elements.length != elements()) {
            throw new IllegalArgumentException(
                    "set: " + shape + " takes " + elements() + " elements, got " + elements.length);
        }
        fill();
        backend.upload(elements, this);
        return this;
    }

    @Override
    public String toString() {
        return "Tensor" + shape + (blank ? " blank" : "");
    }
}
