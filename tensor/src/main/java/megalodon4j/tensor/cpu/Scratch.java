package megalodon4j.tensor.cpu;

import megalodon4j.tensor.Tensor;

/** Working memory that kernels keep from call to call: it grows when a larger shape comes, and then stays. */
final class Scratch {
    /**
     * The first element that lies at the start of a cache line, behind the array's header of 16 bytes, where the JVM starts objects there
     * ({@code -XX:ObjectAlignmentInBytes=64}): a vector of 16 lanes otherwise always straddles two lines.
     */
    static final int ALIGNED = 12;

    private Scratch() {}

    /** The array itself if it holds n floats, else a new one. The contents are undefined. */
    static float[] atLeast(int n, float[] array) {
        return array.length >= n ? array : new float[n];
    }

    /** (w + shift) · scale, or {@code absent} where there is no w, in the array if it is large enough, else in a new one. */
    static float[] affine(Tensor w, int n, float shift, float scale, float absent, float[] array) {
        float[] out = atLeast(n, array);
        float[] ws = CpuStorage.data(w);
        int wo = CpuStorage.offset(w);
        for (int i = 0; i < n; i++) {
            out[i] = ws == null ? absent : (ws[wo + i] + shift) * scale;
        }
        return out;
    }
}
