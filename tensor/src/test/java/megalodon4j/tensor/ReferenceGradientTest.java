package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.normal;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Proves the oracle: each analytic gradient of the Reference classes is compared with central differences of their
 * own forward, in double. The loss is Σ dy · y with a random dy.
 */
class ReferenceGradientTest {
    private static final double STEP = 1e-4;
    private static final double EPS = 1e-3;

    /** Fails unless the gradient of Σ dy · y by x is what is claimed. */
    private static void check(String what, double[] x, double[] dy, Supplier<double[]> y, double[] claimed) {
        assertNotNull(claimed, what);
        assertEquals(x.length, claimed.length, what);
        double norm = Math.max(1e-3, TestTensors.maxNorm(claimed));
        for (int i = 0; i < x.length; i++) {
            double at = x[i];
            // Of order h⁴: the truncation does not cover up small errors.
            double far = difference(x, i, at, 2 * STEP, dy, y), near = difference(x, i, at, STEP, dy, y);
            x[i] = at;
            assertEquals((4 * near - far) / 3, claimed[i], 1e-7 * norm, what + " at " + i);
        }
    }

    private static double difference(double[] x, int i, double at, double step, double[] dy, Supplier<double[]> y) {
        x[i] = at + step;
        double above = dot(dy, y.get());
        x[i] = at - step;
        return (above - dot(dy, y.get())) / (2 * step);
    }

