package megalodon4j.models;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;

/** Cosines and sines of position · base^(−2i/d), i = 0 … d/2 − 1, computed in double (Su et al. 2021). */
final class Rope {
    private static final int WINDOW = 1024;

    private final Backend backend;
    private final double base;
    private final int d;
    private long first;
    private int count;
    private Tensor cos;
    private Tensor sin;
    private Rows rows;

    /** Cosines and sines of positions [from, from + length), (length, d/2) each. */
    record Rows(long from, int length, Tensor cos, Tensor sin) {}

    Rope(Backend backend, double base, int d) {
        this.backend = backend;
        this.base = base;
        this.d = d;
    }

    /** The rows of positions [from, from + length); all layers of a call ask for the same. */
    Rows rows(long from, int length) {
        if (rows == null || rows.from != from || rows.length != length) {
            cover(from, length);
            int at = (int) (from - first);
            rows = new Rows(from, length, cos.slice(at, at + length), sin.slice(at, at + length));
        }
        return rows;
    }

    /** base^(−2i/d), i = 0 … d/2 − 1. */
    float[] frequencies() {
        var all = new float[d / 2];
        for (int i = 0; i < all.length; i++) {
            all[i] = (float) frequency(i);
        }
        return all;
    }

    private double frequency(int i) {
        return Math.pow(base, -2.0 * i / d);
    }

    private void cover(long from, int length) {
        if (cos != null && from >= first && from + length <= first + count) {
            return;
        }
        first = from;
        count = Math.max(length, WINDOW);
        int half = d / 2;
        var c = new float[count * half];
        var s = new float[count * half];
        for (int i = 0; i < half; i++) {
            double frequency = frequency(i);
            for (int t = 0; t < count; t++) {
                double angle = (first + t) * frequency;
                c[t * half + i] = (float) Math.cos(angle);
                s[t * half + i] = (float) Math.sin(angle);
            }
        }
        cos = backend.tensor(count, half).set(c);
        sin = backend.tensor(count, half).set(s);
    }
}
