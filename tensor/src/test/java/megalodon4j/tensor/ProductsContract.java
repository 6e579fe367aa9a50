package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.abs;

import java.util.ArrayList;
import java.util.Arrays;

/** Matrix products and their epilogues. Tolerances are relative to Σ|a||b| of each element. */
interface ProductsContract extends Contract {
    /** An element that lacks one of its products would be off by a thousandth. */
    double PRODUCT_TOLERANCE = 1e-6;

    @Seeds(128)
    default void matmul(int seed) {
        try (var t = trial(seed)) {
            boolean transposeA = t.flag("transpose a"), transposeB = t.flag("transpose b");
            int m = t.size("m", 0, 1, 2, 3, 11, 12, 13, 24, 31, 32, 33, 64, 207);
            int n = t.size("n", 0, 1, 2, 3, 13, 31, 32, 33, 64, 207, 256, 384);
            int k = t.size("k", 0, 1, 2, 3, 13, 31, 32, 33, 64, 207, 384, 385, 702, 1000);
            matmul(t, transposeA, transposeB, m, n, k);
        }
    }

    /** Several blocks in every direction. */
    @Seeds(8)
    default void matmulOfManyBlocks(int seed) {
        try (var t = trial(seed)) {
            matmul(t, t.flag("transpose a"), t.flag("transpose b"), t.size("m", 384, 500), 270, t.size("k", 768, 801));
        }
    }

    private void matmul(Trial t, boolean transposeA, boolean transposeB, int m, int n, int k) {
        double[] a = t.normal(m * k), b = t.normal(k * n);
        var c = t.gradient(m, n);
        t.backend.matmul(
                transposeA,
                transposeB,
                transposeA ? t.input(a, k, m) : t.input(a, m, k),
                transposeB ? t.input(b, n, k) : t.input(b, k, n),
                c.tensor);
        c.expect(
                "matmul",
                ReferenceProducts.matmul(transposeA, transposeB, m, n, k, a, b),
                PRODUCT_TOLERANCE,
                ReferenceProducts.matmul(transposeA, transposeB, m, n, k, abs(a), abs(b)));
    }

    @Seeds(96)
    default void linear(int seed) {
        try (var t = trial(seed)) {
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", 1, 5, 16, 63, 64, 65, 130);
            int inputs = t.size("inputs", 0, 1, 3, 13, 33, 64, 207, 384, 702);
            int outputs = t.size("outputs", 1, 2, 13, 31, 32, 33, 64, 207, 384);
            linear(t, batch, length, inputs, outputs);
        }
    }

    /** As in generation; several runs of rows of w for each of a few workers. */
    @Seeds(8)
    default void linearOfFewTokens(int seed) {
        try (var t = trial(seed)) {
            linear(t, t.size("batch", 1, 2, 4), 1, t.size("inputs", 1024, 1100), t.size("outputs", 1024, 1031));
        }
    }

    private void linear(Trial t, int batch, int length, int inputs, int outputs) {
        int rows = batch * length;
        double[] bias = t.nullable("bias", outputs), residual = t.nullable("residual", rows * outputs);
        double[] x = t.normal(rows * inputs), w = t.normal(outputs * inputs);
        var y = t.flag("y was filled")
                ? t.working(t.normal(rows * outputs), batch, length, outputs)
                : t.result(batch, length, outputs);
        t.backend.linear(
                t.input(x, batch, length, inputs),
                t.input(w, outputs, inputs),
                t.input(bias, outputs),
                t.input(residual, batch, length, outputs),
                y);
        t.expect(
                "linear",
                ReferenceProducts.linear(rows, inputs, outputs, x, w, bias, residual),
                y,
                PRODUCT_TOLERANCE,
                ReferenceProducts.linear(rows, inputs, outputs, abs(x), abs(w), absOrNull(bias), absOrNull(residual)));
    }

