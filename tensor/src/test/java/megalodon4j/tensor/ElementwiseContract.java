package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.abs;
import static megalodon4j.tensor.Trial.TOLERANCE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Whole tensors, activations and the optimizer. */
interface ElementwiseContract extends Contract {
    /** How many elements: none, fewer and more than a vector, and enough to be shared by threads. */
    int[] COUNTS = {0, 1, 2, 3, 13, 31, 32, 33, 64, 207, 384, 702, 5_000, 16_384, 100_003};

    @Seeds(24)
    default void copy(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            var x = t.normal(n);
            var y = t.result(n);
            t.backend.copy(t.input(x, n), y);
            t.expect("copy", x, y, 1e-30, 1);
        }
    }

    @Seeds(40)
    default void add(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            var x = t.normal(n);
            var y = t.gradient(n);
            float scale = t.flag("scaled") ? -0.3f : 1;
            t.backend.add(scale, t.input(x, n), y.tensor);
            var want = Arrays.stream(x).map(a -> scale * a).toArray();
            y.expect("add", want, 2e-7, abs(want));
        }
    }

    @Seeds(24)
    default void multiply(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            double[] x = t.normal(n), y = t.normal(n);
            var z = t.result(n);
            t.backend.multiply(t.input(x, n), t.input(y, n), z);
            var want = product(x, y);
            t.expect("multiply", want, z, 1e-7, abs(want));
        }
    }

    @Seeds(40)
    default void multiplyGrad(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            double[] dz = t.normal(n), x = t.normal(n), y = t.normal(n);
            Trial.Gradient dx = t.gradient(n), dy = t.gradient(n);
            t.backend.multiplyGrad(t.input(dz, n), t.input(x, n), t.input(y, n), dx.tensor, dy.tensor);
            dx.expect("multiplyGrad dx", product(dz, y), 2e-7, abs(product(dz, y)));
            dy.expect("multiplyGrad dy", product(dz, x), 2e-7, abs(product(dz, x)));
        }
    }

    /** z = x · x: both gradients go to the same tensor. */
    @Test
    default void multiplyGradOfASquare() {
        try (var t = trial(0)) {
            double[] dz = t.normal(100), x = t.normal(100);
            var same = t.input(x, 100);
            var dx = t.result(100);
            t.backend.multiplyGrad(t.input(dz, 100), same, same, dx, dx);
            t.expect(
                    "multiplyGrad of a square",
                    Arrays.stream(product(dz, x)).map(a -> 2 * a).toArray(),
                    dx);
        }
    }

    private static double[] product(double[] x, double[] y) {
        var z = x.clone();
        for (int i = 0; i < z.length; i++) {
            z[i] *= y[i];
        }
        return z;
    }

    @Seeds(40)
    default void sums(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            var x = t.normal(n, t.flag("offset") ? 100 : 0, 1);
            var tensor = t.input(x, n);
            double squares = Arrays.stream(x).map(a -> a * a).sum();
            assertEquals(
                    Arrays.stream(x).sum(),
                    t.backend.sum(tensor),
                    1e-6 * Arrays.stream(abs(x)).sum(),
                    "sum, " + t);
            assertEquals(squares, t.backend.sumOfSquares(tensor), 1e-6 * squares, "sumOfSquares, " + t);
        }
    }

    @Seeds(16)
    default void sumOfSquaresOfSeveral(int seed) {
        try (var t = trial(seed)) {
            var tensors = new ArrayList<Tensor>();
            double want = 0;
            for (int i = t.size("tensors", 0, 1, 2, 5); i > 0; i--) {
                var x = t.normal(t.size("n", COUNTS));
                boolean blank = t.flag("blank");
                tensors.add(blank ? t.result(x.length) : t.input(x, x.length));
                want += blank ? 0 : Arrays.stream(x).map(a -> a * a).sum();
            }
            assertEquals(want, t.backend.sumOfSquares(tensors), 1e-6 * want, t.toString());
        }
    }

    @Test
    default void sumOfABlankTensorIsZero() {
        try (var t = trial(0)) {
            assertEquals(0, t.backend.sum(t.result(50)));
            assertEquals(0, t.backend.sumOfSquares(t.result(50)));
        }
    }

    @Seeds(24)
    default void zero(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            var x = t.flag("filled") ? t.working(t.normal(n), n) : t.result(n);
            t.backend.zero(x);
            t.expect("zero", new double[n], x);
        }
    }

    @Seeds(40)
    default void silu(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            double[] a = t.normal(n, 0, t.size("deviation", 1, 5, 80)), b = t.nullable("b", n);
            var y = t.result(n);
            t.backend.silu(t.input(a, n), t.input(b, n), y);
            var want = ReferenceElementwise.silu(a, b);
            // Where e⁻ᵃ is at the edge of float32, the result only has to be next to nothing.
            var scale = abs(want);
            for (int i = 0; i < n; i++) {
                scale[i] += 1e-20 * (b == null ? 1 : Math.abs(b[i]));
            }
            t.expect("silu", want, y, TOLERANCE, scale);
        }
    }

    @Seeds(48)
    default void siluGrad(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            double[] dy = t.normal(n), a = t.normal(n, 0, t.size("deviation", 1, 5, 80)), b = t.nullable("b", n);
            Trial.Gradient da = t.gradient(n), db = t.gradient(b != null, n);
            Tensor as = t.input(a, n), bs = t.input(b, n), y = t.result(n);
            t.backend.silu(as, bs, y);
            boolean inPlace = t.flag("y is dy");
            var dys = inPlace ? t.working(dy, n) : t.input(dy, n);
            var again = inPlace ? dys : t.flag("wants y") ? t.result(n) : null;
            t.backend.siluGrad(dys, as, bs, da.tensor, db.tensor, again);
            if (again != null) {
                assertArrayEquals(y.toArray(), again.toArray());
            }
            var want = ReferenceElementwise.siluGrad(dy, a, b);
            // silu' = σ + aσ(1 − σ) crosses zero: what counts is the size of its terms.
            var terms = new double[n];
            for (int i = 0; i < n; i++) {
                double s = ReferenceElementwise.sigmoid(a[i]);
                terms[i] = Math.abs(dy[i] * (b == null ? 1 : b[i])) * (s + Math.abs(a[i]) * s * (1 - s) + 1e-20);
            }
            da.expect("siluGrad da", want.da(), TOLERANCE, terms);
            if (b != null) {
                var scale = abs(want.db());
                for (int i = 0; i < n; i++) {
                    scale[i] += 1e-20 * Math.abs(dy[i]);
                }
                db.expect("siluGrad db", want.db(), TOLERANCE, scale);
            }
        }
    }

    @Seeds(48)
    default void adam(int seed) {
        try (var t = trial(seed)) {
            int n = t.size("n", COUNTS);
            boolean blankGrad = t.size("blank gradient", 0, 0, 0, 1) == 1;
            double[] p = t.normal(n), grad = blankGrad ? new double[n] : t.normal(n, 0, 1e-2);
            boolean first = t.flag("first step");
            double[] m = first ? new double[n] : t.normal(n, 0, 1e-2);
            double[] v = first ? new double[n] : TestTensors.doubles(TestTensors.floats(product(m, m)));
            var step = new Backend.AdamStep(
                    4e-4f,
                    0.9f,
                    0.999f,
                    1e-8f,
                    t.flag("decay") ? 2e-4f : 0,
                    t.flag("clipped") ? 0.37f : 1,
                    first ? 1 : 77);
            var tensors = new Tensor[] {
                t.working(p, n), first ? t.result(n) : t.working(m, n), first ? t.result(n) : t.working(v, n)
            };
            t.backend.adam(step, tensors[0], blankGrad ? t.result(n) : t.input(grad, n), tensors[1], tensors[2]);
            var want = ReferenceElementwise.adam(step, p, grad, m, v);
            double[] scaleP = new double[n], scaleM = new double[n], scaleV = new double[n];
            for (int i = 0; i < n; i++) {
                double g = Math.abs(step.gradScale() * grad[i]) + Math.abs(step.weightDecay() * p[i]);
                scaleM[i] = Math.abs(m[i]) + 0.1 * g;
                scaleV[i] = v[i] + 0.001 * g * g;
                // Half a rounding of p, and the step relative to what m is made of.
                scaleP[i] = 0.1 * Math.abs(p[i])
                        + Math.abs(want.p()[i] - p[i]) * (1 + scaleM[i] / (Math.abs(want.m()[i]) + 1e-30));
            }
            t.expect("adam m", want.m(), tensors[1], 3e-7, scaleM);
            t.expect("adam v", want.v(), tensors[2], 5e-7, scaleV);
            t.expect("adam p", want.p(), tensors[0], 1e-6, scaleP);
        }
    }
}
