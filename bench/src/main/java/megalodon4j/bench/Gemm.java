package megalodon4j.bench;

import java.util.SplittableRandom;
import java.util.regex.Pattern;

/**
 * C = op(A) · op(B) of m × n × k, all row-major. Written {@code nt_2048x1280x384}: the first letter says whether A is
 * transposed, the second B. A product with a transposed A is added to C, as the gradients of weights are.
 */
record Gemm(boolean transposeA, boolean transposeB, int m, int n, int k) {
    private static final Pattern NAME = Pattern.compile("([nt])([nt])_(\\d+)x(\\d+)x(\\d+)");

    static Gemm of(String name) {
        var parts = NAME.matcher(name);
        if (!parts.matches()) {
            throw new IllegalArgumentException("gemm must look like nt_2048x1280x384 (m × n × k), got " + name);
        }
        return new Gemm(
                parts.group(1).equals("t"),
                parts.group(2).equals("t"),
                Integer.parseInt(parts.group(3)),
                Integer.parseInt(parts.group(4)),
                Integer.parseInt(parts.group(5)));
    }

    boolean accumulates() {
        return transposeA;
    }

    /** Floats in a row of A. */
    int lda() {
        return transposeA ? m : k;
    }

    /** Floats in a row of B. */
    int ldb() {
        return transposeB ? k : n;
    }

    double flops() {
        return 2.0 * m * n * k;
    }

    /** Compares some elements of the result with sums in double. */
    void verify(String what, float[] a, float[] b, float[] before, float[] after) {
        var random = new SplittableRandom(2);
        for (int sample = 0; sample < 200; sample++) {
            // The corners first: what is wrong is wrong at an edge.
            int i = sample < 4 ? (sample & 1) * (m - 1) : random.nextInt(m);
            int j = sample < 4 ? (sample >> 1) * (n - 1) : random.nextInt(n);
            double sum = accumulates() ? before[i * n + j] : 0, size = Math.abs(sum);
            for (int p = 0; p < k; p++) {
                double product = (double) a[transposeA ? p * m + i : i * k + p] * b[transposeB ? j * k + p : p * n + j];
                sum += product;
                size += Math.abs(product);
            }
            Verify.close(what + ": c[" + i + ", " + j + "]", sum, after[i * n + j], size, 1e-5);
        }
    }
}
