package megalodon4j.models;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.Shape;

/**
 * A saved cache: the tensors of PyTorch's caches, and in the metadata the position, the options and all settings of the config that a state
 * depends on.
 */
final class CacheFile {
    private static final String KEYS = "cache.keys"; // where some have been forgotten before their time
    private static final String MASK = "cache.mask"; // of the keys, where any is padding

    private final SafeTensors source;
    private final Set<String> taken = new HashSet<>();
    private int batch;
    private int keys;

    private CacheFile(SafeTensors source) {
        this.source = source;
    }

    static void save(ModelCache cache, Path path) throws IOException {
        var metadata = new TreeMap<>(identity(cache.config()));
        metadata.put("cache.position", "" + cache.position());
        metadata.put("cache.max_cache_len", "" + cache.options().maxCacheLen());
        metadata.put("cache.unbounded", "" + cache.options().unbounded());
        if (cache.keyMask().count() < cache.keysAfter(cache.position())) {
            metadata.put(KEYS, "" + cache.keyMask().count());
        }
        var tensors = new ArrayList<>(cache.tensors());
        var mask = cache.keyMask();
        if (mask.elements() != null) {
            tensors.add(SafeTensors.f32(MASK, Shape.of(cache.batch(), mask.count()), mask::elements));
        }
        SafeTensors.write(path, metadata, tensors);
    }

    /**
     * Reads a cache.
     *
     * @throws IOException if the file cannot be read, is no cache, or is one of another config: the message names the first setting that differs
     */
    static Cache load(LanguageModel model, Path path) throws IOException {
        var file = new CacheFile(SafeTensors.read(path));
        for (var setting : identity(model.config()).entrySet()) {
            var saved = file.metadata(setting.getKey());
            if (!saved.equals(setting.getValue())) {
                throw new IOException(path + ": its " + setting.getKey() + " is " + saved + ", this model's is "
                        + setting.getValue() + ": a cache belongs to one config");
            }
        }
        var cache = file.fresh(model);
        if (file.has(MASK)) {
            cache.keyMask(new KeyMask(file.batch, file.keys, file.floats(MASK, file.batch, file.keys)));
        } else {
            cache.keyMask(new KeyMask(file.batch, file.keys, null));
        }
        cache.fill(file);
        for (var name : file.source.names()) {
            if (!file.taken.contains(name)) {
                throw new IOException(path + ": tensor " + name + " does not belong to such a cache");
            }
        }
        return cache;
    }

    // An empty cache of the saved options and position.
    private ModelCache fresh(LanguageModel model) throws IOException {
        long maxCacheLen = number("cache.max_cache_len"), position = number("cache.position");
        boolean unbounded = Boolean.parseBoolean(metadata("cache.unbounded"));
        try {
            batch = source.shape("cache.0.k").size(0);
            var options = new CacheOptions(Math.toIntExact(maxCacheLen), unbounded);
            var cache = (ModelCache) model.newCache(batch, options);
            cache.moveTo(position);
            keys = Math.toIntExact(cache.keysAfter(position));
            if (source.metadata().containsKey(KEYS)) {
                keys = (int) Math.min(keys, number(KEYS));
            }
            return cache;
        } catch (IllegalArgumentException | ArithmeticException | IndexOutOfBoundsException e) {
            throw new IOException(source.path() + ": " + e.getMessage(), e);
        }
    }

    // The kind and the settings, under their names in YAML.
    private static Map<String, String> identity(ModelConfig config) {
        var settings = new LinkedHashMap<String, String>();
        settings.put("model", config.kind());
        config.settings().forEach((name, value) -> {
            if (!ModelConfig.TRAINING_ONLY.contains(name)) {
                settings.put(name, String.valueOf(value));
            }
        });
        return settings;
    }

    private String metadata(String key) throws IOException {
        var value = source.metadata().get(key);
        if (value == null) {
            throw new IOException(source.path() + ": not a cache of this kind of model, its metadata have no " + key);
        }
        return value;
    }

    private long number(String key) throws IOException {
        var value = metadata(key);
        if (!value.matches("\\d{1,18}")) {
            throw new IOException(source.path() + ": " + key + " is " + value + ", it must be a number from 0 on");
        }
        return Long.parseLong(value);
    }

    boolean has(String name) {
        return source.names().contains(name);
    }

    float[] floats(String name, int... shape) throws IOException {
        check(name, shape);
        return source.floats(name);
    }

    long[] longs(String name, int... shape) throws IOException {
        check(name, shape);
        return source.longs(name);
    }

    private void check(String name, int... shape) throws IOException {
        if (!Arrays.equals(source.shape(name).toArray(), shape)) {
            throw new IOException(source.path() + ": tensor " + name + " has shape " + source.shape(name)
                    + ", config and position make it " + Shape.of(shape));
        }
        taken.add(name);
    }

    /** Fills a layer's cache, with heads of so many features. */
    void fill(KeyValueCache cache, String name, Backend backend, int heads, int key, int value) throws IOException {
        var k = floats(name + ".k", batch, keys, heads, key);
        var v = floats(name + ".v", batch, keys, heads, value);
        cache.append(
                backend.tensor(batch, keys, heads * key).set(k),
                backend.tensor(batch, keys, heads * value).set(v));
    }
}