    @Seeds(64)
    default void linearOfSeveralLayers(int seed) {
        try (var t = trial(seed)) {
            int rows = t.size("rows", 1, 3, 5, 12, 63, 208, 500), inputs = t.size("inputs", 1, 3, 33, 64, 207, 702);
            var outputs = outputs(t);
            int layers = outputs.length;
            var residual = t.nullable("residual", rows * outputs[0]);
            double[] x = t.normal(rows * inputs);
            double[][] w = new double[layers][], bias = new double[layers][];
            Tensor[] ws = new Tensor[layers], biases = new Tensor[layers], ys = new Tensor[layers];
            for (int i = 0; i < layers; i++) {
                w[i] = t.normal(outputs[i] * inputs);
                bias[i] = t.nullable("bias", outputs[i]);
                ws[i] = t.input(w[i], outputs[i], inputs);
                biases[i] = t.input(bias[i], outputs[i]);
                ys[i] = t.result(rows, outputs[i]);
            }
            t.backend.linear(t.input(x, rows, inputs), ws, biases, t.input(residual, rows, outputs[0]), ys);
            for (int i = 0; i < layers; i++) {
                var added = i == 0 ? residual : null;
                t.expect(
                        "layer " + i,
                        ReferenceProducts.linear(rows, inputs, outputs[i], x, w[i], bias[i], added),
                        ys[i],
                        PRODUCT_TOLERANCE,
                        ReferenceProducts.linear(
                                rows, inputs, outputs[i], abs(x), abs(w[i]), absOrNull(bias[i]), absOrNull(added)));
            }
        }
    }

    @Seeds(64)
    default void linearGrad(int seed) {
        try (var t = trial(seed)) {
            int rows = t.size("rows", 1, 3, 12, 63, 208, 500, 1300), inputs = t.size("inputs", 1, 3, 33, 64, 207, 384);
            var outputs = outputs(t);
            int layers = outputs.length;
            double[] x = t.normal(rows * inputs);
            double[] sum = new double[rows * inputs], size = new double[rows * inputs];
            var dy = new double[layers][];
            Tensor[] dys = new Tensor[layers], ws = new Tensor[layers], dws = new Tensor[layers];
            var gradients = new ArrayList<Trial.Gradient>();
            for (int i = 0; i < layers; i++) {
                int n = outputs[i];
                double[] w = t.normal(n * inputs);
                dy[i] = t.normal(rows * n);
                dys[i] = t.input(dy[i], rows, n);
                ws[i] = t.input(w, n, inputs);
                gradients.add(t.gradient(n, inputs));
                dws[i] = gradients.get(i).tensor;
                add(sum, ReferenceProducts.matmul(false, false, rows, inputs, n, dy[i], w));
                add(size, ReferenceProducts.matmul(false, false, rows, inputs, n, abs(dy[i]), abs(w)));
            }
            var dx = t.gradient(rows, inputs);
            t.backend.linearGrad(dys, t.input(x, rows, inputs), ws, dx.tensor, dws);
            dx.expect("dx", sum, PRODUCT_TOLERANCE, size);
            for (int i = 0; i < layers; i++) {
                gradients
                        .get(i)
                        .expect(
                                "dw " + i,
                                ReferenceProducts.matmul(true, false, outputs[i], inputs, rows, dy[i], x),
                                PRODUCT_TOLERANCE,
                                ReferenceProducts.matmul(true, false, outputs[i], inputs, rows, abs(dy[i]), abs(x)));
            }
        }
    }

    private static double[] absOrNull(double[] x) {
        return x == null ? null : abs(x);
    }

    private static int[] outputs(Trial t) {
        var outputs = new int[t.size("layers", 1, 2, 3)];
        Arrays.setAll(outputs, i -> t.size("outputs", 1, 12, 32, 33, 207, 384, 1300));
        return outputs;
    }

    private static void add(double[] sum, double[] terms) {
        Arrays.setAll(sum, i -> sum[i] + terms[i]);
    }

    @Seeds(48)
    default void sumRows(int seed) {
        try (var t = trial(seed)) {
            int rows = t.size("rows", 0, 1, 2, 3, 13, 64, 65, 300, 2000), columns = t.size("columns", WIDTHS);
            var x = t.normal(rows * columns);
            var sum = t.gradient(columns);
            t.backend.sumRows(t.input(x, rows, columns), sum.tensor);
            sum.expect(
                    "sumRows",
                    ReferenceProducts.sumRows(columns, x),
                    PRODUCT_TOLERANCE,
                    ReferenceProducts.sumRows(columns, abs(x)));
        }
    }
}
