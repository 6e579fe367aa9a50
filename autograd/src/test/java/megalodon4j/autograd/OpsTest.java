package megalodon4j.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Backend.EmaMethod;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Every operation's gradient against finite differences. An operation's result is taken as logits, the loss is their mean cross-entropy with
 * random labels; all parameters are moved along one random direction, and the slope there must be the gradient's.
 */
class OpsTest {
    private static final int B = 2;
    private static final int L = 21;
    private static final int D = 12;
    private static final int N = 3;

    private final Backend backend = Backend.cpu(2);
    private final Random random = new Random(5);

    @AfterEach
    void close() {
        assertEquals(0, backend.outstanding(), "tensors that were not given back");
        backend.close();
    }

    /** Parameters, and the graph above them. */
    private record Case(String name, Parameters parameters, Function<Tape, Variable> graph) {}

    @TestFactory
    List<DynamicTest> gradientsAreSlopes() {
        var tests = new ArrayList<DynamicTest>();
        for (var c : cases()) {
            tests.add(DynamicTest.dynamicTest(c.name, () -> check(c)));
        }
        return tests;
    }

    private List<Case> cases() {
        var cases = new ArrayList<Case>();
        var ids = new int[B * L];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = random.nextInt(7);
        }
        var mask = mask();
        cases.add(
                of("embedding", 1, (tape, p) -> Ops.embedding(tape, ids, B, p.get("table"), 1.5f, -1), "table", 7, D));
        cases.add(onX("linear", (x, p) -> Ops.linear(x, p.get("w"), p.get("b"), null), "w", 9, D, "b", 9));
        cases.add(onX("linear with residual", (x, p) -> Ops.linear(x, p.get("w"), null, x), "w", D, D));
        for (boolean first : new boolean[] {true, false}) {
            for (boolean second : new boolean[] {true, false}) {
                cases.add(onX(
                        "projections, first used: " + first + ", second: " + second,
                        (x, p) -> several(x, p, first, second),
                        "w",
                        D,
                        D,
                        "b",
                        D,
                        "v",
                        D,
                        D,
                        "u",
                        D,
                        D,
                        "c",
                        D));
            }
        }
        cases.add(onX("addScaled", (x, p) -> Ops.addScaled(x, 0.3f, Ops.silu(x, null))));
        cases.add(onX("multiply", (x, p) -> Ops.multiply(x, Ops.linear(x, p.get("w"), null, null)), "w", D, D));
        cases.add(onX("multiply by itself", (x, p) -> Ops.multiply(x, x)));
        cases.add(onX("silu", (x, p) -> Ops.silu(x, null)));
        cases.add(onX("gated silu", (x, p) -> Ops.silu(x, Ops.linear(x, p.get("w"), null, null)), "w", D, D));
        for (var dropped : new Dropout[] {null, new Dropout(0.4, 3, 11, 6)}) {
            cases.add(onX(
                    "gated linear, dropped: " + dropped,
                    (x, p) -> Ops.gatedLinear(
                            x, Ops.linear(x, p.get("w"), null, null), dropped, p.get("v"), p.get("b"), x),
                    "w",
                    D,
                    D,
                    "v",
                    D,
                    D,
                    "b",
                    D));
        }
        cases.add(onX(
                "gated linear without factor",
                (x, p) -> Ops.gatedLinear(x, null, null, p.get("w"), null, null),
                "w",
                D,
                D));
        cases.add(onX("gated linear of itself", (x, p) -> Ops.gatedLinear(x, x, null, p.get("w"), null, x), "w", D, D));
        cases.add(onX("silu gated by itself", (x, p) -> Ops.silu(x, x)));
        cases.add(onX("rmsNorm", (x, p) -> Ops.rmsNorm(x, p.get("g"), 1, 1e-5f), "g", D));
        cases.add(onX("rmsNorm without weight", (x, p) -> Ops.rmsNorm(x, null, 0, 1e-5f)));
        cases.add(onX("layerNorm", (x, p) -> Ops.layerNorm(x, p.get("w"), p.get("b"), 1e-5f), "w", D, "b", D));
        cases.add(onX("layerNorm without weight", (x, p) -> Ops.layerNorm(x, null, null, 1e-5f)));
        cases.add(onX(
                "timestepNorm",
                (x, p) -> Ops.timestepNorm(x, null, p.get("w"), p.get("b"), 4, 1e-5f, null),
                "w",
                D,
                "b",
                D));
        cases.add(onX(
                "timestepNorm with mask",
                (x, p) -> Ops.timestepNorm(x, mask, p.get("w"), null, 4, 1e-5f, null),
                "w",
                D));
        var cos = angles(true);
        var sin = angles(false);
        for (boolean adjacent : new boolean[] {true, false}) {
            cases.add(onX(
                    "rope, adjacent " + adjacent, (x, p) -> Ops.rope(copy(x, p), cos, sin, 3, adjacent), "id", D, D));
        }
        var dropout = new Dropout(0.4, 3, 11, 6);
        cases.add(onX("dropout", (x, p) -> Ops.dropout(copy(x, p), dropout), "id", D, D));
        cases.add(onX("attention, all the same", (x, p) -> Ops.attention(x, x, x, null, 3, 8, 1, null)));
        cases.add(onX(
                "attention, queries as keys", (x, p) -> Ops.attention(x, x, Ops.silu(x, null), null, 3, 8, 1, null)));
        cases.add(onX(
                "attention, keys as values", (x, p) -> Ops.attention(Ops.silu(x, null), x, x, null, 3, 8, 1, null)));
        cases.add(onX(
                "keys alone",
                (x, p) -> Ops.queryKey(x, p.get("gamma"), p.get("beta"), cos, sin, 3, 1e-5f)
                        .key(),
                "gamma",
                2,
                D,
                "beta",
                2,
                D));
        cases.add(onX("checkpoint", (x, p) -> x.tape().checkpoint(x, y -> Ops.silu(y, y))));
        cases.add(onX("checkpoint of nothing", (x, p) -> x.tape().checkpoint(x, y -> y)));
        for (int chunk : new int[] {8, 100}) {
            cases.add(onX(
                    "attention, chunk " + chunk,
                    (x, p) -> attention(x, p, cos, sin, null, chunk, null),
                    projections()));
            cases.add(onX(
                    "attention with mask, chunk " + chunk,
                    (x, p) -> attention(x, p, cos, sin, mask, chunk, null),
                    projections()));
            cases.add(onX(
                    "attention with mask and dropout, chunk " + chunk,
                    (x, p) -> attention(x, p, cos, sin, mask, chunk, dropout),
                    projections()));
        }
        for (var method : EmaMethod.values()) {
            for (var m : new Tensor[] {null, mask}) {
                cases.add(onX(
                        "ema by " + method + (m == null ? "" : " with mask"),
                        (x, p) -> ema(x, p, m, method),
                        "alpha",
                        D * N,
                        "delta",
                        D * N,
                        "theta",
                        D,
                        "real",
                        D * N,
                        "imag",
                        D * N,
                        "omega",
                        D));
            }
        }
        return cases;
    }

    // In-place operations must not change what others read: rope gets a value of its own.
    private static Variable copy(Variable x, Parameters p) {
        return Ops.linear(x, p.get("id"), null, null);
    }

    private static Variable several(Variable x, Parameters p, boolean first, boolean second) {
        var wb = new Linear(p.get("w"), p.get("b"));
        var uc = new Linear(p.get("u"), p.get("c"));
        var y = new Projections(wb, new Linear(p.get("v"), null), uc).apply(x, x);
        var sum = y[2];
        sum = first ? Ops.multiply(sum, y[0]) : sum;
        return second ? Ops.multiply(sum, y[1]) : sum;
    }

    private static Object[] projections() {
        return new Object[] {"wz", D, D, "wv", D, D, "gamma", 2, D, "beta", 2, D};
    }

    private static Variable attention(
            Variable x, Parameters p, Tensor cos, Tensor sin, Tensor mask, int chunk, Dropout dropout) {
        var z = Ops.linear(x, p.get("wz"), null, null);
        var v = Ops.linear(x, p.get("wv"), null, null);
        var qk = Ops.queryKey(z, p.get("gamma"), p.get("beta"), cos, sin, 3, 1e-5f);
        return Ops.attention(qk.query(), qk.key(), v, mask, 3, chunk, 1.7f, dropout);
    }

    private static Variable ema(Variable x, Parameters p, Tensor mask, EmaMethod method) {
        var parameters = new Ops.EmaParameters(
                p.get("alpha"), p.get("delta"), p.get("theta"), p.get("real"), p.get("imag"), p.get("omega"));
        return Ops.ema(x, mask, Ops.emaCoefficients(x.tape(), parameters), p.get("omega"), null, method);
    }

    private Tensor mask() {
        var mask = new float[B * L];
        for (int i = 0; i < mask.length; i++) {
            mask[i] = random.nextInt(4) == 0 ? 0 : 1;
        }
        return backend.tensor(B, L).set(mask);
    }

    private Tensor angles(boolean cosine) {
        var values = new float[L * 2];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (cosine ? Math.cos(0.3 * i) : Math.sin(0.3 * i));
        }
        return backend.tensor(L, 2).set(values);
    }

    private interface OnTape {
        Variable apply(Tape tape, Parameters p);
    }

    private interface OnX {
        Variable apply(Variable x, Parameters p);
    }

    private Case of(String name, double sigma, OnTape graph, Object... namesAndSizes) {
        var p = new Parameters(backend);
        for (int i = 0; i < namesAndSizes.length; ) {
            var parameter = (String) namesAndSizes[i++];
            var sizes = new ArrayList<Integer>();
            while (i < namesAndSizes.length && namesAndSizes[i] instanceof Integer size) {
                sizes.add(size);
                i++;
            }
            var shape = Shape.of(sizes.stream().mapToInt(Integer::intValue).toArray());
            p.add(parameter, shape, s -> gaussians(s.elements(), sigma));
        }
        return new Case(name, p, tape -> graph.apply(tape, p));
    }

    // x (B, L, D) is itself computed from a parameter, so that its gradient is seen.
    private Case onX(String name, OnX graph, Object... namesAndSizes) {
        var all = new Object[namesAndSizes.length + 3];
        all[0] = "x";
        all[1] = B * L;
        all[2] = D;
        System.arraycopy(namesAndSizes, 0, all, 3, namesAndSizes.length);
        var rows = new int[B * L];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = i;
        }
        return of(name, 0.7, (tape, p) -> graph.apply(Ops.embedding(tape, rows, B, p.get("x"), 1, -1), p), all);
    }

    private float[] gaussians(int n, double sigma) {
        var values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) (sigma * random.nextGaussian());
        }
        return values;
    }

    private void check(Case c) {
        var labels = new int[B * L];
        double slope = 0;
        c.parameters.zeroGrad();
        try (var tape = Tape.training(backend)) {
            var y = c.graph.apply(tape);
            for (int i = 0; i < labels.length; i++) {
                labels[i] = i % 5 == 4
                        ? Backend.IGNORE_INDEX
                        : random.nextInt(y.shape().columns());
            }
            tape.backward(Ops.crossEntropy(y, labels, 1));
        }
        var directions = new ArrayList<float[]>();
        for (var p : c.parameters) {
            var direction = gaussians(p.value().elements(), 1);
            var grad = p.grad().toArray();
            for (int i = 0; i < grad.length; i++) {
                slope += (double) grad[i] * direction[i];
            }
            directions.add(direction);
        }
        double want = slope(c, labels, directions);
        double size = Math.abs(want) + 0.01 * labels.length;
        assertEquals(want, slope, 1e-3 * size, c.name);
        assertTrue(Math.abs(slope) > 1e-3, "a slope of zero proves nothing");
    }

    /**
     * Central differences of two widths, combined so that the cubic error cancels (Richardson). Wide ones are curved, narrow ones rounded: the
     * width is the one around which the result changes least (Ridders 1982).
     */
    private double slope(Case c, int[] labels, List<float[]> directions) {
        double best = 0, before = Double.NaN, least = Double.POSITIVE_INFINITY;
        double wide = difference(c, labels, directions, 0.032);
        for (double h = 0.016; h > 1e-3; h /= 2) {
            double narrow = difference(c, labels, directions, h), now = (4 * narrow - wide) / 3;
            if (Math.abs(now - before) < least) {
                least = Math.abs(now - before);
                best = now;
            }
            before = now;
            wide = narrow;
        }
        return best;
    }

    private double difference(Case c, int[] labels, List<float[]> directions, double h) {
        return (lossAt(c, labels, directions, h) - lossAt(c, labels, directions, -h)) / (2 * h);
    }

    private double lossAt(Case c, int[] labels, List<float[]> directions, double h) {
        var saved = new ArrayList<float[]>();
        int i = 0;
        for (var p : c.parameters) {
            var value = p.value().toArray();
            saved.add(value.clone());
            for (int j = 0; j < value.length; j++) {
                value[j] += (float) (h * directions.get(i)[j]);
            }
            p.value().set(value);
            i++;
        }
        try (var tape = Tape.inference(backend)) {
            double sum = 0; // in double, whose difference counts
            for (float loss :
                    Ops.crossEntropy(c.graph.apply(tape), labels, 1).value().toArray()) {
                sum += loss;
            }
            return sum;
        } finally {
            i = 0;
            for (var p : c.parameters) {
                p.value().set(saved.get(i++));
            }
        }
    }
}
