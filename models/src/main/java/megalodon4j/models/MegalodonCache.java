package megalodon4j.models;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Ops.EmaParameters;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;

/** For each block the keys and values that are in reach and the states of the timestep norm and the EMA; the state of the last norm. */
final class MegalodonCache extends ModelCache {
    private final Backend backend;
    private final Layer[] layers;
    private final Tensor norm; // (B, 1 + 2·G)

    /**
     * timenorm: (B, 1 + 2·G), that is count, means, variances; coefficients: (5, N, D), of the EMA, blank before the first token; ema: (B, 2, N, D);
     * kv: widths Z and E.
     */
    record Layer(Tensor timenorm, Tensor coefficients, Tensor ema, KeyValueCache kv) {
        /** The coefficients of the EMA, computed once: a stream is read with the weights that it began with. */
        Variable coefficients(Tape tape, EmaParameters parameters) {
            if (coefficients.isBlank()) {
                tape.backend().copy(Ops.emaCoefficients(tape, parameters).value(), coefficients);
            }
            return tape.constant(coefficients);
        }
    }

    MegalodonCache(MegalodonConfig config, Backend backend, CacheOptions options, int batch) {
        super(config, options, batch);
        int chunk = config.chunkSize(), wanted = options.maxCacheLen();
        ModelConfig.require(
                wanted == 0 || wanted >= chunk, "max_cache_len", wanted, "be at least chunk_size = " + chunk);
        int most = options.unbounded() ? Integer.MAX_VALUE : Math.max(chunk, wanted);
        this.backend = backend;
        layers = new Layer[config.numLayers()];
        for (int i = 0; i < layers.length; i++) {
            var ema = backend.tensor(batch, 2, config.cemaNdim(), config.modelDim());
            backend.zero(ema);
            var kv = new KeyValueCache(backend, batch, config.zDim(), config.valueDim(), most);
            var coefficients = backend.tensor(5, config.cemaNdim(), config.modelDim());
            layers[i] = new Layer(freshNorm(batch), coefficients, ema, kv);
        }
        norm = freshNorm(batch);
    }

    private MegalodonCache(MegalodonCache from, int[] rows) {
        super(from.config(), from.options(), rows.length);
        backend = from.backend;
        layers = new Layer[from.layers.length];
        for (int i = 0; i < layers.length; i++) {
            var layer = from.layers[i];
            layers[i] = new Layer(
                    rowsOf(layer.timenorm, rows), layer.coefficients, rowsOf(layer.ema, rows), layer.kv.select(rows));
        }
        norm = rowsOf(from.norm, rows);
    }

    // Nothing counted, mean 0, variance 1.
    private Tensor freshNorm(int batch) {
        int groups = config().normNumGroups(), width = 1 + 2 * groups;
        var state = new float[batch * width];
        for (int b = 0; b < batch; b++) {
            Arrays.fill(state, b * width + 1 + groups, (b + 1) * width, 1);
        }
        return backend.tensor(batch, width).set(state);
    }

    Layer layer(int i) {
        return layers[i];
    }

    Tensor norm() {
        return norm;
    }

    @Override
    MegalodonConfig config() {
        return (MegalodonConfig) super.config();
    }

    private boolean chunkLocal() {
        return !options().unbounded() && options().maxCacheLen() <= config().chunkSize();
    }

    /** A block ends with its chunk where attention is local; else blocks of a chunk's size are counted from where a piece starts. */
    @Override
    public int nextBlock(int remaining) {
        int chunk = config().chunkSize();
        return (int) Math.min(remaining, chunkLocal() ? chunk - position() % chunk : chunk);
    }

    /** Before tokens arrive: attention starts anew with every chunk where it is local. */
    void begin() {
        if (chunkLocal() && position() % config().chunkSize() == 0) {
            for (var layer : layers) {
                layer.kv.clear();
            }
        }
    }

    @Override
    MegalodonCache selectRows(int[] rows) {
        return new MegalodonCache(this, rows);
    }

    @Override
    void keepFirst(long tokens) {
        throw new UnsupportedOperationException("trim: a Megalodon carries sums over all " + position()
                + " tokens, from which none can be taken back; copy() the cache before feeding what may have to go");
    }

