package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import jdk.incubator.vector.FloatVector;

/**
 * Lays a strip of a row-major matrix out as a panel out[k][width].
 *
 * <p>Where the strip is narrower than the panel, the rest of a panel holds arbitrary numbers: they end in elements of the product that
 * nobody reads. Up to {@link #SLACK} floats behind a panel may be overwritten with rubbish as well.
 */
final class Pack {
    static final int SLACK = 16;

    private Pack() {}

    /** out[k][r] = a[ao + k·lda + r] for r &lt; count. */
    static void copyRows(float[] a, int ao, int lda, int count, int depth, float[] out, int to, int width) {
        int k = 0;
        if (count == width) {
            // Whole vectors read up to W - 1 floats more than the row has: not in the last rows of the array.
            int vectors = (width + W - 1) / W;
            int safe = Math.min(depth, Math.floorDiv(a.length - ao - vectors * W, lda) + 1);
            for (; k < safe; k++, ao += lda, to += width) {
                for (int v = 0; v < vectors; v++) {
                    FloatVector.fromArray(SPECIES, a, ao + v * W).intoArray(out, to + v * W);
                }
            }
        }
        for (; k < depth; k++, ao += lda, to += width) {
            System.arraycopy(a, ao, out, to, count);
        }
    }

    /**
     * Four full panels of {@link #copyRows} next to each other, row by row: one panel at a time would fetch every cache line once for each
     * panel that has a part in it.
     */
    static void copyFourPanels(float[] a, int ao, int lda, int depth, float[] out, int to, int width) {
        int vectors = (width + W - 1) / W, panel = width * depth;
        // The last row of a panel must not spill over: the first of the next one is there already.
        int safe = Math.min(depth - 1, Math.floorDiv(a.length - ao - 3 * width - vectors * W, lda) + 1);
        for (int k = 0; k < safe; k++) {
            for (int from = ao + k * lda, at = to + k * width, p = 0; p < 4; p++, from += width, at += panel) {
                for (int v = 0; v < vectors; v++) {
                    FloatVector.fromArray(SPECIES, a, from + v * W).intoArray(out, at + v * W);
                }
            }
        }
        for (int p = 0; p < 4; p++) {
            for (int k = Math.max(0, safe); k < depth; k++) {
                System.arraycopy(a, ao + k * lda + p * width, out, to + p * panel + k * width, width);
            }
        }
    }

    /** out[k][r] = a[ao + r·lda + k] for r &lt; count. */
    static void transposeRows(float[] a, int ao, int lda, int count, int depth, float[] out, int to, int width) {
        int k = 0;
        if (W >= 8) {
            for (; k + W <= depth; k += W) {
                // From the last rows down: what those write too much, the first ones overwrite.
                for (int r = (count - 1) & -W; r >= 0; r -= W) {
                    square(a, ao + r * lda + k, lda, count - r - 1, out, to + k * width + r, width);
                }
            }
        }
        for (int r = 0; r < count; r++) {
            int from = ao + r * lda;
            for (int i = k; i < depth; i++) {
                out[to + i * width + r] = a[from + i];
            }
        }
    }

    private static void square(float[] a, int ao, int lda, int last, float[] out, int to, int stride) {
        if (W == 16) {
            Transpose16.run(a, ao, lda, last, out, to, stride);
        } else {
            Transpose8.run(a, ao, lda, last, out, to, stride);
        }
    }
}
