package megalodon4j.models;

import java.util.function.Consumer;
import megalodon4j.autograd.Initial;
import megalodon4j.autograd.Linear;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Parameter;
import megalodon4j.autograd.Parameters;
import megalodon4j.autograd.Projections;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Philox;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;

/** A decoder of the Llama family (Touvron et al. 2023): pre-normalised, RoPE on adjacent pairs, SwiGLU, no biases. */
public final class Llama implements LanguageModel {
    private static final float EPS = 1e-5f;
    private static final double ROPE_BASE = 10_000;

    private final LlamaConfig config;
    private final Backend backend;
    private final Parameters parameters;
    private final Rope rope;
    private final Parameter embedding; // (V, D)
    private final Layer[] layers;
    private final Parameter norm; // (D)
    private final Parameter toLogits; // (V, D), the embedding if tied

    private record Layer(
            Parameter attnNorm, Projections qkv, Linear wo, Parameter ffNorm, Projections gates, Linear w2) {}

    /** A model of random weights. */
    public Llama(LlamaConfig config, Backend backend, long seed) {
        this.config = config;
        this.backend = backend;
        parameters = new Parameters(backend);
        rope = new Rope(backend, ROPE_BASE, config.dimHead());
        var random = new Philox(seed, 0);
        var table = Shape.of(config.numTokens(), config.dim());
        embedding = parameters.add("token_embed.weight", table, Initial.normal(random, 0.02));
        layers = new Layer[config.depth()];
        for (int i = 0; i < layers.length; i++) {
            layers[i] = layer("layers." + i + ".", random);
        }
        norm = scale("norm.scale");
        toLogits = config.tiedEmbedding()
                ? embedding
                : parameters.add("to_logits.weight", table, Initial.normal(random, 0.02));
    }

    private Layer layer(String name, Philox random) {
        int dim = config.dim(), inner = config.heads() * config.dimHead(), hidden = config.hiddenDim();
        var attnNorm = scale(name + "attn_norm.scale");
        var qkv = new Projections(
                linear(name + "attn.wq.weight", inner, dim, random),
                linear(name + "attn.wk.weight", inner, dim, random),
                linear(name + "attn.wv.weight", inner, dim, random));
        var wo = linear(name + "attn.wo.weight", dim, inner, random);
        var ffNorm = scale(name + "ff_norm.scale");
        var w1 = linear(name + "ff.w1.weight", hidden, dim, random);
        var w2 = linear(name + "ff.w2.weight", dim, hidden, random);
        var w3 = linear(name + "ff.w3.weight", hidden, dim, random);
        return new Layer(attnNorm, qkv, wo, ffNorm, new Projections(w1, w3), w2);
    }

    private Parameter scale(String name) {
        return parameters.add(name, Shape.of(config.dim()), Initial.constant(1));
    }

    private Linear linear(String name, int out, int in, Philox random) {
        return new Linear(parameters.add(name, Shape.of(out, in), Initial.uniform(random, 1 / Math.sqrt(in))), null);
    }

    @Override
    public LlamaConfig config() {
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

    /** RoPE's frequencies, one for each of the d/2 pairs of a head's features. */
    float[] ropeFrequencies() {
        return rope.frequencies();
    }

    @Override
    public Variable hidden(
            Tape tape, int[] ids, int batch, Tensor mask, Cache cache, Consumer<? super Variable> layerOutputs) {
        var state = ModelCache.checked(LlamaCache.class, config, cache, tape, ids.length, batch, mask);
        long position = state == null ? 0 : state.position();
        var x = Ops.embedding(tape, ids, batch, embedding, 1, -1); // (B, L, D)
        layerOutputs.accept(x);
        var keyMask = state == null ? mask : state.begin(tape, mask, x.shape().size(1));
        for (int i = 0; i < layers.length; i++) {
            var layer = layers[i];
            x = attention(x, layer, keyMask, state == null ? null : state.layer(i), position);
            x = feedForward(x, layer);
            layerOutputs.accept(x);
        }
        if (state != null) {
            state.moveTo(position + x.shape().size(1));
        }
        return Ops.rmsNorm(x, norm, 0, EPS);
    }

    @Override
    public Variable head(Variable hidden) {
        return Ops.linear(hidden, toLogits, null, null);
    }

    // x + wo(softmax(rope(wq n) rope(wk n)ᵀ / √d) wv n), n = rms(x)
    private Variable attention(Variable x, Layer layer, Tensor keyMask, KeyValueCache cache, long position) {
        int heads = config.heads(), length = x.shape().size(1);
        var angles = rope.rows(position, length);
        float scale = (float) (1 / Math.sqrt(config.dimHead()));
        var n = Ops.rmsNorm(x, layer.attnNorm, 0, EPS);
        var qkv = layer.qkv.apply(n, null); // (B, L, H·d) each
        var q = Ops.rope(qkv[0], angles.cos(), angles.sin(), heads, true);
        var k = Ops.rope(qkv[1], angles.cos(), angles.sin(), heads, true);
        var v = qkv[2];
        Variable o;
        if (cache == null) {
            o = Ops.attention(q, k, v, keyMask, heads, Math.max(1, length), scale, null);
        } else {
            cache.append(k.value(), v.value());
            o = Ops.cachedAttention(q, cache.keys(), cache.values(), cache.count(), keyMask, heads, scale);
        }
        return layer.wo.apply(o, x);
    }

    // x + w2(silu(w1 n) · w3 n), n = rms(x)
    private static Variable feedForward(Variable x, Layer layer) {
        var n = Ops.rmsNorm(x, layer.ffNorm, 0, EPS);
        var gates = layer.gates.apply(n, null);
        return layer.w2.applyGated(gates[0], gates[1], null, x);
    }

    @Override
    public Cache newCache(int batch, CacheOptions options) {
        return new LlamaCache(config, backend, options, batch);
    }
}
