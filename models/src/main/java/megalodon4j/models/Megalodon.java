package megalodon4j.models;

import static megalodon4j.autograd.Initial.constant;
import static megalodon4j.autograd.Initial.normal;
import static megalodon4j.autograd.Initial.truncatedNormal;

import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import megalodon4j.autograd.Initial;
import megalodon4j.autograd.Linear;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Ops.EmaParameters;
import megalodon4j.autograd.Parameter;
import megalodon4j.autograd.Parameters;
import megalodon4j.autograd.Projections;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Philox;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;

/**
 * Megalodon (Ma et al. 2024, "Megalodon: Efficient LLM Pretraining and Inference with Unlimited Context Length"): attention within chunks, and a
 * complex exponential moving average and timestep norms that carry what came before.
 */
public final class Megalodon implements LanguageModel {
    private static final float EPS = 1e-5f;
    private static final int PADDING_ID = 0;
    private static final int SITES = 8; // numbers of sites that a block may drop at

    private final MegalodonConfig config;
    private final Backend backend;
    private final Parameters parameters;
    private final Philox random;
    private final Rope rope;
    private final Parameter embed; // (V, D)
    private final Block[] blocks;
    private final Norm norm;
    private final Parameter lmHead; // (V, D), the embedding if tied

    /** weight and bias, (D) each; null without norm_affine. */
    private record Norm(Parameter weight, Parameter bias) {}

    private record Block(Attention attention, FeedForward feedForward) {}

    private record Attention(
            Norm timenorm,
            EmaParameters cema,
            Parameter rmsGamma,
            Projections ofM, // wh1, wz, wr
            Linear wv,
            Linear wh2,
            Parameter gamma,
            Parameter beta) {}

    /** The gates are fc1 and, with swiglu, fc3; scale is α. */
    private record FeedForward(Norm norm, Projections gates, Linear fc2, float scale) {}

