package megalodon4j.tensor;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.function.IntFunction;

/**
 * Keeps the memory that scopes have given back, by size class: a request is rounded up to the next of eight steps between powers of two, so
 * that the slowly growing tensors of a generation reuse each other's memory at a cost of 1/8 at most.
 */
final class Pool {
    private final IntFunction<Storage> allocate;
    private final HashMap<Integer, ArrayDeque<Storage>> free = new HashMap<>();
    private long allocatedFloats;
    private int outstanding;

    Pool(IntFunction<Storage> allocate) {
        this.allocate = allocate;
    }

    Storage take(int elements) {
        int capacity = sizeClass(elements);
        var list = free.get(capacity);
        outstanding++;
        if (list != null && !list.isEmpty()) {
            return list.pop();
        }
        allocatedFloats += capacity;
        return allocate.apply(capacity).pooled();
    }

    void giveBack(Storage storage) {
        outstanding--;
        // The most recently used memory is the likeliest to be in a cache: last in, first out.
        free.computeIfAbsent(storage.capacity(), _ -> new ArrayDeque<>()).push(storage);
    }

    /** Storages taken and not yet given back. */
    int outstanding() {
        return outstanding;
    }

    /** Floats that were ever asked of the device and not freed. */
    long allocatedFloats() {
        return allocatedFloats;
    }

    void freeAll() {
        for (var list : free.values()) {
            for (var storage : list) {
                allocatedFloats -= storage.capacity();
                storage.free();
            }
        }
        free.clear();
    }

    static int sizeClass(int elements) {
        if (elements <= 64) {
            return 64;
        }
        int step = Math.max(16, Integer.highestOneBit(elements - 1) >>> 3);
        return Math.toIntExact(((long) elements + step - 1) / step * step);
    }
}
