package megalodon4j.models;

import static megalodon4j.models.ParityTest.assertClose;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import java.util.function.IntUnaryOperator;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Random models, sequences, pieces and masks, against the specification written as loops. */
class StreamingPropertyTest {
    private static final int CASES = 25;
    private static final double TOLERANCE = 2e-4;

    private static Backend backend;

    @BeforeAll
    static void open() {
        backend = Backend.cpu(2);
    }

    @AfterAll
    static void close() {
        backend.close();
    }

    /** A model, B sequences of L tokens, and their pieces. */
    private record Case(
            String what, Random random, LanguageModel model, int batch, int length, int[] ids, int[] pieces) {
        static Case of(long seed, boolean llama) {
            var random = new Random(seed);
            var model = llama ? llama(random) : megalodon(random);
            int batch = 1 + random.nextInt(3), length = 1 + random.nextInt(40);
            var ids = random.ints(batch * length, 0, model.config().numTokens()).toArray();
            var pieces = Streams.pieces(random, length);
            var what =
                    "seed " + seed + ", " + batch + " rows, pieces " + Arrays.toString(pieces) + ", " + model.config();
            return new Case(what, random, model, batch, length, ids, pieces);
        }

        float[] feed(CacheOptions options, int... sizes) {
            return Streams.feed(model, model.newCache(batch, options), ids, 0, sizes);
        }

        float[] feed(CacheOptions options, boolean[] valid) {
            return Streams.feed(model, model.newCache(batch, options), ids, ints(valid), 0, pieces);
        }

        float[] forward() {
            try (var tape = Tape.inference(backend)) {
                return model.logits(tape, ids, batch).value().toArray();
            }
        }

        // The logits of each row by itself.
        float[] naive(boolean[] valid, IntUnaryOperator first) {
            var oracle = new NaiveMegalodon(model);
            int row = length * model.config().numTokens();
            var logits = new float[batch * row];
            for (int b = 0; b < batch; b++) {
                var tokens = Arrays.copyOfRange(ids, b * length, (b + 1) * length);
                var mask = Arrays.copyOfRange(valid, b * length, (b + 1) * length);
                System.arraycopy(oracle.logits(tokens, mask, first), 0, logits, b * row, row);
            }
            return logits;
        }

        boolean[] allValid() {
            var valid = new boolean[ids.length];
            Arrays.fill(valid, true);
            return valid;
        }

        int chunk() {
            return ((MegalodonConfig) model.config()).chunkSize();
        }
    }

    private static LanguageModel llama(Random random) {
        var config =
                new LlamaConfig(13, 8, 1 + random.nextInt(2), 1 + random.nextInt(2), 4, random.nextBoolean(), null);
        return Streams.disturb(config.create(backend, 1), random);
    }