    private static double dot(double[] x, double[] y) {
        assertEquals(x.length, y.length);
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            sum += x[i] * y[i];
        }
        return sum;
    }

    @Test
    void matmul() {
        int m = 3, n = 4, k = 5;
        var dc = normal(1, m * n);
        for (boolean ta : new boolean[] {false, true}) {
            for (boolean tb : new boolean[] {false, true}) {
                var a = normal(2, m * k);
                var b = normal(3, k * n);
                Supplier<double[]> c = () -> ReferenceProducts.matmul(ta, tb, m, n, k, a, b);
                // da = dc · bᵀ and db = aᵀ · dc, each transposed as its argument is.
                var da = ta
                        ? ReferenceProducts.matmul(tb, true, k, m, n, b, dc)
                        : ReferenceProducts.matmul(false, !tb, m, k, n, dc, b);
                var db = tb
                        ? ReferenceProducts.matmul(true, ta, n, k, m, dc, a)
                        : ReferenceProducts.matmul(!ta, false, k, n, m, a, dc);
                check("da", a, dc, c, da);
                check("db", b, dc, c, db);
            }
        }
    }

    @Test
    void linear() {
        int rows = 3, inputs = 4, outputs = 5;
        var x = normal(1, rows * inputs);
        var w = normal(2, outputs * inputs);
        var bias = normal(3, outputs);
        var residual = normal(4, rows * outputs);
        var dy = normal(5, rows * outputs);
        Supplier<double[]> y = () -> ReferenceProducts.linear(rows, inputs, outputs, x, w, bias, residual);
        check("dx", x, dy, y, ReferenceProducts.matmul(false, false, rows, inputs, outputs, dy, w));
        check("dw", w, dy, y, ReferenceProducts.matmul(true, false, outputs, inputs, rows, dy, x));
        check("dbias", bias, dy, y, ReferenceProducts.sumRows(outputs, dy));
        check("dresidual", residual, dy, y, dy);
    }

    @Test
    void silu() {
        var a = normal(1, 20);
        var b = normal(2, 20);
        var dy = normal(3, 20);
        var gated = ReferenceElementwise.siluGrad(dy, a, b);
        check("da", a, dy, () -> ReferenceElementwise.silu(a, b), gated.da());
        check("db", b, dy, () -> ReferenceElementwise.silu(a, b), gated.db());
        check(
                "da alone",
                a,
                dy,
                () -> ReferenceElementwise.silu(a, null),
                ReferenceElementwise.siluGrad(dy, a, null).da());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void rmsNorm(int shift) {
        int columns = 7;
        var x = normal(1, 3 * columns);
        var gamma = normal(2, columns);
        var dy = normal(3, 3 * columns);
        Supplier<double[]> y =
                () -> ReferenceNorms.rmsNorm(columns, x, gamma, shift, EPS).y();
        var grad = ReferenceNorms.rmsNormGrad(columns, dy, x, gamma, shift, EPS);
        check("dx", x, dy, y, grad.dx());
        check("dgamma", gamma, dy, y, grad.dw());
        check(
                "dx without gamma",
                x,
                dy,
                () -> ReferenceNorms.rmsNorm(columns, x, null, shift, EPS).y(),
                ReferenceNorms.rmsNormGrad(columns, dy, x, null, shift, EPS).dx());
    }

    @Test
    void layerNorm() {
        int columns = 7;
        var x = normal(1, 3 * columns);
        var w = normal(2, columns);
        var b = normal(3, columns);
        var dy = normal(4, 3 * columns);
        Supplier<double[]> y =
                () -> ReferenceNorms.layerNorm(columns, x, w, b, EPS).y();
        var grad = ReferenceNorms.layerNormGrad(columns, dy, x, w, b, EPS);
        check("dx", x, dy, y, grad.dx());
        check("dw", w, dy, y, grad.dw());
        check("db", b, dy, y, grad.db());
        check(
                "dx without w",
                x,
                dy,
                () -> ReferenceNorms.layerNorm(columns, x, null, null, EPS).y(),
                ReferenceNorms.layerNormGrad(columns, dy, x, null, null, EPS).dx());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "11111111", "00111111", "10110100", "00000000", "00000001"})
    void timestepNorm(String valid) {
        int batch = 2, columns = 6, groups = 3, length = 4;
        var mask =
                valid.isEmpty() ? null : valid.chars().mapToDouble(c -> c - '0').toArray();
        var x = normal(1, batch * length * columns);
        var w = normal(2, columns);
        var b = normal(3, columns);
        var dy = normal(4, x.length);
        Supplier<double[]> y =
                () -> ReferenceNorms.timestepNorm(batch, length, columns, groups, x, mask, w, b, EPS, null)
                        .y();
        var grad = ReferenceNorms.timestepNormGrad(batch, length, columns, groups, dy, x, mask, w, b, EPS);
        check("dx", x, dy, y, grad.dx());
        check("dw", w, dy, y, grad.dw());
        check("db", b, dy, y, grad.db());
        check(
                "dx without w",
                x,
                dy,
                () -> ReferenceNorms.timestepNorm(batch, length, columns, groups, x, mask, null, null, EPS, null)
                        .y(),
                ReferenceNorms.timestepNormGrad(batch, length, columns, groups, dy, x, mask, null, null, EPS)
                        .dx());
    }

    @Test
    void timestepNormCarriesItsState() {
        int columns = 6, groups = 3, length = 9, first = 4;
        var x = normal(1, length * columns);
        var mask = new double[] {0, 0, 1, 1, 0, 1, 1, 0, 1};
        var state = new double[] {5, 1, -1, 0.5, 0.3, 2, 1e-9};
        var whole = state.clone();
        var y = ReferenceNorms.timestepNorm(1, length, columns, groups, x, mask, null, null, EPS, whole)
                .y();
        var head = ReferenceNorms.timestepNorm(
                1,
                first,
                columns,
                groups,
                Arrays.copyOf(x, first * columns),
                Arrays.copyOf(mask, first),
                null,
                null,
                EPS,
                state);
        var tail = ReferenceNorms.timestepNorm(
                1,
                length - first,
                columns,
                groups,
                Arrays.copyOfRange(x, first * columns, x.length),
                Arrays.copyOfRange(mask, first, length),
                null,
                null,
                EPS,
                state);
        var pieces = Arrays.copyOf(head.y(), y.length);
        System.arraycopy(tail.y(), 0, pieces, first * columns, tail.y().length);
        // The third variance is put to its floor in between, which only the pieces remember.
        for (int i = 0; i < y.length; i++) {
            assertEquals(y[i], pieces[i], i % columns < 4 ? 1e-12 : 1e-4, "y at " + i);
        }
        assertEquals(whole[0], state[0]);
    }

    /**
     * Mean and variance of the tokens so far, where nothing was there before but the one count of the fresh variance.
     */
    @Test
    void timestepNormIsMeanAndVarianceSoFar() {
        var x = normal(1, 5);
        var normed = ReferenceNorms.timestepNorm(1, 5, 1, 1, x, null, null, null, EPS, null);
        for (int t = 0; t < 5; t++) {
            double mean = Arrays.stream(x, 0, t + 1).average().orElseThrow();
            double squares =
                    Arrays.stream(x, 0, t + 1).map(g -> (g - mean) * (g - mean)).sum();
            assertEquals(mean, normed.mean()[t], 1e-12);
            assertEquals(1 / Math.sqrt((1 + squares) / (t + 1) + EPS), normed.rstd()[t], 1e-12);
        }
    }

    @ParameterizedTest
    @CsvSource({"false, false", "false, true", "true, false", "true, true"})
    void rope(boolean adjacent, boolean inverse) {
        int batch = 2, length = 3, heads = 2, d = 6;
        var x = normal(1, batch * length * heads * d);
        var angle = normal(2, length * d / 2);
        var cos = Arrays.stream(angle).map(Math::cos).toArray();
        var sin = Arrays.stream(angle).map(Math::sin).toArray();
        var dy = normal(3, x.length);
        check(
                "dx",
                x,
                dy,
                () -> ReferenceAttention.rope(batch, length, heads, d, x, cos, sin, adjacent, inverse),
                ReferenceAttention.rope(batch, length, heads, d, dy, cos, sin, adjacent, !inverse));
    }

    @Test
    void queryKey() {
        int batch = 2, length = 3, heads = 2, d = 4, width = heads * d;
        var z = normal(1, batch * length * width);
        var gamma = normal(2, 2 * width);
        var beta = normal(3, 2 * width);
        var angle = normal(4, length * d / 2);
        var cos = Arrays.stream(angle).map(Math::cos).toArray();
        var sin = Arrays.stream(angle).map(Math::sin).toArray();
        var dq = normal(5, z.length);
        var dk = normal(6, z.length);
        var dboth = join(dq, dk);
        Supplier<double[]> both = () -> {
            var made = ReferenceAttention.queryKey(batch, length, heads, d, z, gamma, beta, cos, sin, EPS);
            return join(made.q(), made.k());
        };
        var grad = ReferenceAttention.queryKeyGrad(batch, length, heads, d, dq, dk, z, gamma, cos, sin, EPS);
        check("dz", z, dboth, both, grad.dz());
        check("dgamma", gamma, dboth, both, grad.dgamma());
        check("dbeta", beta, dboth, both, grad.dbeta());
    }

    private static double[] join(double[] a, double[] b) {
        var both = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, both, a.length, b.length);
        return both;
    }

    @ParameterizedTest
    @CsvSource({
        "9, false, 0",
        "3, false, 0",
        "2, false, 0",
        "6, true, 0",
        "3, true, 0",
        "1, true, 0",
        "9, false, 0.4",
        "3, true, 0.4"
    })
    void attention(int chunk, boolean masked, double rate) {
        int batch = 2, length = 6;
        var n = new ReferenceAttention.Sizes(batch, length, length, length, 2, 3, 4, chunk, 0.7);
        var q = normal(1, batch * length * 6);
        var k = normal(2, batch * length * 6);
        var v = normal(3, batch * length * 8);
        var mask = masked ? new double[] {0, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0} : null;
        var dO = normal(4, v.length);
        var dropout = new Dropout(rate, 1, 2, 3);
        Supplier<double[]> o =
                () -> ReferenceAttention.attention(n, q, k, v, mask, dropout).o();
        var grad = ReferenceAttention.attentionGrad(n, dO, q, k, v, mask, dropout);
        check("dq", q, dO, o, grad.dq());
        check("dk", k, dO, o, grad.dk());
        check("dv", v, dO, o, grad.dv());
    }

    /** The last of the keys belongs to the last of the queries: the end of a longer attention. */
    @Test
    void attentionToACache() {
        int length = 7, queries = 3, heads = 2, d = 2, e = 3;
        var q = normal(1, length * heads * d);
        var k = normal(2, length * heads * d);
        var v = normal(3, length * heads * e);
        var whole = ReferenceAttention.attention(
                new ReferenceAttention.Sizes(1, length, length, length, heads, d, e, length, 1), q, k, v, null);
        var end = ReferenceAttention.attention(
                new ReferenceAttention.Sizes(1, queries, length, length + 2, heads, d, e, length, 1),
                Arrays.copyOfRange(q, (length - queries) * heads * d, q.length),
                Arrays.copyOf(k, (length + 2) * heads * d),
                Arrays.copyOf(v, (length + 2) * heads * e),
                null);
        for (int i = 0; i < end.o().length; i++) {
            assertEquals(whole.o()[(length - queries) * heads * e + i], end.o()[i], 1e-14);
        }
    }

    @Test
    void emaCoefficients() {
        int columns = 3, states = 4, size = columns * states;
        var alpha = normal(1, size);
        var delta = normal(2, size);
        var theta = normal(3, columns);
        var gammaReal = normal(4, size);
        var gammaImag = normal(5, size);
        var dc = normal(6, 5 * size);
        Supplier<double[]> c =
                () -> ReferenceEma.coefficients(columns, states, alpha, delta, theta, gammaReal, gammaImag);
        var grad = ReferenceEma.coefficientsGrad(columns, states, dc, alpha, delta, theta);
        check("dalpha", alpha, dc, c, grad.dalpha());
        check("ddelta", delta, dc, c, grad.ddelta());
        check("dtheta", theta, dc, c, grad.dtheta());
        check("dgammaReal", gammaReal, dc, c, grad.dgammaReal());
        check("dgammaImag", gammaImag, dc, c, grad.dgammaImag());
    }

    private static double[] coefficients(int columns, int states) {
        return ReferenceEma.coefficients(
                columns,
                states,
                normal(11, columns * states),
                normal(12, columns * states),
                normal(13, columns),
                normal(14, columns * states),
                normal(15, columns * states));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void ema(boolean masked) {
        int batch = 2, length = 5, columns = 3, states = 2;
        var x = normal(1, batch * length * columns);
        var mask = masked ? new double[] {0, 1, 1, 0, 1, 1, 1, 0, 0, 0} : null;
        var c = coefficients(columns, states);
        var omega = normal(2, columns);
        var dy = normal(3, x.length);
        Supplier<double[]> y = () -> ReferenceEma.ema(batch, length, columns, states, x, mask, c, omega, null);
        var grad = ReferenceEma.emaGrad(batch, length, columns, states, dy, x, mask, c, omega);
        check("dx", x, dy, y, grad.dx());
        check("dcoefficients", c, dy, y, grad.dcoefficients());
        check("domega", omega, dy, y, grad.domega());
    }

    @Test
    void emaIsAConvolution() {
        int length = 9, columns = 3, states = 4;
        var x = normal(1, length * columns);
        var c = coefficients(columns, states);
        var omega = normal(2, columns);
        var y = ReferenceEma.ema(1, length, columns, states, x, null, c, omega, null);
        var k = ReferenceEma.kernel(length, columns, states, c);
        for (int t = 0; t < length; t++) {
            for (int j = 0; j < columns; j++) {
                double sum = omega[j] * x[t * columns + j];
                for (int s = 0; s <= t; s++) {
                    sum += k[(t - s) * columns + j] * x[s * columns + j];
                }
                assertEquals(sum, y[t * columns + j], 1e-12);
            }
        }
    }

    @Test
    void embedding() {
        int rows = 5, columns = 3, padding = 2;
        var ids = new int[] {0, 2, 4, 4, 2, 1};
        var table = normal(1, rows * columns);
        var dy = normal(2, ids.length * columns);
        Supplier<double[]> y = () -> ReferenceTokens.embedding(columns, ids, table, 1.5);
        check("dtable", table, dy, y, ReferenceTokens.embeddingGrad(rows, columns, dy, ids, -1, 1.5));
        var padded = ReferenceTokens.embeddingGrad(rows, columns, dy, ids, padding, 1.5);
        for (int j = 0; j < columns; j++) {
            assertEquals(0, padded[padding * columns + j]);
        }
    }

    @Test
    void crossEntropy() {
        int vocabulary = 5;
        var labels = new int[] {0, 4, Backend.IGNORE_INDEX, 2};
        var logits = normal(1, labels.length * vocabulary);
        double scale = 0.3;
        var dlosses = new double[labels.length];
        Arrays.fill(dlosses, scale);
        check(
                "dlogits",
                logits,
                dlosses,
                () -> ReferenceTokens.crossEntropy(vocabulary, logits, labels, scale)
                        .losses(),
                ReferenceTokens.crossEntropy(vocabulary, logits, labels, scale).dlogits());
    }

    /** Adam on a constant gradient moves by the learning rate a step, whatever the gradient's size. */
    @Test
    void adam() {
        var state = new ReferenceElementwise.Adam(new double[] {1, 1}, new double[2], new double[2]);
        for (int t = 1; t <= 5; t++) {
            var step = new Backend.AdamStep(0.01f, 0.9f, 0.999f, 1e-12f, 0, 2, t);
            state = ReferenceElementwise.adam(step, state.p(), new double[] {3, -0.001}, state.m(), state.v());
        }
        assertEquals(0.95, state.p()[0], 1e-8);
        assertEquals(1.05, state.p()[1], 1e-8);
        assertTrue(state.m()[0] > 0 && state.v()[1] > 0);
    }
}
