package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Philox;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Where a Megalodon drops what, and that nothing but seed and sequence decides it. */
class DropoutTest {
    private static final int L = 24;
    private static final MegalodonConfig PLAIN = TinyModels.megalodon(0);
    private static final MegalodonConfig DROPPING = dropping(0.2, 0.3, 0.4);

    private static MegalodonConfig dropping(double dropout, double attentionDropout, double hiddenDropout) {
        return PLAIN.toBuilder()
                .dropout(dropout)
                .attentionDropout(attentionDropout)
                .hiddenDropout(hiddenDropout)
                .build();
    }

    private final Backend backend = Backend.cpu(2);
    private final int[] ids = new Random(1).ints(3 * L, 0, 256).toArray();

    @AfterEach
    void close() {
        assertEquals(0, backend.outstanding());
        backend.close();
    }

    private Megalodon model(MegalodonConfig config) {
        return TinyModels.random(config.create(backend, 1), 2);
    }

    private float[] logits(LanguageModel model, Tape open, int... sequence) {
        try (var tape = open) {
            return model.logits(tape, sequence, sequence.length / L).value().toArray();
        }
    }

    private Tape training(long firstSequence) {
        return Tape.training(backend, 5, firstSequence);
    }

    private int[] sequence(int i) {
        return Arrays.copyOfRange(ids, i * L, (i + 1) * L);
    }

    @Test
    void eachSiteIsWhereTheReferenceHasIt() {
        for (var config : List.of(dropping(0.3, 0, 0), dropping(0, 0.3, 0), dropping(0, 0, 0.3), DROPPING)) {
            var model = model(config);
            var naive = new NaiveMegalodon(model, (rate, site, row, column) -> factor(rate, 7 + 1, site, row, column));
            var valid = new boolean[L];
            Arrays.fill(valid, true);
            var want = naive.logits(sequence(1), valid, t -> t / config.chunkSize() * config.chunkSize());
            var got = logits(model, training(7), ids);
            assertArrayEquals(want, Arrays.copyOfRange(got, want.length, 2 * want.length), 2e-4f);
        }
    }

    private static double factor(double rate, long sequence, int site, int row, int column) {
        var words = new int[4];
        Philox.block(1L << 63 | (long) row << 31 | column / 4, sequence << 20 | site, 5, words, 0);
        return Integer.toUnsignedLong(words[column % 4]) < Math.floor(rate * 0x1p32) ? 0 : 1 / (1 - rate);
    }

    @Test
    void inferenceDropsNothing() {
        assertArrayEquals(
                logits(model(PLAIN), Tape.inference(backend), ids),
                logits(model(DROPPING), Tape.inference(backend), ids));
        var session = model(DROPPING).session();
        assertArrayEquals(model(PLAIN).session().feed(1, 2, 3), session.feed(1, 2, 3));
    }

    @Test
    void aRateOfZeroChangesNoBit() {
        var plain = gradients(model(PLAIN), Tape.training(backend));
        assertSame(plain, gradients(model(PLAIN), training(3)));
        assertNotEquals(
                Arrays.toString(plain.getFirst()),
                Arrays.toString(gradients(model(DROPPING), training(3)).getFirst()));
    }

    @Test
    void aSequenceIsTheSameInAnyBatch() {
        var model = model(DROPPING);
        var all = logits(model, training(40), ids);
        for (int i = 0; i < 3; i++) {
            var alone = logits(model, training(40 + i), sequence(i));
            assertArrayEquals(Arrays.copyOfRange(all, i * alone.length, (i + 1) * alone.length), alone, 1e-4f);
            var other = logits(model, training(80 + i), sequence(i));
            assertTrue(distance(alone, other) > 0.1, "another sequence number, another mask");
        }
    }

    private static double distance(float[] a, float[] b) {
        double largest = 0;
        for (int i = 0; i < a.length; i++) {
            largest = Math.max(largest, Math.abs(a[i] - b[i]));
        }
        return largest;
    }

    @Test
    void recomputingABlockDropsTheSame() {
        var checkpointed = DROPPING.toBuilder().gradientCheckpointing(true).build();
        assertSame(gradients(model(DROPPING), training(9)), gradients(model(checkpointed), training(9)));
    }

    private List<float[]> gradients(LanguageModel model, Tape open) {
        model.parameters().zeroGrad();
        try (var tape = open) {
            tape.backward(Ops.crossEntropy(model.logits(tape, ids, 3), ids, 1f / ids.length));
        }
        var gradients = new ArrayList<float[]>();
        model.parameters().forEach(p -> gradients.add(p.grad().toArray()));
        return gradients;
    }

    private static void assertSame(List<float[]> want, List<float[]> got) {
        for (int i = 0; i < want.size(); i++) {
            assertArrayEquals(want.get(i), got.get(i));
        }
    }

    @Test
    void trainingNeedsRandomNumbers() {
        var error =
                assertThrows(IllegalStateException.class, () -> logits(model(DROPPING), Tape.training(backend), ids));
        assertTrue(error.getMessage().contains("Tape.training(backend, seed, firstSequence)"), error.getMessage());
        assertThrows(IllegalArgumentException.class, () -> dropping(1, 0, 0));
        assertThrows(IllegalArgumentException.class, () -> dropping(0, -0.1, 0));
    }
}
