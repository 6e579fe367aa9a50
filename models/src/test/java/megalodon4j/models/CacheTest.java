package megalodon4j.models;

import static megalodon4j.models.ParityContract.assertClose;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.Shape;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Copied, selected, trimmed, saved and loaded caches go on as the original does; what cannot be is refused in a clear line. */
class CacheTest {
    private static final int LENGTH = 40;
    private static final int HALF = 21;

    private static Backend backend;
    private static final int[] IDS = new Random(5).ints(3 * LENGTH, 0, 256).toArray();

    @TempDir
    Path folder;

    @BeforeAll
    static void open() {
        backend = Backend.cpu(2);
    }

    @AfterAll
    static void close() {
        backend.close();
    }

    private static LanguageModel model(String name) {
        return Fixture.of(name).model(backend, EmaChoice.AUTO);
    }

    static Stream<Arguments> caches() {
        return Stream.of(false, true)
                .flatMap(masked -> Stream.of(
                        Arguments.of("llama", CacheOptions.CHUNK_LOCAL, masked),
                        Arguments.of("llama", CacheOptions.window(7), masked),
                        Arguments.of("megalodon", CacheOptions.CHUNK_LOCAL, masked),
                        Arguments.of("megalodon", CacheOptions.window(20), masked),
                        Arguments.of("megalodon", CacheOptions.UNBOUNDED, masked)));
    }

    @ParameterizedTest
    @MethodSource("caches")
    void copiesRowsAndFilesGoOnAlike(String name, CacheOptions options, boolean masked) throws IOException {
        var model = model(name);
        var cache = model.newCache(3, options);
        var mask = new Random(6).ints(IDS.length, 0, 2).toArray();
        Streams.feed(model, cache, IDS, masked ? mask : null, 0, 10, HALF - 10);
        var copy = cache.copy();
        var rows = cache.select(2, 0, 2);
        cache.save(folder.resolve("cache"));
        var want = Streams.feed(model, cache, IDS, HALF, LENGTH - HALF);
        var loaded = model.loadCache(folder.resolve("cache"));
        for (var other : new Cache[] {copy, loaded}) {
            assertEquals(HALF, other.position());
            assertEquals(options, other.options());
            assertArrayEquals(want, Streams.feed(model, other, IDS, HALF, LENGTH - HALF));
        }
        var order = new int[] {2, 0, 2};
        var ids = new int[IDS.length];
        for (int i = 0; i < 3; i++) {
            System.arraycopy(IDS, order[i] * LENGTH, ids, i * LENGTH, LENGTH);
        }
        var got = Streams.feed(model, rows, ids, HALF, LENGTH - HALF);
        int row = want.length / 3;
        for (int i = 0; i < got.length; i++) {
            assertEquals(want[order[i / row] * row + i % row], got[i]);
        }
    }