    private static LanguageModel megalodon(Random random) {
        int heads = 1 + random.nextInt(2);
        var config = new MegalodonConfig(
                13,
                8,
                1 + random.nextInt(2),
                heads,
                heads * 2 * (1 + random.nextInt(3)),
                heads * (1 + random.nextInt(5)),
                6,
                1 + random.nextInt(4),
                1 + random.nextInt(9),
                1 << random.nextInt(4),
                0,
                0,
                0,
                random.nextBoolean(),
                random.nextBoolean(),
                random.nextBoolean(),
                true,
                random.nextBoolean() ? null : 500.0,
                InitMode.HE,
                false,
                0,
                EmaChoice.AUTO);
        return Streams.disturb(config.create(backend, random.nextLong()), random);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void chunkLocalEqualsTheForwardPass(boolean llama) {
        for (int seed = 0; seed < CASES; seed++) {
            var c = Case.of(seed, llama);
            var forward = c.forward();
            assertClose(c.what, forward, c.feed(CacheOptions.CHUNK_LOCAL, c.pieces), TOLERANCE);
            if (!llama) {
                assertClose(c.what, c.naive(c.allValid(), t -> t / c.chunk() * c.chunk()), forward, TOLERANCE);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void unboundedEqualsOnePass(boolean llama) {
        for (int seed = 100; seed < 100 + CASES; seed++) {
            var c = Case.of(seed, llama);
            var pass = c.feed(CacheOptions.UNBOUNDED, c.length);
            assertClose(c.what, pass, c.feed(CacheOptions.UNBOUNDED, c.pieces), TOLERANCE);
            if (!llama) {
                assertClose(c.what, c.naive(c.allValid(), _ -> 0), pass, TOLERANCE);
            }
        }
    }

    @Test
    void slidingWindowGoesByBlocks() {
        for (int seed = 200; seed < 200 + 2 * CASES; seed++) {
            var c = Case.of(seed, false);
            int window = c.chunk() + 1 + c.random.nextInt(12);
            // For each position where its block ends: pieces are cut into chunks from their own start.
            var blockEnd = new int[c.length];
            int start = 0;
            for (int piece : c.pieces) {
                for (int i = 0; i < piece; i++) {
                    blockEnd[start + i] = start + Math.min(piece, (i / c.chunk() + 1) * c.chunk());
                }
                start += piece;
            }
            var want = c.naive(c.allValid(), t -> Math.max(0, blockEnd[t] - window));
            var got = c.feed(CacheOptions.window(window), c.pieces);
            assertClose("window " + window + ", " + c.what, want, got, TOLERANCE);
        }
    }

    /** In a single layer, whose keys know nothing of the tokens before, a window is a shorter text: RoPE is relative. */
    @Test
    void aWindowOfALlama() {
        var random = new Random(500);
        var model = Streams.disturb(new LlamaConfig(13, 8, 1, 2, 4, true, null).create(backend, 1), random);
        int window = 5, length = 20;
        var ids = random.ints(length, 0, 13).toArray();
        var session = model.session(CacheOptions.window(window));
        for (int t = 0; t < length; t++) {
            var seen = Arrays.copyOfRange(ids, Math.max(0, t + 1 - window), t + 1);
            assertClose("token " + t, model.session().feed(seen), session.feed(ids[t]), TOLERANCE);
        }
    }

    @Test
    void anyPaddingMask() {
        for (int seed = 300; seed < 300 + CASES; seed++) {
            var c = Case.of(seed, false);
            var valid = new boolean[c.ids.length];
            var mask = new float[c.ids.length];
            double density = c.random.nextDouble();
            for (int i = 0; i < mask.length; i++) {
                valid[i] = c.random.nextDouble() < density;
                mask[i] = valid[i] ? 1 : 0;
            }
            var want = c.naive(valid, t -> t / c.chunk() * c.chunk());
            try (var tape = Tape.inference(backend)) {
                var tensor = tape.tensor(c.batch, c.length).set(mask);
                var got = c.model.head(c.model.hidden(tape, c.ids, c.batch, tensor, null));
                assertClose(c.what, want, got.value().toArray(), TOLERANCE);
            }
            assertClose(c.what, want, c.feed(CacheOptions.CHUNK_LOCAL, valid), TOLERANCE);
            assertClose(c.what, c.naive(valid, t -> 0), c.feed(CacheOptions.UNBOUNDED, valid), TOLERANCE);
        }
    }

    @Test
    void forgottenKeysAreSeenNoMore() {
        for (int seed = 700; seed < 700 + CASES; seed++) {
            var c = Case.of(seed, false);
            int split = c.random.nextInt(c.length + 1), kept = c.random.nextInt(6);
            boolean unbounded = c.random.nextBoolean();
            var cache = c.model.newCache(c.batch, unbounded ? CacheOptions.UNBOUNDED : CacheOptions.CHUNK_LOCAL);
            Streams.feed(c.model, cache, c.ids, 0, split);
            cache.keepKeys(kept);
            assertEquals(split, cache.position());
            var got = Streams.feed(c.model, cache, c.ids, split, c.length - split);
            var want = c.naive(c.allValid(), t -> {
                int first = unbounded ? 0 : t / c.chunk() * c.chunk();
                return t < split ? first : Math.max(first, split - kept);
            });
            int vocabulary = c.model.config().numTokens();
            for (int b = 0; b < c.batch; b++) {
                int row = b * c.length * vocabulary;
                var tail = Arrays.copyOfRange(want, row + split * vocabulary, row + c.length * vocabulary);
                assertClose(c.what, tail, row(got, b, c.batch), TOLERANCE);
            }
        }
    }

    /** What is padding in a call is padding for all later ones, with or without a mask of their own. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aMaskIsRememberedWithTheKeys(boolean llama) {
        for (int seed = 600; seed < 600 + CASES; seed++) {
            var c = Case.of(seed, llama);
            var valid = c.allValid();
            int masked = 1 + c.random.nextInt(c.length);
            for (int i = 0; i < valid.length; i++) {
                valid[i] = i % c.length >= masked || c.random.nextBoolean();
            }
            var options = c.random.nextBoolean() ? CacheOptions.CHUNK_LOCAL : CacheOptions.UNBOUNDED;
            var whole = c.model.newCache(c.batch, options);
            var want = Streams.feed(c.model, whole, c.ids, ints(valid), 0, c.length);
            var cache = c.model.newCache(c.batch, options);
            var head = Streams.feed(c.model, cache, c.ids, ints(valid), 0, masked);
            var tail = Streams.feed(c.model, cache.copy(), c.ids, null, masked, c.length - masked);
            int vocabulary = c.model.config().numTokens();
            for (int b = 0; b < c.batch; b++) {
                int row = b * c.length * vocabulary,
                        split = row + masked * vocabulary,
                        end = row + c.length * vocabulary;
                assertClose(c.what, Arrays.copyOfRange(want, row, split), row(head, b, c.batch), TOLERANCE);
                assertClose(c.what, Arrays.copyOfRange(want, split, end), row(tail, b, c.batch), TOLERANCE);
            }
        }
    }

    private static float[] row(float[] x, int b, int batch) {
        return Arrays.copyOfRange(x, b * (x.length / batch), (b + 1) * (x.length / batch));
    }

    private static int[] ints(boolean[] valid) {
        var ints = new int[valid.length];
        for (int i = 0; i < ints.length; i++) {
            ints[i] = valid[i] ? 1 : 0;
        }
        return ints;
    }

    /** RoPE makes scores depend on distances alone: tokens after padding are worth what they are without it. */
    @Test
    void leftPaddingOfALlama() {
        for (int seed = 400; seed < 400 + CASES; seed++) {
            var c = Case.of(seed, true);
            int vocabulary = c.model.config().numTokens();
            var padding = c.random.ints(c.batch, 0, c.length).toArray();
            var mask = new float[c.ids.length];
            var valid = new boolean[c.ids.length];
            for (int i = 0; i < mask.length; i++) {
                valid[i] = i % c.length >= padding[i / c.length];
                mask[i] = valid[i] ? 1 : 0;
            }
            try (var tape = Tape.inference(backend)) {
                var tensor = tape.tensor(c.batch, c.length).set(mask);
                var padded = c.model.head(c.model.hidden(tape, c.ids, c.batch, tensor, null));
                var got = padded.value().toArray();
                assertClose(c.what, got, c.feed(CacheOptions.CHUNK_LOCAL, valid), TOLERANCE);
                for (int b = 0; b < c.batch; b++) {
                    int from = b * c.length + padding[b], to = (b + 1) * c.length;
                    var alone = c.model.logits(tape, Arrays.copyOfRange(c.ids, from, to), 1);
                    var row = Arrays.copyOfRange(got, from * vocabulary, to * vocabulary);
                    assertClose(c.what, alone.value().toArray(), row, TOLERANCE);
                }
            }
        }
    }
}
