package megalodon4j.models;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Tensor;

/** Sequences that are fed side by side, in pieces. */
final class Streams {
    private Streams() {}

    /**
     * Feeds columns [from, from + Σ pieces) of ids.
     *
     * @param ids (B, L)
     * @return their logits (B, Σ pieces, V)
     */
    static float[] feed(LanguageModel model, Cache cache, int[] ids, int from, int... pieces) {
        return feed(model, cache, ids, null, from, pieces);
    }

    /** The same with a mask (B, L), or null. */
    static float[] feed(LanguageModel model, Cache cache, int[] ids, int[] mask, int from, int... pieces) {
        int batch = cache.batch(), vocabulary = model.config().numTokens(), at = 0;
        int total = Arrays.stream(pieces).sum();
        var logits = new float[batch * total * vocabulary];
        for (int piece : pieces) {
            for (int end = at + piece; at < end; ) {
                int block = cache.nextBlock(end - at);
                var tokens = columns(ids, batch, from + at, block);
                try (var tape = Tape.inference(model.backend())) {
                    var valid = mask == null ? null : mask(tape, batch, columns(mask, batch, from + at, block));
                    var part = model.head(model.hidden(tape, tokens, batch, valid, cache))
                            .value()
                            .toArray();
                    for (int b = 0; b < batch; b++) {
                        int to = (b * total + at) * vocabulary;
                        System.arraycopy(part, b * block * vocabulary, logits, to, block * vocabulary);
                    }
                }
                at += block;
            }
        }
        return logits;
    }

    private static Tensor mask(Tape tape, int batch, int[] valid) {
        var mask = new float[valid.length];
        for (int i = 0; i < mask.length; i++) {
            mask[i] = valid[i];
        }
        return tape.tensor(batch, valid.length / batch).set(mask);
    }

    static int[] columns(int[] ids, int batch, int from, int count) {
        int length = ids.length / batch;
        return IntStream.range(0, batch * count)
                .map(i -> ids[i / count * length + from + i % count])
                .toArray();
    }

    /** Random sizes that add up to the length. */
    static int[] pieces(Random random, int length) {
        var pieces = IntStream.builder();
        for (int at = 0, piece; at < length; at += piece) {
            piece = 1 + random.nextInt(random.nextBoolean() ? 3 : length);
            piece = Math.min(piece, length - at);
            pieces.add(piece);
        }
        return pieces.build().toArray();
    }

    /** Every parameter gets random elements, those included that start at 0. */
    static <M extends LanguageModel> M disturb(M model, Random random) {
        for (var p : model.parameters()) {
            var elements = p.value().toArray();
            for (int i = 0; i < elements.length; i++) {
                elements[i] += (float) (0.2 * random.nextGaussian());
            }
            p.value().set(elements);
        }
        return model;
    }
}
