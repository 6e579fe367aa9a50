package megalodon4j.models;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;

/** Keys and values of all tokens so far, (B, n, H·d) a layer; it grows without a limit. */
final class LlamaCache extends ModelCache {
    // Long prompts are taken in blocks, so that scores of a block fit a processor's cache.
    private static final int BLOCK = 512;

    private final Backend backend;
    private final KeyValueCache[] layers;

    LlamaCache(LlamaConfig config, Backend backend, CacheOptions options, int batch) {
        super(config, options, batch);
        ModelConfig.require(
                options.maxCacheLen() == 0,
                "max_cache_len",
                options.maxCacheLen(),
                "be absent: a Llama attends to all tokens");
        this.backend = backend;
        layers = new KeyValueCache[config.depth()];
        int width = config.heads() * config.dimHead();
        for (int i = 0; i < layers.length; i++) {
            layers[i] = new KeyValueCache(backend, batch, width, width, Integer.MAX_VALUE);
        }
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
        return Math.min(remaining, BLOCK);
    }

    @Override
    LlamaCache selectRows(int[] rows) {
        var selected = new LlamaCache(config(), backend, options(), rows.length);
        for (int i = 0; i < layers.length; i++) {
            selected.layers[i] = layers[i].select(rows);
        }
        return selected;
    }

    @Override
    void keepFirst(long tokens) {
        for (var layer : layers) {
            layer.keepFirst(Math.toIntExact(tokens));
        }
    }

    @Override
    long keysAfter(long tokens) {
        return tokens;
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
            file.fill(layers[i], "cache." + i, backend, config().heads(), config().dimHead(), config().dimHead());
        }
    }
}
