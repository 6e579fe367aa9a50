package megalodon4j.tensor.cuda;

import megalodon4j.tensor.Storage;

/** Memory of a GPU. */
final class CudaStorage extends Storage {
    final long pointer;
    private final Allocations owner;

    CudaStorage(int capacity, long pointer, Allocations owner) {
        super(capacity);
        this.pointer = pointer;
        this.owner = owner;
    }

    @Override
    protected void free() {
        owner.free(pointer);
    }
}