    @Test
    void aLlamaCacheIsTrimmed() {
        var model = model("llama");
        var cache = model.newCache(3);
        var want = Streams.feed(model, cache, IDS, 0, LENGTH);
        cache.trim(HALF);
        assertEquals(HALF, cache.position());
        var got = Streams.feed(model, cache, IDS, HALF, LENGTH - HALF);
        int width = 256, rest = LENGTH - HALF;
        for (int b = 0; b < 3; b++) {
            var row = Arrays.copyOfRange(want, (b * LENGTH + HALF) * width, (b + 1) * LENGTH * width);
            var gotRow = Arrays.copyOfRange(got, b * rest * width, (b + 1) * rest * width);
            assertClose("row " + b, row, gotRow, 1e-5);
        }
        cache.trim(0);
        assertClose("again", want, Streams.feed(model, cache, IDS, 0, LENGTH), 1e-5);
        assertRefused(IllegalArgumentException.class, "41 tokens", () -> cache.trim(LENGTH + 1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void aCacheWithForgottenKeysIsCopiedAndSaved(String name) throws IOException {
        var model = model(name);
        var cache = model.newCache(3, CacheOptions.UNBOUNDED);
        var mask = new Random(6).ints(IDS.length, 0, 2).toArray();
        Streams.feed(model, cache, IDS, mask, 0, HALF);
        cache.keepKeys(6);
        cache.keepKeys(9); // there are no more
        var copy = cache.copy();
        cache.save(folder.resolve("cache"));
        var want = Streams.feed(model, cache, IDS, HALF, LENGTH - HALF);
        assertArrayEquals(want, Streams.feed(model, copy, IDS, HALF, LENGTH - HALF));
        var loaded = model.loadCache(folder.resolve("cache"));
        assertArrayEquals(want, Streams.feed(model, loaded, IDS, HALF, LENGTH - HALF));
        assertRefused(IllegalArgumentException.class, "-1", () -> cache.keepKeys(-1));
    }

    @Test
    void whatALlamaHasForgottenCannotBeTrimmedTo() {
        var model = model("llama");
        var cache = model.newCache(3);
        Streams.feed(model, cache, IDS, 0, HALF);
        cache.keepKeys(20);
        assertRefused(
                UnsupportedOperationException.class,
                "would hold 20 keys, but only 19 of them",
                () -> cache.trim(HALF - 1));
        var window = model.newCache(3, CacheOptions.window(7));
        Streams.feed(model, window, IDS, 0, 7);
        window.trim(5);
        Streams.feed(model, window, IDS, 5, 3);
        assertRefused(UnsupportedOperationException.class, "would hold 7 keys", () -> window.trim(7));
        assertEquals(8, window.position());
        window.trim(0); // for which no keys are needed
        var anew = Streams.feed(model, window, IDS, 0, 9);
        assertArrayEquals(Streams.feed(model, model.newCache(3, CacheOptions.window(7)), IDS, 0, 9), anew);
    }

    @Test
    void aMegalodonCacheIsNot() {
        var cache = model("megalodon").newCache(3);
        Streams.feed(model("megalodon"), cache, IDS, 0, 3);
        cache.trim(3);
        assertRefused(UnsupportedOperationException.class, "copy()", () -> cache.trim(2));
    }

    @Test
    void whatDoesNotFitIsRefused() {
        var model = model("megalodon");
        var llama = model("llama");
        assertRefused(
                IllegalArgumentException.class,
                "at least chunk_size = 16",
                () -> model.newCache(1, CacheOptions.window(15)));
        assertRefused(IllegalArgumentException.class, "max_cache_len", () -> new CacheOptions(3, true));
        assertRefused(IllegalArgumentException.class, "batch", () -> model.newCache(0));
        var cache = model.newCache(2);
        assertRefused(IllegalArgumentException.class, "row 2", () -> cache.select(0, 2));
        assertRefused(IllegalArgumentException.class, "at least one row", cache::select);
        assertRefused(IllegalArgumentException.class, "Cache.select", () -> model.session(cache));
        try (var tape = Tape.inference(backend);
                var recording = Tape.training(backend)) {
            var mask = tape.tensor(2, 3).set(1, 1, 1, 1, 1, 0);
            var ids = new int[6];
            assertRefused(
                    IllegalArgumentException.class,
                    "the mask of 4 tokens",
                    () -> model.hidden(tape, new int[4], 2, mask, cache));
            assertRefused(IllegalArgumentException.class, "cache of 2", () -> model.hidden(tape, ids, 3, null, cache));
            assertRefused(
                    IllegalArgumentException.class,
                    "at least one token",
                    () -> model.hidden(tape, new int[0], 2, null, cache));
            var window = model.newCache(2, CacheOptions.window(20));
            assertRefused(
                    IllegalArgumentException.class, "feed 16", () -> model.hidden(tape, new int[34], 2, null, window));
            assertRefused(
                    IllegalStateException.class, "no gradient", () -> model.hidden(recording, ids, 2, null, cache));
            assertRefused(
                    IllegalArgumentException.class, "another config", () -> llama.hidden(tape, ids, 2, null, cache));
        }
        assertEquals(0, cache.position());
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void aCacheOfAnotherBackendIsRefused(String name) {
        var model = model(name);
        try (var other = Backend.cpu(1)) {
            var cache = Fixture.of(name).model(other, EmaChoice.AUTO).newCache(1);
            var session = model.session(cache);
            assertRefused(
                    IllegalArgumentException.class, "another backend (cpu (1 thread", () -> session.feed(1, 2, 3));
            assertEquals(0, cache.position());
        }
    }

    @Test
    void aFileOfAnotherConfigIsRefused() throws IOException {
        var model = model("megalodon");
        var file = folder.resolve("cache");
        model.newCache(1).save(file);
        assertRefused(
                IOException.class,
                "num_heads is 2, this model's is 1",
                () -> model("megalodon_one_chunk").loadCache(file));
        assertRefused(
                IOException.class,
                "its model is megalodon, this model's is llama",
                () -> model("llama").loadCache(file));
        var weights = Fixture.of("megalodon").folder().resolve("weights.safetensors");
        assertRefused(IOException.class, "not a cache", () -> model.loadCache(weights));
        assertEquals(0, model.loadCache(file).position());
    }

    @Test
    void aFileThatContradictsItselfIsRefused() throws IOException {
        var model = model("megalodon");
        var cache = model.newCache(2);
        Streams.feed(model, cache, Arrays.copyOf(IDS, 2 * LENGTH), 0, 5);
        var tensors = ((ModelCache) cache).tensors();
        var file = folder.resolve("cache");
        cache.save(file);
        var metadata = SafeTensors.read(file).metadata();

        SafeTensors.write(file, with(metadata, "cache.position", "6"), tensors);
        assertRefused(IOException.class, "cache.0.k has shape (2, 5, 2, 16)", () -> model.loadCache(file));
        SafeTensors.write(file, with(metadata, "cache.position", "-1"), tensors);
        assertRefused(IOException.class, "cache.position is -1", () -> model.loadCache(file));
        SafeTensors.write(file, with(metadata, "cache.max_cache_len", "3"), tensors);
        assertRefused(IOException.class, "max_cache_len: 3", () -> model.loadCache(file));
        SafeTensors.write(file, metadata, tensors.subList(1, tensors.size()));
        assertRefused(IOException.class, "cache.0.k", () -> model.loadCache(file));
        tensors.add(SafeTensors.f32("more", Shape.of(1), () -> new float[1]));
        SafeTensors.write(file, metadata, tensors);
        assertRefused(IOException.class, "tensor more", () -> model.loadCache(file));
    }

    /** A cache that has read so much that a float would count no further, as PyTorch would have saved it. */
    @Test
    void aLongStreamCountsOn() throws IOException {
        long past = (1L << 24) - 16; // a whole number of chunks
        var model = model("megalodon");
        var cache = model.newCache(1);
        Streams.feed(model, cache, IDS, 0, LENGTH - LENGTH % 16);
        var file = folder.resolve("cache");
        cache.save(file);
        var saved = SafeTensors.read(file);
        var tensors = new ArrayList<SafeTensors.Source>();
        for (var name : saved.names()) {
            if (name.endsWith("_count")) {
                tensors.add(SafeTensors.i64(name, Shape.of(1), () -> new long[] {past}));
            } else if (!name.endsWith("_low")) {
                var elements = saved.floats(name);
                tensors.add(SafeTensors.f32(name, saved.shape(name), () -> elements));
            }
        }
        SafeTensors.write(file, with(saved.metadata(), "cache.position", "" + past), tensors);

        var loaded = model.loadCache(file);
        for (int t = 0; t < 40; t++) {
            Streams.feed(model, loaded, Arrays.copyOf(IDS, LENGTH), t, 1);
        }
        assertEquals(past + 40, loaded.position());
        var again = folder.resolve("again");
        loaded.save(again);
        assertArrayEquals(new long[] {past + 40}, SafeTensors.read(again).longs("cache.final_norm_count"));
        assertArrayEquals(new long[] {past + 40}, SafeTensors.read(again).longs("cache.0.norm_count"));
        // The mean has gone on by small steps; a saved cache goes on to the last bit.
        var before = SafeTensors.read(file).floats("cache.final_norm_mean");
        var after = SafeTensors.read(again);
        boolean moved = false;
        for (int g = 0; g < before.length; g++) {
            double mean =
                    (double) after.floats("cache.final_norm_mean")[g] + after.floats("cache.final_norm_mean_low")[g];
            moved |= mean != before[g];
            assertEquals(before[g], mean, 1e-4);
        }
        assertTrue(moved);
        var ids = Arrays.copyOf(IDS, LENGTH);
        assertArrayEquals(
                Streams.feed(model, loaded, ids, 0, 3), Streams.feed(model, model.loadCache(again), ids, 0, 3));
    }

    private static Map<String, String> with(Map<String, String> metadata, String key, String value) {
        var changed = new HashMap<>(metadata);
        changed.put(key, value);
        return changed;
    }

    @Test
    void sessionsGoOnFromACache() {
        var model = model("megalodon");
        var session = model.session(CacheOptions.window(20));
        session.feed(Arrays.copyOf(IDS, HALF));
        var other = model.session(session.cache().copy());
        assertEquals(HALF, other.position());
        assertArrayEquals(session.feed(7), other.feed(7));
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void aSessionRefusesBeforeItReads(String name) {
        var session = model(name).session();
        session.feed(1, 2, 3);
        var ids = Arrays.copyOf(IDS, LENGTH);
        assertRefused(
                IllegalArgumentException.class, "got 39", () -> session.loss(ids, Arrays.copyOf(IDS, LENGTH - 1)));
        assertRefused(
                IllegalArgumentException.class, "got 41", () -> session.loss(ids, Arrays.copyOf(IDS, LENGTH + 1)));
        ids[LENGTH - 1] = 256;
        assertRefused(IllegalArgumentException.class, "token 256 at position 39", () -> session.feed(ids));
        assertRefused(IllegalArgumentException.class, "token 256 at position 39", () -> session.loss(ids, ids));
        assertEquals(3, session.position());
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void aBadLabelInALaterBlockIsRefusedBeforeTheFirst(String name) {
        var session = model(name).session(CacheOptions.window(20));
        var ids = Arrays.copyOf(IDS, LENGTH);
        assertTrue(session.cache().nextBlock(LENGTH) < LENGTH);
        for (int bad : new int[] {256, -1}) {
            var labels = ids.clone();
            labels[LENGTH - 1] = bad;
            assertRefused(
                    IllegalArgumentException.class,
                    "label " + bad + " at position 39",
                    () -> session.loss(ids, labels));
            assertEquals(0, session.position());
        }
        ids[0] = Backend.IGNORE_INDEX;
        assertTrue(session.loss(Arrays.copyOf(IDS, LENGTH), ids) > 0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void hiddenStatesOfEachLayer(String name) {
        var model = model(name);
        int layers =
                model.config() instanceof LlamaConfig c ? c.depth() : ((MegalodonConfig) model.config()).numLayers();
        try (var tape = Tape.inference(backend)) {
            var outputs = new ArrayList<Variable>();
            var last = model.hidden(tape, IDS, 3, null, null, outputs::add);
            assertEquals(layers + 1, outputs.size());
            for (var output : outputs) {
                assertEquals(last.shape(), output.shape());
            }
            var embedding = model.parameters().iterator().next().value().toArray();
            int dim = last.shape().columns();
            assertEquals(embedding[IDS[1] * dim + 3], outputs.getFirst().value().toArray()[dim + 3]);
            // With one token, a cache gives the same.
            var cached = new ArrayList<Variable>();
            model.hidden(tape, Streams.columns(IDS, 3, 0, 1), 3, null, model.newCache(3), cached::add);
            for (int i = 0; i <= layers; i++) {
                var want = Arrays.copyOf(outputs.get(i).value().toArray(), dim);
                assertClose(
                        "layer " + i, want, Arrays.copyOf(cached.get(i).value().toArray(), dim), 1e-5);
            }
        }
    }

    private static <E extends Exception> void assertRefused(Class<E> type, String part, Executable action) {
        var message = assertThrows(type, action).getMessage();
        assertTrue(message.contains(part), message);
        assertEquals(1, message.lines().count(), message);
    }

    /** What a stream computes of the weights once, another stream does not take over. */
    @Test
    void aNewStreamReadsWithTheWeightsOfNow() {
        var model = model("megalodon");
        var text = Arrays.copyOf(IDS, LENGTH);
        var empty = model.newCache(1);
        var earlier = model.session(empty.copy()).feed(text);
        for (var parameter : model.parameters()) {
            if (parameter.name().contains("cema")) {
                backend.add(0.3f, parameter.value(), parameter.value());
            }
        }
        var now = model.session(empty.copy()).feed(text);
        assertTrue(Math.abs(now[7] - earlier[7]) > 1e-4, "the weights have changed");
        try (var tape = Tape.inference(backend)) {
            var whole = model.logits(tape, text, 1).value().toArray();
            assertClose("logits", Arrays.copyOfRange(whole, whole.length - now.length, whole.length), now, 1e-4);
        }
    }
}
