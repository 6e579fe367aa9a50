package megalodon4j.tensor;

/** The oracle of the products: three loops each. */
public final class ReferenceProducts {
    private ReferenceProducts() {}

    /** op(a) · op(b): (m, n), where op(a) is (m, k) and op(b) is (k, n). */
    public static double[] matmul(boolean transposeA, boolean transposeB, int m, int n, int k, double[] a, double[] b) {
        var left = transposeA ? transposed(k, m, a) : a;
        var right = transposeB ? transposed(n, k, b) : b;
        var c = new double[m * n];
        for (int i = 0; i < m; i++) {
            for (int l = 0; l < k; l++) {
                for (int j = 0; j < n; j++) {
                    c[i * n + j] += left[i * k + l] * right[l * n + j];
                }
            }
        }
        return c;
    }

    private static double[] transposed(int rows, int columns, double[] x) {
        var y = new double[x.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                y[j * rows + i] = x[i * columns + j];
            }
        }
        return y;
    }

    /**
     * y = x · wᵀ + bias + residual; x (rows, inputs), w (outputs, inputs), bias (outputs) and residual (rows,
     * outputs) nullable.
     */
    public static double[] linear(
            int rows, int inputs, int outputs, double[] x, double[] w, double[] bias, double[] residual) {
        var y = matmul(false, true, rows, outputs, inputs, x, w);
        for (int i = 0; i < y.length; i++) {
            y[i] += (bias == null ? 0 : bias[i % outputs]) + (residual == null ? 0 : residual[i]);
        }
        return y;
    }

    /** Σ over rows of x (rows, columns). */
    public static double[] sumRows(int columns, double[] x) {
        var sum = new double[columns];
        for (int i = 0; i < x.length; i++) {
            sum[i % columns] += x[i];
        }
        return sum;
    }
}
