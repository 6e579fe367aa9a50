package megalodon4j.tensor;

import java.util.LinkedHashMap;
import java.util.Map;
import megalodon4j.tensor.Backend.AdamStep;
import megalodon4j.tensor.Backend.EmaMethod;

/**
 * Runs each operation of a backend once on the same random numbers, and collects what came out: for comparing runs
 * bit by bit.
 */
final class EveryOperation {
    private static final float EPS = 1e-5f;

    /** Sizes of the tensors: rows are batch · length, columns are heads · d. */
    record Sizes(
            int batch, int length, int heads, int d, int groups, int states, int inner, int vocabulary, int chunk) {
        /** Enough for any number of threads to have something to do, with remainders everywhere. */
        static final Sizes LARGE = new Sizes(3, 173, 3, 34, 17, 5, 391, 517, 100);

        /** A few vectors with a remainder. */
        static final Sizes SMALL = new Sizes(2, 9, 2, 18, 6, 3, 37, 45, 4);

        int columns() {
            return heads * d;
        }

        int rows() {
            return batch * length;
        }
    }

    private final Backend backend;
    private final Sizes n;
    private final Map<String, float[]> results = new LinkedHashMap<>();
    private long seed;

    private EveryOperation(Backend backend, Sizes sizes) {
        this.backend = backend;
        this.n = sizes;
    }

    /** The results by the names of operations and tensors, in a fixed order. */
    static Map<String, float[]> run(Backend backend, Sizes sizes) {
        var all = new EveryOperation(backend, sizes);
        all.elementwise();
        all.products();
        all.norms();
        all.timestepNorm();
        all.attention();
        all.ema();
        all.tokens();
        return all.results;
    }

    private Tensor random(int... sizes) {
        return TestTensors.tensor(backend, seed++, sizes);
    }

    private Tensor blank(int... sizes) {
        return backend.tensor(sizes);
    }

    private void keep(String operation, Tensor... tensors) {
        for (int i = 0; i < tensors.length; i++) {
            results.put(operation + " " + i, tensors[i].toArray());
        }
    }

    private void elementwise() {
        Tensor a = random(n.rows(), n.inner), b = random(n.rows(), n.inner), dy = random(n.rows(), n.inner);
        Tensor y = blank(n.rows(), n.inner), da = blank(n.rows(), n.inner), db = random(n.rows(), n.inner);
        backend.add(0.3f, a, da);
        backend.multiply(a, b, y);
        keep("add, multiply", da, y);
        backend.silu(a, b, y);
        var again = blank(n.rows(), n.inner);
        backend.siluGrad(dy, a, b, da, db, again);
        keep("silu", y, da, db, again);
        backend.silu(a, null, y);
        keep("silu alone", y);
        results.put("sum", new float[] {(float) backend.sum(a), (float) backend.sumOfSquares(a)});
        Tensor m = random(n.rows(), n.inner), v = blank(n.rows(), n.inner);
        backend.multiply(m, m, v);
        backend.adam(new AdamStep(1e-3f, 0.9f, 0.999f, 1e-8f, 1e-3f, 0.7f, 5), a, b, m, v);
        keep("adam", a, m, v);
    }

    private void products() {
        Tensor x = random(n.rows(), n.columns()), w = random(n.inner, n.columns());
        Tensor y = blank(n.rows(), n.inner), dx = blank(n.rows(), n.columns()), dw = random(n.inner, n.columns());
        backend.linear(x, w, random(n.inner), random(n.rows(), n.inner), y);
        backend.matmul(false, false, y, w, dx);
        backend.matmul(true, false, y, x, dw);
        keep("linear", y, dx, dw);
        Tensor[] ws = {w, random(n.columns() + 5, n.columns())}, dws = {dw, blank(n.columns() + 5, n.columns())};
        Tensor[] ys = {y, blank(n.rows(), n.columns() + 5)};
        backend.linear(x, ws, new Tensor[] {null, random(n.columns() + 5)}, null, ys);
        backend.linearGrad(ys, x, ws, dx, dws);
        keep("linear of two layers", y, ys[1], dx, dw, dws[1]);
        var both = blank(n.columns(), n.inner);
        backend.matmul(true, true, x, random(n.inner, n.rows()), both);
        var one = blank(1, n.inner);
        backend.linear(random(1, n.columns()), w, null, null, one);
        var sum = blank(n.inner);
        backend.sumRows(y, sum);
        keep("matmul", both, one, sum);
    }

