package megalodon4j.autograd;

import megalodon4j.tensor.Backend.EmaMethod;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Tensor;

/**
 * The differentiable operations: each computes its value, and records how its gradient flows back. What the closure captures is what is kept
 * until then. Shapes, equations and the meaning of arguments are those of {@link megalodon4j.tensor.Backend}, which does the work; a
 * {@code null} parameter is absent.
 */
public final class Ops {
    private Ops() {}

    /** y[r] = table[ids[r]] · scale, of shape (batch, L, D). Rows of {@code paddingId} (−1: none) get no gradient from here. */
    public static Variable embedding(Tape tape, int[] ids, int batch, Parameter table, float scale, int paddingId) {
        if (batch < 0 || (batch == 0 ? ids.length > 0 : ids.length % batch != 0)) {
            throw new IllegalArgumentException(
                    "embedding: " + ids.length + " tokens do not make " + batch + " sequences of one length");
        }
        var y = tape.tensor(
                batch, batch == 0 ? 0 : ids.length / batch, table.shape().size(1));
        var backend = tape.backend();
        backend.embedding(ids, table.value(), scale, y);
        return tape.record(y, dy -> backend.embeddingGrad(dy, ids, paddingId, scale, table.grad()));
    }

    /** y = x · wᵀ + bias + residual. x: (…, K); w: (N, K); bias: (N); residual: (…, N). */
    public static Variable linear(Variable x, Parameter w, Parameter bias, Variable residual) {
        var tape = x.tape();
        var backend = tape.backend();
        var y = tape.tensor(x.shape(), w.shape().size(0));
        backend.linear(x.value(), w.value(), value(bias), value(residual), y);
        return tape.record(y, dy -> {
            linearGrad(dy, x, w);
            addedGrad(dy, bias, residual);
        });
    }

    /**
     * y = drop(silu(a) · b) · wᵀ + bias + residual, of which a and b are kept: {@link Tape#backward} computes the gate again while it goes back
     * through it. a, b: (…, K), b nullable as in {@link #silu}; w: (N, K); bias: (N); residual: (…, N), nullable like the bias. A null
     * {@code dropout} drops nothing, another one wants a of shape (B, L, K).
     */
    public static Variable gatedLinear(
            Variable a, Variable b, Dropout dropout, Parameter w, Parameter bias, Variable residual) {
        var tape = a.tape();
        var backend = tape.backend();
        var factor = b == a ? tape.alias(a) : b;
        var y = tape.tensor(a.shape(), w.shape().size(0));
        var gate = tape.tensor(a.shape());
        backend.silu(a.value(), value(factor), gate);
        drop(dropout, gate);
        backend.linear(gate, w.value(), value(bias), value(residual), y);
        tape.release(gate);
        return tape.record(y, dy -> {
            var dgate = tape.tensor(a.shape());
            backend.matmul(false, false, dy, w.value(), dgate);
            drop(dropout, dgate);
            // From here on dgate holds the gate itself: nobody needs its gradient any more.
            backend.siluGrad(dgate, a.value(), value(factor), a.grad(), grad(factor), dgate);
            drop(dropout, dgate);
            backend.matmul(true, false, dy, dgate, w.grad());
            tape.release(dgate);
            addedGrad(dy, bias, residual);
        });
    }

    private static void drop(Dropout dropout, Tensor x) {
        if (dropout != null) {
            x.backend().dropout(dropout, x, x);
        }
    }

    /** The gradients of what a linear layer adds. The residual may take dy itself: nothing may change it afterwards. */
    static void addedGrad(Tensor dy, Parameter bias, Variable residual) {
        if (bias != null) {
            dy.backend().sumRows(dy, bias.grad());
        }
        if (residual != null) {
            residual.receive(dy);
        }
    }

    static void linearGrad(Tensor dy, Variable x, Parameter w) {
        var backend = x.tape().backend();
        backend.matmul(false, false, dy, w.value(), x.grad());
        backend.matmul(true, false, dy, x.value(), w.grad());
    }

    /** z = x + scale · y. */
    public static Variable addScaled(Variable x, float scale, Variable y) {
        var tape = x.tape();
        var backend = tape.backend();
        var z = tape.tensor(x.shape());
        backend.copy(x.value(), z);
        backend.add(scale, y.value(), z);
        return tape.record(z, dz -> {
            backend.add(scale, dz, y.grad());
            x.receive(dz);
        });
    }

    /** z = x · y, element by element. */
    public static Variable multiply(Variable x, Variable y) {
        var tape = x.tape();
        var backend = tape.backend();
        var z = tape.tensor(x.shape());
        backend.multiply(x.value(), y.value(), z);
        return tape.record(z, dz -> backend.multiplyGrad(dz, x.value(), y.value(), x.grad(), y.grad()));
    }

