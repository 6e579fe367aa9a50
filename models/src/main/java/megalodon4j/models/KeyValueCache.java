package megalodon4j.models;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;

/** The keys and values of one attention layer, (B, C, width) each, of which the first {@link #count} entries are filled. */
final class KeyValueCache {
    private final Backend backend;
    private final int batch;
    private final int keyWidth;
    private final int valueWidth;
    private int capacity;
    private int count;
    private Tensor keys;
    private Tensor values;

    KeyValueCache(Backend backend, int batch, int keyWidth, int valueWidth) {
        this.backend = backend;
        this.batch = batch;
        this.keyWidth = keyWidth;
        this.valueWidth = valueWidth;
    }

    Tensor keys() {
        return keys;
    }

    Tensor values() {
        return values;
    }

    int count() {
        return count;
    }

    /** Forgets all. */
    void clear() {
        count = 0;
    }

    /** Appends k and v, (B, L, width), and then forgets the oldest entries beyond {@code most}. */
    void append(Tensor k, Tensor v, int most) {
        int added = k.shape().size(1);
        if (count + added > capacity) {
            // Room for as much again, so that moving costs a constant time a token.
            int kept = Math.min(count, Math.max(0, most - added));
            int grown = Math.max(64, 2 * (kept + added));
            var oldKeys = keys;
            var oldValues = values;
            keys = zeros(grown, keyWidth);
            values = zeros(grown, valueWidth);
            move(oldKeys, count - kept, keys, 0, kept);
            move(oldValues, count - kept, values, 0, kept);
            capacity = grown;
            count = kept;
        }
        move(k, 0, keys, count, added);
        move(v, 0, values, count, added);
        count += added;
    }

    private Tensor zeros(int entries, int width) {
        var tensor = backend.tensor(batch, entries, width);
        backend.zero(tensor);
        return tensor;
    }

    private void move(Tensor from, int first, Tensor to, int at, int entries) {
        for (int b = 0; b < batch && entries > 0; b++) {
            backend.copy(entries(from, b, first, entries), entries(to, b, at, entries));
        }
    }

    private static Tensor entries(Tensor x, int b, int first, int count) {
        var shape = x.shape();
        var row = x.slice(b, b + 1).reshape(megalodon4j.tensor.Shape.of(shape.size(1), shape.columns()));
        return row.slice(first, first + count);
    }
}
