package megalodon4j.train;

import java.util.Arrays;
import java.util.function.IntUnaryOperator;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.models.LanguageModel;

/**
 * Stretches of a text on which a model is judged.
 *
 * @param length L: a window is L + 1 bytes, of which the last L are to be predicted
 * @param start of window i in the bytes
 */
record Windows(byte[] bytes, int length, int count, IntUnaryOperator start) {

    /**
     * N windows spread evenly over the validation split: number i begins at ⌊i · (n − L − 1) / (N − 1)⌋ of its n bytes.
     */
    static Windows validation(Corpus corpus, int length, int count) {
        long last = corpus.validationSize() - length - 1;
        return new Windows(
                corpus.bytes(),
                length,
                count,
                i -> corpus.trainSize() + (count == 1 ? 0 : (int) (i * last / (count - 1))));
    }

    /** Windows at stride L from byte 0 on; a tail shorter than L + 1 bytes is dropped. */
    static Windows consecutive(byte[] bytes, int length) {
        return new Windows(bytes, length, (bytes.length - 1) / length, i -> i * length);
    }

    long tokens() {
        return (long) count * length;
    }

    /** The mean loss of all tokens in nats, computed {@code atOnce} windows at a time. */
    double loss(LanguageModel model, int atOnce, Stop stop) {
        double sum = 0;
        for (int i = 0; i < count; i += atOnce) {
            stop.check();
            var batch = new Batch(Math.min(atOnce, count - i), length);
            for (int row = 0; row < batch.sequences(); row++) {
                batch.put(row, bytes, start.applyAsInt(i + row));
            }
            sum += sum(model, batch);
        }
        return sum / tokens();
    }

    private static double sum(LanguageModel model, Batch batch) {
        var backend = model.backend();
        try (var tape = Tape.inference(backend)) {
            var logits = model.logits(tape, batch.ids(), batch.sequences());
            return backend.sum(Ops.crossEntropy(logits, batch.labels(), 1).value());
        }
    }

    /** Sequences of L tokens, row by row, and the tokens that follow each. */
    record Batch(int sequences, int length, int[] ids, int[] labels) {
        Batch(int sequences, int length) {
            this(sequences, length, new int[sequences * length], new int[sequences * length]);
        }

        /** Row {@code row} becomes the L tokens from byte {@code start} on. */
        void put(int row, byte[] bytes, int start) {
            int at = row * length;
            for (int t = 0; t < length; t++) {
                ids[at + t] = bytes[start + t] & 0xFF;
                labels[at + t] = bytes[start + t + 1] & 0xFF;
            }
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Batch that && Arrays.equals(ids, that.ids) && Arrays.equals(labels, that.labels);
        }

        @Override
        public int hashCode() {
            return Arrays.hashCode(ids);
        }
    }
}
