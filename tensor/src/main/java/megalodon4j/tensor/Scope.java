package megalodon4j.tensor;

import java.util.ArrayList;

/**
 * Takes memory for a while: all tensors of a scope go back to the backend's pool when it is closed, and the next scope gets the same
 * memory again. A training step of known shapes therefore allocates nothing once it has run.
 *
 * <p>A tensor must not be used after its scope is closed or after it has been {@linkplain #release released}.
 */
public final class Scope implements AutoCloseable {
    private final Backend backend;
    private final ArrayList<Storage> taken = new ArrayList<>();
    private boolean open;

    Scope(Backend backend) {
        this.backend = backend;
    }

    /** Begins to serve, once more. */
    Scope opened() {
        open = true;
        return this;
    }

    public Backend backend() {
        return backend;
    }

    /**
     * A blank tensor that lives until the scope is closed.
     *
     * @throws IllegalStateException if it has been closed
     */
    public Tensor tensor(Shape shape) {
        return tensor(shape.sizes, shape.columns());
    }

    /** {@link #tensor(Shape)} of {@code leading.withColumns(columns)}. */
    public Tensor tensor(Shape leading, int columns) {
        return tensor(leading.sizes, columns);
    }

    /** {@link #tensor(Shape)} of {@code Shape.of(sizes)}. */
    public Tensor tensor(int... sizes) {
        return tensor(sizes, Shape.columns(sizes));
    }

    private Tensor tensor(int[] sizes, int columns) {
        if (!open) {
            throw new IllegalStateException("this scope has been closed");
        }
        var storage = backend.take(Shape.elements(sizes, columns));
        taken.add(storage);
        return storage.tensor(backend, sizes, columns);
    }

    /** Gives the memory of a tensor of this scope back early. */
    public void release(Tensor tensor) {
        // The latest tensors are the ones released first: search from the end.
        for (int i = taken.size() - 1; i >= 0; i--) {
            if (taken.get(i) == tensor.storage()) {
                taken.set(i, taken.getLast());
                taken.removeLast();
                backend.giveBack(tensor.storage());
                return;
            }
        }
        throw new IllegalArgumentException("release: " + tensor + " is not of this scope, or was released before");
    }

    /** Gives all tensors back; the scope stays open. */
    public void clear() {
        for (var storage : taken) {
            backend.giveBack(storage);
        }
        taken.clear();
    }

    /** Gives all tensors back. Closing again does nothing. */
    @Override
    public void close() {
        if (open) {
            open = false;
            clear();
            backend.closed(this);
        }
    }
}