    /** y = silu(a) · b; silu(a) where b is null. */
    public static Variable silu(Variable a, Variable b) {
        var tape = a.tape();
        var backend = tape.backend();
        var gate = b == a ? tape.alias(a) : b;
        var y = tape.tensor(a.shape());
        backend.silu(a.value(), value(gate), y);
        return tape.record(y, dy -> backend.siluGrad(dy, a.value(), value(gate), a.grad(), grad(gate), null));
    }

    /**
     * Drops elements of x, in place: x must not be read afterwards, neither by the operation that computed it. x: (B, L, D); a null
     * {@code dropout} drops nothing.
     */
    public static Variable dropout(Variable x, Dropout dropout) {
        if (dropout == null) {
            return x;
        }
        var backend = x.tape().backend();
        backend.dropout(dropout, x.value(), x.value());
        return x.tape().recordInPlace(x, dy -> {
            backend.dropout(dropout, dy, dy);
            x.receive(dy);
        });
    }

    /** y = x / sqrt(mean(x²) + ε) · (γ + shift), row by row. x: (…, D); γ: (D). Keeps 1 / sqrt(…): (…, 1). */
    public static Variable rmsNorm(Variable x, Parameter gamma, float shift, float eps) {
        var tape = x.tape();
        var backend = tape.backend();
        var y = tape.tensor(x.shape());
        var rstd = tape.tensor(x.shape(), 1);
        backend.rmsNorm(x.value(), value(gamma), shift, eps, y, rstd);
        return tape.record(
                y, dy -> backend.rmsNormGrad(dy, x.value(), value(gamma), shift, rstd, x.grad(), grad(gamma)));
    }

    /** y = (x − mean) / sqrt(var + ε) · w + b, row by row. x: (…, D); w, b: (D). Keeps mean and 1 / sqrt(…): (…, 1). */
    public static Variable layerNorm(Variable x, Parameter w, Parameter b, float eps) {
        var tape = x.tape();
        var backend = tape.backend();
        var y = tape.tensor(x.shape());
        var mean = tape.tensor(x.shape(), 1);
        var rstd = tape.tensor(x.shape(), 1);
        backend.layerNorm(x.value(), value(w), value(b), eps, y, mean, rstd);
        return tape.record(
                y, dy -> backend.layerNormGrad(dy, x.value(), value(w), mean, rstd, x.grad(), grad(w), grad(b)));
    }

    /**
     * A group norm whose statistics run over time. x: (B, L, D); mask: (B, L) or null; w, b: (D); state: (B, 2, 1 + 2·G) or null, carried on
     * but not differentiated. Keeps mean and 1 / sqrt(var + ε): (B, L, G).
     */
    public static Variable timestepNorm(
            Variable x, Tensor mask, Parameter w, Parameter b, int groups, float eps, Tensor state) {
        var tape = x.tape();
        var backend = tape.backend();
        var y = tape.tensor(x.shape());
        var mean = tape.tensor(x.shape(), groups);
        var rstd = tape.tensor(mean.shape());
        refuseState("timestepNorm", tape, state);
        backend.timestepNorm(x.value(), mask, value(w), value(b), groups, eps, state, y, mean, rstd);
        return tape.record(
                y,
                dy -> backend.timestepNormGrad(
                        dy, x.value(), mask, value(w), groups, eps, mean, rstd, x.grad(), grad(w), grad(b)));
    }

    /** Rotates the features of each head by position, in place: x must not be read afterwards. x: (B, L, H·d); cos, sin: (L, d/2). */
    public static Variable rope(Variable x, Tensor cos, Tensor sin, int heads, boolean adjacent) {
        var backend = x.tape().backend();
        backend.rope(x.value(), cos, sin, heads, adjacent, false);
        return x.tape().recordInPlace(x, dy -> {
            backend.rope(dy, cos, sin, heads, adjacent, true);
            x.receive(dy);
        });
    }

    /** The queries and keys that {@link #queryKey} makes. */
    public record QueryKey(Variable query, Variable key) {}

    /** Megalodon's queries and keys from their shared projection z: (B, L, Z). gamma, beta: (2, Z). Keeps 1 / rms: (B, L, H). */
    public static QueryKey queryKey(
            Variable z, Parameter gamma, Parameter beta, Tensor cos, Tensor sin, int heads, float eps) {
        var tape = z.tape();
        var backend = tape.backend();
        var q = tape.tensor(z.shape());
        var k = tape.tensor(z.shape());
        var rstd = tape.tensor(z.shape(), heads);
        backend.queryKey(z.value(), gamma.value(), beta.value(), cos, sin, heads, eps, q, k, rstd);
        var both = tape.record(
                new Tensor[] {q, k},
                dy -> backend.queryKeyGrad(
                        dy[0],
                        dy[1],
                        z.value(),
                        gamma.value(),
                        cos,
                        sin,
                        heads,
                        rstd,
                        z.grad(),
                        gamma.grad(),
                        beta.grad()));
        return new QueryKey(both[0], both[1]);
    }

