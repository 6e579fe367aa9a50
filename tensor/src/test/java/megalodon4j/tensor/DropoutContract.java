package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.abs;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Dropout of activations; that of attention weights is part of {@link AttentionContract}. */
interface DropoutContract extends Contract {
    static Dropout draw(Trial t) {
        double rate = t.one(List.of(0.0, 0.1, 0.3, 0.9));
        long seed = t.one(List.of(7L, -1L)), sequence = t.one(List.of(0L, 5L, 1L << 40));
        return new Dropout(rate, seed, sequence, t.size("site", 0, 77, 1_048_575));
    }

    @Seeds(40)
    default void dropout(int seed) {
        try (var t = trial(seed)) {
            boolean inPlace = t.flag("in place");
            var dropout = draw(t);
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", LENGTHS), columns = t.size("d", WIDTHS);
            var values = t.normal(batch * length * columns);
            var x = inPlace ? t.working(values, batch, length, columns) : t.input(values, batch, length, columns);
            var y = inPlace ? x : t.result(batch, length, columns);
            t.backend.dropout(dropout, x, y);
            var want = ReferenceDropout.dropout(dropout, batch, length, columns, values);
            t.expect("dropout", want, y, 2e-7, abs(want));
        }
    }

    /** What is dropped of a sequence, as ones and zeros: (sequences, 3, 50). */
    private float[] kept(double rate, long seed, long firstSequence, int site, int sequences) {
        var x = backend().tensor(sequences, 3, 50);
        var ones = new float[x.elements()];
        Arrays.fill(ones, 1);
        backend().dropout(new Dropout(rate, seed, firstSequence, site), x.set(ones), x);
        var kept = x.toArray();
        for (int i = 0; i < kept.length; i++) {
            kept[i] = kept[i] == 0 ? 0 : 1;
        }
        return kept;
    }

    @Test
    default void aSequenceLosesTheSameInAnyBatch() {
        var all = kept(0.5, 1, 10, 3, 4);
        for (int b = 0; b < 4; b++) {
            assertArrayEquals(Arrays.copyOfRange(all, b * 150, (b + 1) * 150), kept(0.5, 1, 10 + b, 3, 1));
        }
    }

    @Test
    default void seedSequenceAndSiteMatter() {
        var masks = IntStream.range(0, 4)
                .mapToObj(i -> kept(0.5, i == 1 ? 2 : 1, i == 2 ? 11 : 10, i == 3 ? 4 : 3, 1))
                .toList();
        for (int i = 0; i < masks.size(); i++) {
            for (int j = 0; j < i; j++) {
                assertNotEquals(Arrays.toString(masks.get(i)), Arrays.toString(masks.get(j)));
            }
        }
    }

    @Test
    default void asManyAreDroppedAsTheRateSays() {
        for (double rate : new double[] {0, 0.1, 0.5, 0.95}) {
            var kept = kept(rate, 3, 0, 0, 1000);
            double sum = 0;
            for (float k : kept) {
                sum += k;
            }
            // Six standard deviations of a binomial share.
            double deviation = Math.sqrt(rate * (1 - rate) / kept.length);
            assertEquals(1 - rate, sum / kept.length, 6 * deviation);
        }
    }

    @Test
    default void whatCannotBeDroppedIsRefused() {
        for (double rate : new double[] {-0.1, 1, Double.NaN}) {
            assertTrue(assertThrows(IllegalArgumentException.class, () -> new Dropout(rate, 0, 0, 0))
                    .getMessage()
                    .contains("" + rate));
        }
        assertThrows(IllegalArgumentException.class, () -> new Dropout(0.5, 0, -1, 0));
        assertThrows(IllegalArgumentException.class, () -> new Dropout(0.5, 0, 1L << 43, 0));
        assertThrows(IllegalArgumentException.class, () -> new Dropout(0.5, 0, 0, 1 << 20));
        var dropout = new Dropout(0.5, 0, 0, 0);
        Tensor x = TestTensors.tensor(backend(), 1, 1, 4, 6), q = TestTensors.tensor(backend(), 1, 1, 2, 6);
        assertThrows(
                IllegalArgumentException.class,
                () -> backend()
                        .attention(
                                q, x, x, 4, null, 2, 4, 1, dropout, TestTensors.tensor(backend(), 1, 1, 2, 6), null));
    }
}