    /** A model of random weights. */
    public Megalodon(MegalodonConfig config, Backend backend, long seed) {
        this.config = config;
        this.backend = backend;
        parameters = new Parameters(backend);
        random = new Philox(seed, 0);
        double base = config.ropeBase() == null ? 10_000 : config.ropeBase();
        rope = new Rope(backend, base, config.zDim() / config.numHeads());
        int dim = config.modelDim(), tokens = config.numTokens();
        embed = parameters.add("model.embed.weight", Shape.of(tokens, dim), embedding());
        blocks = new Block[config.numLayers()];
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] =
                    new Block(attention("model.layers." + i + ".attn."), feedForward("model.layers." + i + ".ffn.", i));
        }
        norm = norm("model.norm", 0);
        lmHead = config.tied()
                ? embed
                : parameters.add(
                        "lm_head.weight",
                        Shape.of(config.outputSize(), dim),
                        config.initMode().linear(random, dim, config.outputSize()));
    }

    private Initial embedding() {
        return shape -> {
            var elements = config.initMode()
                    .embedding(random, config.numTokens(), config.modelDim())
                    .elements(shape);
            java.util.Arrays.fill(elements, PADDING_ID * config.modelDim(), (PADDING_ID + 1) * config.modelDim(), 0);
            return elements;
        };
    }

    private Attention attention(String name) {
        int dim = config.modelDim(), z = config.zDim(), e = config.valueDim(), n = config.cemaNdim();
        var gamma = parameters.add(name + "gamma", Shape.of(2, z), constant(0));
        var beta = parameters.add(name + "beta", Shape.of(2, z), constant(0));
        var timenorm = norm(name + "timenorm", 0);
        var cema = new EmaParameters(
                parameters.add(name + "cema.alpha", Shape.of(dim, n, 1), normal(random, 0.2)),
                parameters.add(name + "cema.delta", Shape.of(dim, n, 1), normal(random, 0.2)),
                parameters.add(name + "cema.theta", Shape.of(dim, 1, 1), theta()),
                parameters.add(name + "cema.gamma_real", Shape.of(dim, n), normal(random, 1)),
                parameters.add(name + "cema.gamma_imag", Shape.of(dim, n), constant(0)),
                parameters.add(name + "cema.omega", Shape.of(dim), truncatedNormal(random, 0.25, 1)));
        var rmsGamma = config.normAffine() ? parameters.add(name + "rmsnorm.gamma", Shape.of(dim), constant(0)) : null;
        var wz = linear(name + "wz", z, dim);
        var wv = linear(name + "wv", e, dim);
        var wr = linear(name + "wr", e, dim);
        var wh1 = linear(name + "wh1", dim, dim);
        return new Attention(
                timenorm, cema, rmsGamma, new Projections(wh1, wz, wr), wv, linear(name + "wh2", dim, e), gamma, beta);
    }

    // logit of a random permutation of exp(−ln(D)/D · (1 … D))
    private Initial theta() {
        return shape -> {
            int dim = shape.elements();
            var order = random.permutation(dim);
            var theta = new float[dim];
            for (int i = 0; i < dim; i++) {
                double f = Math.exp(-Math.log(dim) / dim * (order[i] + 1));
                // A single channel would have f = 1, whose logit is infinite.
                double p = Math.min(f, 1 - 1e-6);
                theta[i] = (float) Math.log(p / (1 - p));
            }
            return theta;
        };
    }

    private FeedForward feedForward(String name, int layer) {
        int dim = config.modelDim(), hidden = config.ffnHiddenDim();
        var norm = norm(name + "norm", 1);
        var fc1 = linear(name + "fc1", hidden, dim);
        var fc2 = linear(name + "fc2", dim, hidden);
        var fc3 = config.swiglu() ? linear(name + "fc3", hidden, dim) : null;
        var gates = fc3 == null ? new Projections(fc1) : new Projections(fc1, fc3);
        return new FeedForward(norm, gates, fc2, config.rescaleNffn() ? (float) (0.1 * Math.pow(0.5, layer)) : 1);
    }

    private Norm norm(String name, float weight) {
        if (!config.normAffine()) {
            return new Norm(null, null);
        }
        var shape = Shape.of(config.modelDim());
        return new Norm(
                parameters.add(name + ".weight", shape, constant(weight)),
                parameters.add(name + ".bias", shape, constant(0)));
    }

    private Linear linear(String name, int out, int in) {
        var weight = parameters.add(
                name + ".weight", Shape.of(out, in), config.initMode().linear(random, in, out));
        return new Linear(weight, parameters.add(name + ".bias", Shape.of(out), constant(0)));
    }

    @Override
    public MegalodonConfig config() {
        return config;
    }

    @Override
    public Backend backend() {
        return backend;
    }

    @Override
    public Parameters parameters() {
        return parameters;
    }

    @Override
    public Variable hidden(
            Tape tape, int[] ids, int batch, Tensor mask, Cache cache, Consumer<? super Variable> layerOutputs) {
        var state = ModelCache.checked(MegalodonCache.class, config, cache, tape, ids.length, batch, mask);
        requireRandomNumbers(tape);
        float scale = config.scaleEmb() ? (float) Math.sqrt(config.modelDim()) : 1;
        var x = Ops.embedding(tape, ids, batch, embed, scale, PADDING_ID); // (B, L, D)
        layerOutputs.accept(x);
        int length = x.shape().size(1);
        var keyMask = state == null ? mask : state.begin(tape, mask, length);
        for (int i = 0; i < blocks.length; i++) {
            int layer = i;
            UnaryOperator<Variable> f = input -> feedForward(input, attend(input, layer, mask, keyMask, state), layer);
            x = config.gradientCheckpointing() ? tape.checkpoint(x, f) : f.apply(x);
            layerOutputs.accept(x);
        }
        if (state != null) {
            state.moveTo(state.position() + length);
        }
        return timestepNorm(x, norm, mask, state == null ? null : state.norm());
    }

    private void requireRandomNumbers(Tape tape) {
        if (config.dropsOut() && tape.recording() && !tape.dropsOut()) {
            throw new IllegalStateException(
                    "hidden: a model with dropout is trained on a tape that knows which random numbers it drops by:"
                            + " Tape.training(backend, seed, firstSequence)");
        }
    }

    @Override
    public Variable head(Variable hidden) {
        return Ops.linear(hidden, lmHead, null, null);
    }

    // x (B, L, D) → x + wh1(m) + wh2(o · silu(wr m))
    private Variable attend(Variable x, int layer, Tensor mask, Tensor keyMask, MegalodonCache state) {
        var tape = x.tape();
        var a = blocks[layer].attention;
        var cache = state == null ? null : state.layer(layer);
        long position = state == null ? 0 : state.position();
        int site = layer * SITES;
        int heads = config.numHeads(), length = x.shape().size(1);
        var t = timestepNorm(x, a.timenorm, mask, cache == null ? null : cache.timenorm());
        var coefficients =
                cache == null ? Ops.emaCoefficients(tape, a.cema) : cache.coefficients(tape, a.cema); // (5, N, D)
        var method = cache == null ? config.cema().method() : Backend.EmaMethod.SCAN;
        var y = Ops.ema(t, mask, coefficients, a.cema.omega(), cache == null ? null : cache.ema(), method);
        var m = Ops.dropout(Ops.rmsNorm(y, a.rmsGamma, 1, EPS), hiddenDropout(tape, site)); // (B, L, D)
        var dropout = tape.dropout(config.dropout(), site + 3);
        var ofM = a.ofM.apply(m, dropout == null ? x : null);
        var z = ofM[1]; // (B, L, Z)
        var angles = rope.rows(position, length);
        var qk = Ops.queryKey(z, a.gamma, a.beta, angles.cos(), angles.sin(), heads, EPS);
        var v = Ops.silu(a.wv.apply(t), null); // (B, L, E)
        if (cache != null) {
            state.append(layer, qk.key().value(), v.value());
        }
        Variable o;
        // A block of several chunks begins with one: its tokens see no older keys.
        if (cache == null || length > config.chunkSize()) {
            var ofWeights = tape.dropout(config.attentionDropout(), site + 1);
            o = Ops.attention(qk.query(), qk.key(), v, keyMask, heads, config.chunkSize(), 1, ofWeights);
        } else {
            var kv = cache.kv();
            o = Ops.cachedAttention(qk.query(), kv.keys(), kv.values(), kv.count(), keyMask, heads, 1);
        }
        var sum = a.wh2.applyGated(ofM[2], o, hiddenDropout(tape, site + 2), ofM[0]);
        return dropout == null ? sum : Ops.addScaled(x, 1, Ops.dropout(sum, dropout));
    }

    // x + α · fc2(silu(fc1 n) · fc3 n), n = layerNorm(h): the residual is the block's input, not h.
    private Variable feedForward(Variable x, Variable h, int layer) {
        var f = blocks[layer].feedForward;
        int site = layer * SITES;
        var n = Ops.layerNorm(h, f.norm.weight, f.norm.bias, EPS);
        var gates = f.gates.apply(n, null);
        var factor = gates.length == 1 ? null : gates[1];
        var hiddenDropout = hiddenDropout(x.tape(), site + 4);
        var dropout = x.tape().dropout(config.dropout(), site + 5);
        return f.scale == 1 && dropout == null
                ? f.fc2.applyGated(gates[0], factor, hiddenDropout, x)
                : Ops.addScaled(
                        x, f.scale, Ops.dropout(f.fc2.applyGated(gates[0], factor, hiddenDropout, null), dropout));
    }

    private Dropout hiddenDropout(Tape tape, int site) {
        return tape.dropout(config.hiddenDropout(), site);
    }

    private Variable timestepNorm(Variable x, Norm norm, Tensor mask, Tensor state) {
        return Ops.timestepNorm(x, mask, norm.weight, norm.bias, config.normNumGroups(), EPS, state);
    }

    @Override
    public Cache newCache(int batch, CacheOptions options) {
        return new MegalodonCache(config, backend, options, batch);
    }
}
