package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.abs;
import static megalodon4j.tensor.Trial.TOLERANCE;

import java.util.Arrays;

/** The look-up and the loss. */
interface TokensContract extends Contract {
    int[] VOCABULARIES = {1, 7, 256, 1000};

    @Seeds(40)
    default void embedding(int seed) {
        try (var t = trial(seed)) {
            int count = t.size("tokens", 0, 1, 5, 64, 300), vocabulary = t.size("vocabulary", VOCABULARIES);
            int columns = t.size("columns", WIDTHS);
            var ids = t.integers(count, vocabulary);
            var table = t.normal(vocabulary * columns);
            float scale = t.flag("scaled") ? 19.6f : 1;
            var y = t.result(count, columns);
            t.backend.embedding(ids, t.input(table, vocabulary, columns), scale, y);
            var want = ReferenceTokens.embedding(columns, ids, table, scale);
            t.expect("embedding", want, y, 1e-7, abs(want));
        }
    }

    @Seeds(64)
    default void embeddingGrad(int seed) {
        try (var t = trial(seed)) {
            int count = t.size("tokens", 0, 1, 5, 64, 300, 2000), vocabulary = t.size("vocabulary", VOCABULARIES);
            int columns = t.size("columns", WIDTHS);
            var ids = t.integers(count, vocabulary);
            int padding = t.flag("padding") ? 0 : -1;
            float scale = t.flag("scaled") ? 19.6f : 1;
            var dy = t.normal(count * columns);
            var dtable = t.gradient(vocabulary, columns);
            t.backend.embeddingGrad(t.input(dy, count, columns), ids, padding, scale, dtable.tensor);
            dtable.expect(
                    "embeddingGrad",
                    ReferenceTokens.embeddingGrad(vocabulary, columns, dy, ids, padding, scale),
                    1e-6,
                    ReferenceTokens.embeddingGrad(vocabulary, columns, abs(dy), ids, padding, scale));
        }
    }

    @Seeds(96)
    default void crossEntropy(int seed) {
        try (var t = trial(seed)) {
            boolean wanted = t.flag("gradient"), inPlace = t.flag("in place") && wanted, ignoring = t.flag("ignoring");
            int rows = t.size("rows", 0, 1, 3, 13, 64, 300), vocabulary = t.size("vocabulary", VOCABULARIES);
            var logits = t.normal(rows * vocabulary);
            if (t.flag("large")) {
                logits = Arrays.stream(logits)
                        .map(x -> x < -0.5 ? -80 : x > 0.5 ? 80 : x)
                        .toArray();
            }
            var labels = t.integers(rows, vocabulary);
            for (int r = 0; r < rows && ignoring; r += 1 + r % 3) {
                labels[r] = Backend.IGNORE_INDEX;
            }
            float scale = (t.size("targets", 1, 512) == 1 ? 1 : 1 / 512f) * (t.flag("negative") ? -1 : 1);
            var x = inPlace ? t.working(logits, rows, vocabulary) : t.input(logits, rows, vocabulary);
            var losses = t.result(rows);
            var dlogits = inPlace ? x : wanted ? t.result(rows, vocabulary) : null;
            t.backend.crossEntropy(x, labels, scale, losses, dlogits);
            var want = ReferenceTokens.crossEntropy(vocabulary, logits, labels, scale);
            // A loss is the difference of these two.
            var terms = new double[rows];
            for (int r = 0; r < rows; r++) {
                terms[r] = labels[r] == Backend.IGNORE_INDEX
                        ? 0
                        : 1 + Math.abs(want.logSum()[r]) + Math.abs(logits[r * vocabulary + labels[r]]);
            }
            t.expect("crossEntropy losses", want.losses(), losses, 1e-6, terms);
            if (wanted) {
                var size = abs(want.dlogits());
                for (int r = 0; r < rows; r++) {
                    if (labels[r] != Backend.IGNORE_INDEX) {
                        size[r * vocabulary + labels[r]] = Math.abs(scale);
                    }
                }
                // A weight is relative to itself, unless it is next to nothing; the label's is a difference from 1.
                for (int i = 0; i < size.length; i++) {
                    size[i] += labels[i / vocabulary] == Backend.IGNORE_INDEX ? 0 : 1e-9 * Math.abs(scale);
                }
                t.expect("crossEntropy dlogits", want.dlogits(), dlogits, TOLERANCE, size);
            }
        }
    }
}
