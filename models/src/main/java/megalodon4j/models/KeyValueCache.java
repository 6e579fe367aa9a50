package megalodon4j.models;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;

/**
 * The last keys and values of one attention layer, at most {@code most} for each of B sequences.
 *
 * <p>A sequence's entries lie in a row, oldest first, and move on to the right; when they reach its end, they are copied to its beginning. Rows are
 * twice as long as what they hold, so that this costs a constant time a token.
 */
final class KeyValueCache {
    private static final int LEAST = 64;

    private final Backend backend;
    private final int batch;
    private final int keyWidth;
    private final int valueWidth;
    private final int most;
    private int capacity;
    private int start;
    private int count;
    private Tensor keys; // (B·C + slack, width): row b begins at b·C, C the capacity
    private Tensor values;

    KeyValueCache(Backend backend, int batch, int keyWidth, int valueWidth, int most) {
        this.backend = backend;
        this.batch = batch;
        this.keyWidth = keyWidth;
        this.valueWidth = valueWidth;
        this.most = most;
        allocate(0);
    }

    /** (B, …, width), the first {@link #count} entries of each sequence. */
    Tensor keys() {
        return view(keys);
    }

    /** (B, …, width), the first {@link #count} entries of each sequence. */
    Tensor values() {
        return view(values);
    }

    int count() {
        return count;
    }

    /** How many entries there will be when so many more have been appended. */
    int countAfter(int added) {
        return Math.min(count, most - added) + added;
    }

    /** Forgets all. */
    void clear() {
        start = 0;
        count = 0;
    }

    /** Forgets all but the oldest entries. */
    void keepFirst(int entries) {
        count = entries;
    }

    /** Forgets all but the newest entries, and gives the others' memory back. */
    void keepLast(int entries) {
        int from = start + count - entries;
        count = entries;
        moveToBegin(from, room(entries));
    }

    /** Appends k and v, (B, L, width) with L ≤ most, and forgets the oldest entries beyond {@code most}. */
    void append(Tensor k, Tensor v) {
        append(k, v, k.shape().size(1));
    }

    /** {@link #append(Tensor, Tensor)} of the last {@code added} entries of each sequence. */
    void append(Tensor k, Tensor v, int added) {
        int length = k.shape().size(1), first = length - added;
        int kept = countAfter(added) - added;
        start += count - kept;
        count = kept;
        if (start + kept + added > capacity) {
            makeRoom(kept + added);
        }
        for (int b = 0; b < batch; b++) {
            move(k.reshape(flat(k)), b * length + first, keys, b * capacity + start + count, added);
            move(v.reshape(flat(v)), b * length + first, values, b * capacity + start + count, added);
        }
        count += added;
    }

    private static Shape flat(Tensor x) {
        return Shape.of(x.rows(), x.columns());
    }

    /** The same entries of the given sequences. */
    KeyValueCache select(int... rows) {
        var to = new KeyValueCache(backend, rows.length, keyWidth, valueWidth, most);
        to.allocate(capacity);
        to.start = start;
        to.count = count;
        for (int i = 0; i < rows.length; i++) {
            move(keys, rows[i] * capacity + start, to.keys, i * capacity + start, count);
            move(values, rows[i] * capacity + start, to.values, i * capacity + start, count);
        }
        return to;
    }

    // The entries begin at 0 again, where there is room for so many and as many more.
    private void makeRoom(int needed) {
        // In the same memory the two places do not overlap: start > capacity − needed ≥ room − needed ≥ count.
        moveToBegin(start, room(needed) > capacity ? room(needed) : 0);
    }

    private int room(int entries) {
        return Math.toIntExact(Math.min(2L * most, Math.max(LEAST, 2L * entries)));
    }

    // The entries from one on begin at 0, in new memory unless `room` is 0.
    private void moveToBegin(int from, int room) {
        int oldCapacity = capacity;
        var oldKeys = keys;
        var oldValues = values;
        if (room > 0) {
            allocate(room);
        }
        for (int b = 0; b < batch; b++) {
            move(oldKeys, b * oldCapacity + from, keys, b * capacity, count);
            move(oldValues, b * oldCapacity + from, values, b * capacity, count);
        }
        start = 0;
    }

    private void allocate(int entries) {
        capacity = entries;
        // Several rows are viewed from the start in the first one on: the last one reaches as far beyond its own end as
        // that start can be.
        int slack = batch == 1 ? 0 : Math.max(0, capacity - most);
        int all = Math.addExact(Math.multiplyExact(batch, capacity), slack);
        keys = zeros(all, keyWidth);
        values = zeros(all, valueWidth);
    }

    private Tensor zeros(int entries, int width) {
        var tensor = backend.tensor(entries, width);
        backend.zero(tensor);
        return tensor;
    }

    private Tensor view(Tensor flat) {
        int entries = batch == 1 ? count : capacity;
        return flat.slice(start, start + batch * entries).reshape(Shape.of(batch, entries, flat.columns()));
    }

    private void move(Tensor from, int first, Tensor to, int at, int entries) {
        if (entries > 0) {
            backend.copy(from.slice(first, first + entries), to.slice(at, at + entries));
        }
    }
}