    private void norms() {
        Tensor x = random(n.rows(), n.columns()), w = random(n.columns()), b = random(n.columns());
        var dy = random(n.rows(), n.columns());
        Tensor y = blank(n.rows(), n.columns()), dx = blank(n.rows(), n.columns()), mean = blank(n.rows());
        Tensor rstd = blank(n.rows()), dw = blank(n.columns()), db = blank(n.columns());
        backend.rmsNorm(x, w, 1, EPS, y, rstd);
        backend.rmsNormGrad(dy, x, w, 1, rstd, dx, dw);
        keep("rmsNorm", y, rstd, dx, dw);
        backend.layerNorm(x, w, b, EPS, y, mean, rstd);
        backend.layerNormGrad(dy, x, w, mean, rstd, dx, dw, db);
        keep("layerNorm", y, mean, rstd, dx, dw, db);
    }

    private void timestepNorm() {
        Tensor x = random(n.batch, n.length, n.columns()), dy = random(n.batch, n.length, n.columns());
        Tensor w = random(n.columns()), b = random(n.columns()), y = blank(n.batch, n.length, n.columns());
        Tensor mean = blank(n.batch, n.length, n.groups), rstd = blank(n.batch, n.length, n.groups);
        Tensor dx = blank(n.batch, n.length, n.columns()), dw = blank(n.columns()), db = blank(n.columns());
        var state = blank(n.batch, 2, 1 + 2 * n.groups);
        backend.zero(state);
        backend.timestepNorm(x, null, w, b, n.groups, EPS, state, y, mean, rstd);
        keep("timestepNorm with state", y, mean, rstd, state);
        backend.timestepNorm(x, mask(), w, b, n.groups, EPS, null, y, mean, rstd);
        backend.timestepNormGrad(dy, x, mask(), w, n.groups, EPS, mean, rstd, dx, dw, db);
        keep("timestepNorm", y, mean, rstd, dx, dw, db);
    }

    private Tensor mask() {
        var mask = new float[n.rows()];
        for (int i = 0; i < mask.length; i++) {
            mask[i] = i % 7 == 0 ? 0 : 1;
        }
        return backend.tensor(n.batch, n.length).set(mask);
    }

    private void attention() {
        int[] shape = {n.batch, n.length, n.columns()};
        Tensor z = random(shape), gamma = random(2, n.columns()), beta = random(2, n.columns());
        Tensor cos = random(n.length, n.d / 2),
                sin = random(n.length, n.d / 2),
                rstd = blank(n.batch, n.length, n.heads);
        Tensor q = blank(shape), k = blank(shape), v = random(shape), dO = random(shape);
        backend.queryKey(z, gamma, beta, cos, sin, n.heads, EPS, q, k, rstd);
        keep("queryKey", q, k, rstd);
        for (int chunk : new int[] {n.chunk, n.length}) {
            Tensor o = blank(shape), logSum = blank(n.batch, n.heads, n.length);
            Tensor dq = blank(shape), dk = random(shape), dv = blank(shape);
            var mask = chunk == n.chunk ? mask() : null;
            backend.attention(q, k, v, n.length, mask, n.heads, chunk, 1, o, logSum);
            backend.attentionGrad(dO, q, k, v, mask, n.heads, chunk, 1, o, logSum, dq, dk, dv);
            keep("attention in chunks of " + chunk, o, logSum, dq, dk, dv);
        }
        dropout(q, k, v, dO);
        var last = blank(n.batch, 1, n.columns());
        backend.attention(random(n.batch, 1, n.columns()), k, v, n.length, null, n.heads, n.length, 1, last, null);
        keep("attention of one query", last);
        Tensor few = blank(n.batch, 3, n.columns()), fewSums = blank(n.batch, n.heads, 3);
        backend.attention(random(n.batch, 3, n.columns()), k, v, n.length, mask(), n.heads, n.length, 1, few, fewSums);
        keep("attention of few queries", few, fewSums);
        Tensor dz = blank(shape), dgamma = blank(2, n.columns()), dbeta = blank(2, n.columns());
        backend.queryKeyGrad(random(shape), random(shape), z, gamma, cos, sin, n.heads, rstd, dz, dgamma, dbeta);
        backend.rope(q, cos, sin, n.heads, true, false);
        keep("queryKeyGrad", dz, dgamma, dbeta, q);
    }