    @Override
    long keysAfter(long tokens) {
        if (options().unbounded() || tokens == 0) {
            return tokens;
        }
        int chunk = config().chunkSize();
        return chunkLocal()
                ? (tokens - 1) % chunk + 1
                : Math.min(tokens, options().maxCacheLen());
    }

    @Override
    List<SafeTensors.Source> tensors() {
        var tensors = new ArrayList<SafeTensors.Source>();
        for (int i = 0; i < layers.length; i++) {
            var layer = layers[i];
            var name = "cache." + i + ".";
            tensors.add(source(name + "k", layer.kv, layer.kv.keys(), config().numHeads()));
            tensors.add(source(name + "v", layer.kv, layer.kv.values(), config().numHeads()));
            addNorm(tensors, name + "norm_", layer.timenorm);
            tensors.add(ema(name + "ema_real", layer.ema, 0));
            tensors.add(ema(name + "ema_imag", layer.ema, 1));
        }
        addNorm(tensors, "cache.final_norm_", norm);
        return tensors;
    }

    private void addNorm(List<SafeTensors.Source> tensors, String name, Tensor state) {
        int batch = batch(), groups = config().normNumGroups();
        var counts = Shape.of(batch);
        var statistics = Shape.of(batch, groups);
        tensors.add(SafeTensors.i64(name + "count", counts, () -> {
            var count = new long[batch];
            Arrays.setAll(count, b -> (long) state.toArray()[b * (1 + 2 * groups)]);
            return count;
        }));
        tensors.add(SafeTensors.f32(name + "mean", statistics, () -> columns(state, 1, groups)));
        tensors.add(SafeTensors.f32(name + "var", statistics, () -> columns(state, 1 + groups, groups)));
    }

    private static float[] columns(Tensor x, int from, int count) {
        var all = x.toArray();
        var part = new float[x.rows() * count];
        for (int row = 0; row < x.rows(); row++) {
            System.arraycopy(all, row * x.columns() + from, part, row * count, count);
        }
        return part;
    }

    // (B, D, N) in files, (B, 2, N, D) here
    private SafeTensors.Source ema(String name, Tensor state, int part) {
        int n = config().cemaNdim(), d = config().modelDim();
        return SafeTensors.f32(name, Shape.of(batch(), d, n), () -> {
            var all = state.toArray();
            var h = new float[all.length / 2];
            for (int i = 0; i < h.length; i++) {
                h[i] = all[emaIndex(i, part)];
            }
            return h;
        });
    }

    private int emaIndex(int i, int part) {
        int n = config().cemaNdim(), d = config().modelDim();
        int b = i / (d * n), channel = i / n % d, dimension = i % n;
        return ((b * 2 + part) * n + dimension) * d + channel;
    }

    @Override
    void fill(CacheFile file) throws IOException {
        int heads = config().numHeads(), n = config().cemaNdim(), d = config().modelDim();
        for (int i = 0; i < layers.length; i++) {
            var name = "cache." + i;
            file.fill(layers[i].kv, name, backend, heads, config().zDim() / heads, config().valueDim() / heads);
            fillNorm(file, name + ".norm_", layers[i].timenorm);
            var h = new float[batch() * 2 * n * d];
            for (int part = 0; part < 2; part++) {
                var from = file.floats(name + (part == 0 ? ".ema_real" : ".ema_imag"), batch(), d, n);
                for (int j = 0; j < from.length; j++) {
                    h[emaIndex(j, part)] = from[j];
                }
            }
            layers[i].ema.set(h);
        }
        fillNorm(file, "cache.final_norm_", norm);
    }

    private void fillNorm(CacheFile file, String name, Tensor state) throws IOException {
        int groups = config().normNumGroups();
        var count = file.longs(name + "count", batch());
        var mean = file.floats(name + "mean", batch(), groups);
        var variance = file.floats(name + "var", batch(), groups);
        var all = new float[batch() * (1 + 2 * groups)];
        for (int b = 0, at = 0; b < batch(); b++, at += 1 + 2 * groups) {
            all[at] = count[b];
            System.arraycopy(mean, b * groups, all, at + 1, groups);
            System.arraycopy(variance, b * groups, all, at + 1 + groups, groups);
        }
        state.set(all);
    }
}
