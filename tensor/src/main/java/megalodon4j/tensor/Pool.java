package megalodon4j.tensor;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.function.IntFunction;

/**
 * Keeps the memory that scopes have given back, by size class: a request is rounded up to the next of eight steps between powers of two, so
 * that the slowly growing tensors of a generation reuse each other's memory at a cost of 1/8 at most.
 */
final class Pool {
    private final IntFunction<Storage> allocate;
    private final ArrayList<ArrayDeque<Storage>> free = new ArrayList<>(); // by class, see index
    private long allocatedFloats;
    private int outstanding;

    Pool(IntFunction<Storage> allocate) {
        this.allocate = allocate;
        for (int i = 0; i <= index(Shape.MOST_ELEMENTS); i++) {
            free.add(new ArrayDeque<>(0));
        }
    }

    Storage take(int elements) {
        int capacity = sizeClass(elements);
        var list = free.get(index(capacity));
        var storage = list.isEmpty() ? fresh(capacity) : list.pop();
        outstanding++;
        return storage;
    }

    private Storage fresh(int capacity) {
        var storage = allocate.apply(capacity).pooled(); // if there is no such memory, nothing has been counted
        allocatedFloats += capacity;
        return storage;
    }

    void giveBack(Storage storage) {
        outstanding--;
        // The most recently used memory is the likeliest to be in a cache: last in, first out.
        free.get(index(storage.capacity())).push(storage);
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
        for (var list : free) {
            for (var storage : list) {
                allocatedFloats -= storage.capacity();
                storage.free();
            }
            list.clear();
        }
    }

    static int sizeClass(int elements) {
        if (elements <= 64) {
            return 64;
        }
        int step = Math.max(16, Integer.highestOneBit(elements - 1) >>> 3);
        return (int) Math.min(Shape.MOST_ELEMENTS, ((long) elements + step - 1) / step * step);
    }

    /** Numbers the classes: eight for each power of two. */
    private static int index(int capacity) {
        int power = 31 - Integer.numberOfLeadingZeros(capacity - 1);
        return 8 * power + ((capacity - 1) >>> (power - 3) & 7);
    }
}
