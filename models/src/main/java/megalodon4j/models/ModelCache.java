package megalodon4j.models;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;

/** What the caches of both models share. */
abstract sealed class ModelCache implements Cache permits LlamaCache, MegalodonCache {
    private final ModelConfig config;
    private final Backend backend;
    private final CacheOptions options;
    private final int batch;
    private long position;
    private KeyMask keyMask;

    ModelCache(ModelConfig config, Backend backend, CacheOptions options, int batch) {
        ModelConfig.requirePositive("batch", batch);
        config.check(options);
        this.config = config;
        this.backend = backend;
        this.options = options;
        this.batch = batch;
        keyMask = new KeyMask(batch);
    }

    @Override
    public final int batch() {
        return batch;
    }

    @Override
    public final long position() {
        return position;
    }

    @Override
    public final CacheOptions options() {
        return options;
    }

    /** Which keys are no padding. */
    final KeyMask keyMask() {
        return keyMask;
    }

    final void keyMask(KeyMask keyMask) {
        this.keyMask = keyMask;
    }

    ModelConfig config() {
        return config;
    }

    final Backend backend() {
        return backend;
    }

    /** Says that so many tokens have been fed. */
    final void moveTo(long position) {
        this.position = position;
    }

    /** Checks that a call of {@code hidden} may extend this cache, before anything of it changes. */
    static <C extends ModelCache> C checked(
            Class<C> type, ModelConfig config, Cache cache, Tape tape, int tokens, int batch, Tensor mask) {
        if (cache == null) {
            return null;
        }
        if (!type.isInstance(cache) || !((ModelCache) cache).config.equals(config)) {
            throw new IllegalArgumentException("hidden: the cache belongs to a model of another config");
        }
        var backend = ((ModelCache) cache).backend;
        if (backend != tape.backend()) {
            throw new IllegalArgumentException("hidden: the cache is on another backend (" + backend.describe()
                    + ") than the tape (" + tape.backend().describe() + ")");
        }
        if (tape.recording()) {
            throw new IllegalStateException("hidden: a cache has no gradient; use Tape.inference(backend)");
        }
        if (batch != cache.batch() || tokens == 0 || tokens % batch != 0) {
            throw new IllegalArgumentException("hidden: " + tokens + " tokens in " + batch
                    + " rows do not fit a cache of " + cache.batch() + " rows, which takes at least one token each");
        }
        int length = tokens / batch;
        if (length > cache.nextBlock(length)) {
            throw new IllegalArgumentException("hidden: a block of " + length + " tokens is too long at position "
                    + cache.position() + "; feed " + cache.nextBlock(length) + " (Cache.nextBlock)");
        }
        if (mask != null && mask.elements() != tokens) {
            throw new IllegalArgumentException(
                    "hidden: the mask of " + tokens + " tokens must have as many elements, got " + mask.shape());
        }
        return type.cast(cache);
    }

    @Override
    public final ModelCache copy() {
        return select(IntStream.range(0, batch).toArray());
    }

    @Override
    public final ModelCache select(int... rows) {
        if (rows.length == 0) {
            throw new IllegalArgumentException("select: at least one row is needed");
        }
        for (int row : rows) {
            if (row < 0 || row >= batch) {
                throw new IllegalArgumentException("select: there is no row " + row + " in a cache of " + batch);
            }
        }
        var selected = selectRows(rows);
        selected.moveTo(position);
        selected.keyMask(keyMask.select(rows));
        return selected;
    }

    @Override
    public final void trim(long tokens) {
        if (tokens < 0 || tokens > position) {
            throw new IllegalArgumentException(
                    "trim: " + tokens + " tokens cannot be kept of the " + position + " that were fed");
        }
        if (tokens < position) {
            keepFirst(tokens);
            keyMask.keep(0, Math.toIntExact(keysAfter(tokens)));
            position = tokens;
        }
    }

    @Override
    public final void keepKeys(int keys) {
        if (keys < 0) {
            throw new IllegalArgumentException("keepKeys: a number from 0 on is needed, got " + keys);
        }
        int count = keyMask.count(), kept = Math.min(keys, count);
        keyMask.keep(count - kept, kept);
        keepLast(kept);
    }

    @Override
    public final void save(Path file) throws IOException {
        CacheFile.save(this, file);
    }

    abstract ModelCache selectRows(int[] rows);

    abstract void keepFirst(long tokens);

    abstract void keepLast(int keys);

    /** How many keys a layer keeps after so many tokens, unless {@link #keepKeys} has made them fewer. */
    abstract long keysAfter(long tokens);

    /** What is to be saved, under the names and in the shapes of PyTorch's caches. */
    abstract List<SafeTensors.Source> tensors();

    /** Fills this fresh cache, whose position has been set, with what {@link #tensors} has saved. */
    abstract void fill(CacheFile file) throws IOException;

    /** The keys or values that a layer's cache holds, as (B, n, heads, width of a head). */
    static SafeTensors.Source source(String name, KeyValueCache cache, Tensor entries, int heads) {
        int batch = entries.shape().size(0), count = cache.count(), width = entries.columns();
        var shape = Shape.of(batch, count, heads, width / heads);
        return SafeTensors.f32(name, shape, () -> {
            var all = entries.toArray();
            var filled = new float[batch * count * width];
            int stride = all.length / batch;
            for (int b = 0; b < batch; b++) {
                System.arraycopy(all, b * stride, filled, b * count * width, count * width);
            }
            return filled;
        });
    }

    /** Rows of x, copied. */
    static Tensor rowsOf(Tensor x, int[] rows) {
        var backend = x.backend();
        var sizes = x.shape().toArray();
        sizes[0] = rows.length;
        var to = backend.tensor(sizes);
        backend.zero(to);
        for (int i = 0; i < rows.length; i++) {
            backend.copy(x.slice(rows[i], rows[i] + 1), to.slice(i, i + 1));
        }
        return to;
    }
}
