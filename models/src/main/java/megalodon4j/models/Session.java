package megalodon4j.models;

import java.util.Arrays;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Shape;

/** One sequence that a model reads and writes token by token, in pieces of any length. */
public final class Session {
    private final LanguageModel model;
    private final Cache cache;

    Session(LanguageModel model, Cache cache) {
        if (cache.batch() != 1) {
            throw new IllegalArgumentException(
                    "session: one sequence is read, the cache has " + cache.batch() + "; take a row with Cache.select");
        }
        this.model = model;
        this.cache = cache;
    }

    /** What is kept of the tokens fed so far: to be copied, trimmed or saved. */
    public Cache cache() {
        return cache;
    }

    LanguageModel model() {
        return model;
    }

    /** Tokens fed so far. */
    public long position() {
        return cache.position();
    }

    /**
     * Reads tokens.
     *
     * @return the logits (V) of the token that follows
     * @throws IllegalArgumentException if there are none, or one is outside the vocabulary; then none has been read
     */
    public float[] feed(int... tokens) {
        return feed(tokens, () -> {});
    }

    /**
     * {@link #feed(int...)} that can be ended early.
     *
     * @param check runs before each block that the model takes at once. If it throws, the blocks before have been read
     */
    float[] feed(int[] tokens, Runnable check) {
        if (tokens.length == 0) {
            throw new IllegalArgumentException("feed: at least one token is needed");
        }
        requireTokens("feed", tokens);
        for (int from = 0; ; ) {
            check.run();
            int to = from + cache.nextBlock(tokens.length - from);
            try (var tape = Tape.inference(model.backend())) {
                var hidden = model.hidden(tape, Arrays.copyOfRange(tokens, from, to), 1, null, cache);
                if (to == tokens.length) {
                    return model.head(last(tape, hidden)).value().toArray();
                }
            }
            from = to;
        }
    }

    // All of them, before the first block changes the cache.
    void requireTokens(String operation, int[] tokens) {
        int vocabulary = model.config().numTokens();
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i] < 0 || tokens[i] >= vocabulary) {
                throw new IllegalArgumentException(operation + ": token " + tokens[i] + " at position " + i
                        + " is outside the vocabulary of " + vocabulary);
            }
        }
    }

    private static Variable last(Tape tape, Variable hidden) {
        int length = hidden.shape().size(1), width = hidden.shape().columns();
        var rows = hidden.value().reshape(Shape.of(length, width));
        return tape.constant(rows.slice(length - 1, length));
    }

    /**
     * Reads tokens and compares what the model expected with what came.
     *
     * @param labels for each token the one that follows it, or {@link Backend#IGNORE_INDEX}
     * @return the sum of their cross-entropies in nats
     * @throws IllegalArgumentException if there are not as many labels as tokens, or one of either is outside the vocabulary; then none has been read
     */
    public double loss(int[] tokens, int[] labels) {
        if (labels.length != tokens.length) {
            throw new IllegalArgumentException(
                    "loss: " + tokens.length + " tokens need as many labels, got " + labels.length);
        }
        requireTokens("loss", tokens);
        requireLabels(labels);
        double sum = 0;
        for (int from = 0; from < tokens.length; ) {
            int to = from + cache.nextBlock(tokens.length - from);
            try (var tape = Tape.inference(model.backend())) {
                var hidden = model.hidden(tape, Arrays.copyOfRange(tokens, from, to), 1, null, cache);
                var losses = Ops.crossEntropy(model.head(hidden), Arrays.copyOfRange(labels, from, to), 1);
                sum += model.backend().sum(losses.value());
            }
            from = to;
        }
        return sum;
    }

    private void requireLabels(int[] labels) {
        int outputs = model.config().outputs();
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] != Backend.IGNORE_INDEX && (labels[i] < 0 || labels[i] >= outputs)) {
                throw new IllegalArgumentException("loss: label " + labels[i] + " at position " + i
                        + " is none of the model's " + outputs + " outputs, nor " + Backend.IGNORE_INDEX);
            }
        }
    }
}