    /**
     * Causal softmax attention within chunks of a sequence. q, k: (B, L, H·d); v: (B, L, H·e); mask: (B, L) or null; dropout: of the weights,
     * or null. Keeps the logarithms of the sums: (B, H, L).
     */
    public static Variable attention(
            Variable q, Variable k, Variable v, Tensor mask, int heads, int chunk, float scale, Dropout dropout) {
        var tape = q.tape();
        var backend = tape.backend();
        int batch = q.shape().size(0), length = q.shape().size(1);
        var keys = k == q ? tape.alias(k) : k;
        var values = v == q || v == k ? tape.alias(v) : v;
        var o = tape.tensor(v.shape());
        var logSum = tape.tensor(batch, heads, length);
        backend.attention(q.value(), k.value(), v.value(), length, mask, heads, chunk, scale, dropout, o, logSum);
        return tape.record(
                o,
                dO -> backend.attentionGrad(
                        dO,
                        q.value(),
                        keys.value(),
                        values.value(),
                        mask,
                        heads,
                        chunk,
                        scale,
                        dropout,
                        o,
                        logSum,
                        q.grad(),
                        keys.grad(),
                        values.grad()));
    }

    /** Attention of new queries to the keys and values of a cache, without a gradient. k, v: (B, C, …), of which {@code keys} are filled. */
    public static Variable cachedAttention(
            Variable q, Tensor k, Tensor v, int keys, Tensor mask, int heads, float scale) {
        var tape = q.tape();
        refuseState("cachedAttention", tape, k);
        var o = tape.tensor(q.shape(), v.columns());
        tape.backend().attention(q.value(), k, v, keys, mask, heads, keys, scale, o, null);
        return tape.record(o, null);
    }

    /** The parameters of a complex EMA: alpha, delta, gammaReal, gammaImag (D, N, …), theta (D, …), omega (D). */
    public record EmaParameters(
            Parameter alpha,
            Parameter delta,
            Parameter theta,
            Parameter gammaReal,
            Parameter gammaImag,
            Parameter omega) {}

    /** p, q and γ of the complex EMA: (5, N, D). */
    public static Variable emaCoefficients(Tape tape, EmaParameters p) {
        var backend = tape.backend();
        int channels = p.omega().shape().elements();
        var c = tape.tensor(5, p.gammaReal().shape().elements() / channels, channels);
        backend.emaCoefficients(
                p.alpha().value(),
                p.delta().value(),
                p.theta().value(),
                p.gammaReal().value(),
                p.gammaImag().value(),
                c);
        return tape.record(
                c,
                dc -> backend.emaCoefficientsGrad(
                        dc,
                        p.alpha().value(),
                        p.delta().value(),
                        p.theta().value(),
                        p.alpha().grad(),
                        p.delta().grad(),
                        p.theta().grad(),
                        p.gammaReal().grad(),
                        p.gammaImag().grad()));
    }

    /**
     * h_t = q h_{t−1} + p x_t, y_t = Re Σ_n γ_n h_{n,t} + omega · x_t. x: (B, L, D); mask: (B, L) or null; state: (B, 2, N, D) or null,
     * carried on but not differentiated.
     */
    public static Variable ema(
            Variable x, Tensor mask, Variable coefficients, Parameter omega, Tensor state, EmaMethod method) {
        var tape = x.tape();
        var backend = tape.backend();
        refuseState("ema", tape, state);
        var y = tape.tensor(x.shape());
        backend.ema(x.value(), mask, coefficients.value(), omega.value(), state, method, y);
        return tape.record(
                y,
                dy -> backend.emaGrad(
                        dy,
                        x.value(),
                        mask,
                        coefficients.value(),
                        omega.value(),
                        method,
                        x.grad(),
                        coefficients.grad(),
                        omega.grad()));
    }

    /**
     * The cross-entropy of each row in nats, 0 where the label is {@link megalodon4j.tensor.Backend#IGNORE_INDEX}. {@link Tape#backward} of it
     * computes the gradient of {@code scale} times their sum, so 1 / (number of targets) for a mean. logits: (…, V); result: (…, 1).
     */
    public static Variable crossEntropy(Variable logits, int[] labels, float scale) {
        var tape = logits.tape();
        var losses = tape.tensor(logits.shape(), 1);
        var dlogits = tape.recording() ? tape.tensor(logits.shape()) : null;
        tape.backend().crossEntropy(logits.value(), labels, scale, losses, dlogits);
        return tape.recordLoss(losses, () -> logits.receive(dlogits));
    }

    private static void refuseState(String operation, Tape tape, Tensor state) {
        if (state != null && tape.recording()) {
            throw new IllegalStateException(
                    operation + ": a carried state has no gradient; use Tape.inference(backend)");
        }
    }

    static Tensor value(Variable x) {
        return x == null ? null : x.value();
    }

    static Tensor value(Parameter p) {
        return p == null ? null : p.value();
    }

    private static Tensor grad(Variable x) {
        return x == null ? null : x.grad();
    }

    private static Tensor grad(Parameter p) {
        return p == null ? null : p.grad();
    }
}