    private void dropout(Tensor q, Tensor k, Tensor v, Tensor dO) {
        Tensor o = blank(q.shape().toArray()),
                logSum = blank(n.batch, n.heads, n.length),
                y = blank(q.shape().toArray());
        Tensor dq = blank(q.shape().toArray()),
                dk = blank(q.shape().toArray()),
                dv = blank(q.shape().toArray());
        var dropout = new Dropout(0.3, 5, 17, 4);
        backend.attention(q, k, v, n.length, null, n.heads, n.chunk, 1, dropout, o, logSum);
        backend.attentionGrad(dO, q, k, v, null, n.heads, n.chunk, 1, dropout, o, logSum, dq, dk, dv);
        backend.dropout(dropout, o, y);
        keep("dropout", o, logSum, dq, dk, dv, y);
    }

    private void ema() {
        int[] shape = {n.batch, n.length, n.columns()}, parameter = {n.columns(), n.states};
        Tensor alpha = random(parameter), delta = random(parameter), theta = random(n.columns());
        Tensor c = blank(5, n.states, n.columns()), omega = random(n.columns());
        backend.emaCoefficients(alpha, delta, theta, random(parameter), random(parameter), c);
        Tensor x = random(shape),
                y = blank(shape),
                dy = random(shape),
                state = random(n.batch, 2, n.states, n.columns());
        backend.ema(x, null, c, omega, state, EmaMethod.SCAN, y);
        keep("ema with state", c, y, state);
        var dc = blank(5, n.states, n.columns());
        for (var method : EmaMethod.values()) {
            Tensor dx = blank(shape), domega = blank(n.columns());
            dc.makeBlank();
            backend.ema(x, mask(), c, omega, null, method, y);
            backend.emaGrad(dy, x, mask(), c, omega, method, dx, dc, domega);
            keep("ema by " + method, y, dx, dc, domega);
        }
        Tensor dalpha = blank(parameter), ddelta = blank(parameter), dtheta = blank(n.columns());
        Tensor dgammaReal = blank(parameter), dgammaImag = blank(parameter);
        backend.emaCoefficientsGrad(dc, alpha, delta, theta, dalpha, ddelta, dtheta, dgammaReal, dgammaImag);
        keep("emaCoefficientsGrad", dalpha, ddelta, dtheta, dgammaReal, dgammaImag);
    }

    private void tokens() {
        var ids = new java.util.SplittableRandom(7)
                .ints(n.rows(), 0, n.vocabulary)
                .toArray();
        Tensor table = random(n.vocabulary, n.columns()), y = blank(n.rows(), n.columns());
        Tensor dtable = blank(n.vocabulary, n.columns());
        backend.embedding(ids, table, 3, y);
        backend.embeddingGrad(y, ids, 0, 3, dtable);
        keep("embedding", y, dtable);
        Tensor logits = random(n.rows(), n.vocabulary),
                losses = blank(n.rows()),
                dlogits = blank(n.rows(), n.vocabulary);
        ids[1] = Backend.IGNORE_INDEX;
        backend.crossEntropy(logits, ids, 0.01f, losses, dlogits);
        keep("crossEntropy", losses, dlogits);
    }
}
