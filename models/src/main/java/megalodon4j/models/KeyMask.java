package megalodon4j.models;

import java.util.Arrays;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Tensor;

/** Which of the keys that a cache holds are no padding, for each of B sequences: the same in all layers. Free of cost while all are valid. */
final class KeyMask {
    private final int batch;
    private int count;
    private float[] valid; // (B, count): 1 = valid key, 0 = padding; null if all are valid

    KeyMask(int batch) {
        this(batch, 0, null);
    }

    /** @param valid (B, count), or null if all are */
    KeyMask(int batch, int count, float[] valid) {
        this.batch = batch;
        this.count = count;
        this.valid = valid;
    }

    /** Keys of a sequence. */
    int count() {
        return count;
    }

    /**
     * New keys follow, and the oldest are forgotten.
     *
     * @param mask (B, L) of the tokens that bring the keys; null if all are valid
     * @param length L
     * @param added how many of them are kept, the last ones
     * @param after how many keys there are then
     */
    void append(Tensor mask, int length, int added, int after) {
        int kept = after - added;
        keep(count - kept, kept);
        if (valid != null || mask != null) {
            var all = new float[batch * after];
            put(valid == null ? ones(batch * kept) : valid, kept, 0, kept, all, after, 0);
            put(mask == null ? ones(batch * length) : mask.toArray(), length, length - added, added, all, after, kept);
            valid = all;
        }
        count = after;
    }

    /** Forgets all keys but so many from one on. */
    void keep(int from, int kept) {
        if (valid != null) {
            var part = new float[batch * kept];
            put(valid, count, from, kept, part, kept, 0);
            valid = isAllOnes(part) ? null : part;
        }
        count = kept;
    }

    /** The same keys of the given sequences. */
    KeyMask select(int[] rows) {
        if (valid == null) {
            return new KeyMask(rows.length, count, null);
        }
        var selected = new float[rows.length * count];
        for (int i = 0; i < rows.length; i++) {
            System.arraycopy(valid, rows[i] * count, selected, i * count, count);
        }
        return new KeyMask(rows.length, count, selected);
    }

    /** (B, count), or null if all are valid. */
    float[] elements() {
        return valid;
    }

    /** (B, count) for attention, which lives as long as the tape; null if all are valid. */
    Tensor tensor(Tape tape) {
        return valid == null ? null : tape.tensor(batch, count).set(valid);
    }

    // Columns [first, first + columns) of each row of `from`, which has `width`, go to column `at` of `to`.
    private void put(float[] from, int width, int first, int columns, float[] to, int toWidth, int at) {
        for (int b = 0; b < batch; b++) {
            System.arraycopy(from, b * width + first, to, b * toWidth + at, columns);
        }
    }

    private static float[] ones(int elements) {
        var ones = new float[elements];
        Arrays.fill(ones, 1);
        return ones;
    }

    private static boolean isAllOnes(float[] x) {
        for (float element : x) {
            if (element != 1) {
                return false;
            }
        }
        return true;
    }
}
