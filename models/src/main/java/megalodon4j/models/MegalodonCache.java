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
    // As many tokens as keep matrix products and threads busy.
    private static final int BLOCK = 2048;

    private final Layer[] layers;
    private final Tensor norm; // (B, 2, 1 + 2·G)

    /**
     * timenorm: (B, 2, 1 + 2·G), that is count, means, variances; coefficients: (5, N, D), of the EMA, blank before the first token; ema: (B, 2, N, D);
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
        super(config, backend, options, batch);
        int most = options.unbounded() ? Integer.MAX_VALUE : Math.max(config.chunkSize(), options.maxCacheLen());
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
        super(from.config(), from.backend(), from.options(), rows.length);
        layers = new Layer[from.layers.length];
        for (int i = 0; i < layers.length; i++) {
            var layer = from.layers[i];
            layers[i] = new Layer(
                    rowsOf(layer.timenorm, rows),
                    // Shared once they are known; until then the stream that reads first must not decide for the other.
                    layer.coefficients.isBlank() ? backend().tensor(layer.coefficients.shape()) : layer.coefficients,
                    rowsOf(layer.ema, rows),
                    layer.kv.select(rows));
        }
        norm = rowsOf(from.norm, rows);
    }

    // Nothing counted, mean 0, variance 1.
    private Tensor freshNorm(int batch) {
        int groups = config().normNumGroups(), width = 1 + 2 * groups;
        var state = new float[batch * 2 * width];
        for (int b = 0, at = 0; b < batch; b++, at += 2 * width) {
            Arrays.fill(state, at + 1 + groups, at + width, 1);
        }
        return backend().tensor(batch, 2, width).set(state);
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

    /**
     * Where attention is local, a block of several chunks begins with one, and any other ends with its chunk; else blocks of a chunk's size are
     * counted from where a piece starts.
     */
    @Override
    public int nextBlock(int remaining) {
        int chunk = config().chunkSize(), done = (int) (position() % chunk);
        if (chunkLocal()) {
            return Math.min(remaining, done > 0 ? chunk - done : Math.max(chunk, BLOCK / chunk * chunk));
        }
        return Math.min(remaining, chunk);
    }

    /**
     * Before L tokens arrive: attention starts anew with every chunk where it is local.
     *
     * @param mask (B, L) or null
     * @return the mask of the keys that the tokens will see, or null: of L keys where they are those of several chunks, else of all that the cache
     *     will hold
     */
    Tensor begin(Tape tape, Tensor mask, int length) {
        if (chunkLocal() && position() % config().chunkSize() == 0) {
            keyMask().keep(0, 0);
            for (var layer : layers) {
                layer.kv.clear();
            }
        }
        int added = added(length);
        keyMask().append(mask, length, added, layers[0].kv.countAfter(added));
        return length > config().chunkSize() ? mask : keyMask().tensor(tape);
    }

    // Of several chunks the last one's keys are kept.
    private int added(int length) {
        return Math.toIntExact(Math.min(length, keysAfter(position() + length)));
    }

    /** Keeps what later tokens see of a layer's keys and values, (B, L, …). */
    void append(int layer, Tensor k, Tensor v) {
        layers[layer].kv.append(k, v, added(k.shape().size(1)));
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
    void keepLast(int keys) {
        for (var layer : layers) {
            layer.kv.keepLast(keys);
        }
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
        int batch = batch(), groups = config().normNumGroups(), width = 1 + 2 * groups;
        tensors.add(SafeTensors.i64(name + "count", Shape.of(batch), () -> {
            var all = state.toArray();
            var count = new long[batch];
            Arrays.setAll(count, b -> (long) ((double) all[b * 2 * width] + all[b * 2 * width + width]));
            return count;
        }));
        for (var part : NormPart.values()) {
            tensors.add(SafeTensors.f32(name + part.name, Shape.of(batch, groups), () -> {
                var all = state.toArray();
                var statistics = new float[batch * groups];
                for (int b = 0; b < batch; b++) {
                    System.arraycopy(all, part.at(b, groups), statistics, b * groups, groups);
                }
                return statistics;
            }));
        }
    }

    /** Which groups' numbers of a norm's state a file holds as a tensor; what rounding took from them is not in PyTorch's. */
    private enum NormPart {
        MEAN("mean", 0, 0),
        VARIANCE("var", 0, 1),
        MEAN_LOW("mean_low", 1, 0),
        VARIANCE_LOW("var_low", 1, 1);

        final String name;
        private final int half;
        private final int statistic;

        NormPart(String name, int half, int statistic) {
            this.name = name;
            this.half = half;
            this.statistic = statistic;
        }

        /** Where they lie in row b of a state. */
        int at(int b, int groups) {
            return (2 * b + half) * (1 + 2 * groups) + 1 + statistic * groups;
        }
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
            file.fill(layers[i].kv, name, backend(), heads, config().zDim() / heads, config().valueDim() / heads);
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
        int groups = config().normNumGroups(), width = 1 + 2 * groups;
        var all = new float[batch() * 2 * width];
        var count = file.longs(name + "count", batch());
        for (int b = 0; b < batch(); b++) {
            all[2 * b * width] = count[b];
            all[(2 * b + 1) * width] = count[b] - (long) all[2 * b * width];
        }
        for (var part : NormPart.values()) {
            if (part.half == 0 || file.has(name + part.name)) {
                var statistics = file.floats(name + part.name, batch(), groups);
                for (int b = 0; b < batch(); b++) {
                    System.arraycopy(statistics, b * groups, all, part.at(b, groups), groups);
                }
            }
        }
        state.set(all);
    }
}
