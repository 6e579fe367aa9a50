package megalodon4j.models;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.Tensor;

/** Keys and values, (B, n, H·d) a layer: of all tokens so far, without a limit, or of a window's. */
final class LlamaCache extends ModelCache {
    // Long prompts are taken in blocks, so that scores of a block fit a processor's cache.
    private static final int BLOCK = 512;

    private final int most; // keys that are kept
    private final KeyValueCache[] layers;

    LlamaCache(LlamaConfig config, Backend backend, CacheOptions options, int batch) {
        super(config, backend, options, batch);
        most = options.maxCacheLen() == 0 ? Integer.MAX_VALUE : options.maxCacheLen();
        layers = new KeyValueCache[config.depth()];
        int width = config.heads() * config.dimHead();
        for (int i = 0; i < layers.length; i++) {
            layers[i] = new KeyValueCache(backend, batch, width, width, most);
        }
    }

    /** Before L tokens arrive, with a mask (B, L) or null: that of all keys that the cache will hold, or null. */
    Tensor begin(Tape tape, Tensor mask, int length) {
        keyMask().append(mask, length, length, layers[0].countAfter(length));
        return keyMask().tensor(tape);
    }

    KeyValueCache layer(int i) {
        return layers[i];
    }

    @Override
    LlamaConfig config() {
        return (LlamaConfig) super.config();
    }

    @Override
    public int nextBlock(int remaining) {
        return Math.min(remaining, Math.min(BLOCK, most));
    }

    @Override
    LlamaCache selectRows(int[] rows) {
        var selected = new LlamaCache(config(), backend(), options(), rows.length);
        for (int i = 0; i < layers.length; i++) {
            selected.layers[i] = layers[i].select(rows);
        }
        return selected;
    }

    @Override
    void keepFirst(long tokens) {
        long kept = keysAfter(tokens), there = Math.max(0, keyMask().count() - (position() - tokens));
        if (there < kept) {
            throw new UnsupportedOperationException("trim: after " + tokens + " tokens the cache would hold " + kept
                    + " keys, but only " + there + " of them have not been forgotten");
        }
        for (var layer : layers) {
            layer.keepFirst((int) kept);
        }
    }

    @Override
    void keepLast(int keys) {
        for (var layer : layers) {
            layer.keepLast(keys);
        }
    }

    @Override
    long keysAfter(long tokens) {
        return Math.min(tokens, most);
    }

    @Override
    List<SafeTensors.Source> tensors() {
        var tensors = new ArrayList<SafeTensors.Source>();
        for (int i = 0; i < layers.length; i++) {
            var layer = layers[i];
            tensors.add(source("cache." + i + ".k", layer, layer.keys(), config().heads()));
            tensors.add(source("cache." + i + ".v", layer, layer.values(), config().heads()));
        }
        return tensors;
    }

    @Override
    void fill(CacheFile file) throws IOException {
        for (int i = 0; i < layers.length; i++) {
            file.fill(layers[i], "cache." + i, backend(), config().heads(), config().dimHead(), config().dimHead());
        }
    }
}
