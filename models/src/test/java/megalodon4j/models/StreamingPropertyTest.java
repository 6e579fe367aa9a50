package megalodon4j.models;

import static megalodon4j.models.ParityContract.assertClose;

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
        }
    }

    /** RoPE makes scores depend on distances alone: tokens after padding are worth what they are without it. */
    @Test
    void leftPaddingOfALlama() {
        for (int seed = 400; seed < 400 + CASES; seed++) {
            var c = Case.of(seed, true);
            int vocabulary = c.model.config().numTokens();
            var padding = c.random.ints(c.batch, 0, c.length).toArray();
            var mask = new float[c.ids.length];
            for (int i = 0; i < mask.length; i++) {
                mask[i] = i % c.length < padding[i / c.length] ? 0 : 1;
            }
            try (var tape = Tape.inference(backend)) {
                var tensor = tape.tensor(c.batch, c.length).set(mask);
                var padded = c.model.head(c.model.hidden(tape, c.ids, c.batch, tensor, null));
                var got = padded.value().toArray();
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
