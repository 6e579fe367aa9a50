package megalodon4j.tensor.cuda;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.HashMap;
import megalodon4j.tensor.CudaException;

/**
 * The memory of a device that tensors lie in. It is freed when its storage says so, or else when nobody can reach the storage any more;
 * what is left goes at {@link #close}.
 */
final class Allocations implements AutoCloseable {
    private static final long COLLECTOR_MILLIS = 1000;

    private final Device device;
    private final HashMap<Long, Unreachable> live = new HashMap<>();
    private final ReferenceQueue<CudaStorage> unreachable = new ReferenceQueue<>();

    private static final class Unreachable extends PhantomReference<CudaStorage> {
        final long pointer;

        Unreachable(CudaStorage storage, ReferenceQueue<CudaStorage> queue) {
            super(storage, queue);
            pointer = storage.pointer;
        }
    }

    Allocations(Device device) {
        this.device = device;
    }

    CudaStorage allocate(int floats) {
        freeUnreachable();
        long pointer = bytes((long) floats * Float.BYTES);
        var storage = new CudaStorage(floats, pointer, this);
        live.put(pointer, new Unreachable(storage, unreachable));
        return storage;
    }

    // The collector does not know that a small object holds much of another memory: it is asked before giving up.
    private long bytes(long count) {
        try {
            return device.allocate(count);
        } catch (CudaException.OutOfMemory e) {
            System.gc();
            if (!freeUnreachable(COLLECTOR_MILLIS)) {
                throw e;
            }
            return device.allocate(count);
        }
    }

    private void freeUnreachable() {
        for (var next = unreachable.poll(); next != null; next = unreachable.poll()) {
            free(((Unreachable) next).pointer);
        }
    }

    /** Waits for something to become unreachable; whether it did. */
    private boolean freeUnreachable(long millis) {
        try {
            var first = unreachable.remove(millis);
            if (first == null) {
                return false;
            }
            free(((Unreachable) first).pointer);
            freeUnreachable();
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    void free(long pointer) {
        if (live.remove(pointer) != null) {
            device.free(pointer);
        }
    }

    @Override
    public void close() {
        live.keySet().forEach(device::free);
        live.clear();
    }
}
