package megalodon4j.models;

import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Parameters;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;

/** A model that predicts the next token. Letters: B sequences, L tokens each, D model width, V vocabulary. */
public interface LanguageModel {
    ModelConfig config();

    Backend backend();

    Parameters parameters();

    /**
     * The last layer's normalised output, (B, L, D).
     *
     * @param ids B × L tokens, sequence after sequence
     * @param batch B
     * @param mask (B, L), 1 = valid token, 0 = padding; null if all are valid. Padding takes its position, as the rows share one, but leaves
     *     nothing that a valid token would see, in a later call with the same cache as little as in this one
     * @param cache what earlier tokens have left, which this call extends; null for sequences that start here. With a cache the tape must not
     *     record, and L be at most {@link Cache#nextBlock}
     * @param layerOutputs receives the embedding and then each layer's output before the last norm, (B, L, D) each; they live as long as the
     *     tape, and their values until {@link Tape#backward}. If it throws, a part of the cache has been extended, which is of no more use
     * @throws IllegalArgumentException if a token is outside the vocabulary, or cache, mask and ids do not go together
     * @throws IllegalStateException if the tape records and there is a cache, or the model drops out and the tape does not know by which random
     *     numbers ({@link Tape#training(Backend, long, long)})
     */
    Variable hidden(Tape tape, int[] ids, int batch, Tensor mask, Cache cache, Consumer<? super Variable> layerOutputs);

    /** {@link #hidden(Tape, int[], int, Tensor, Cache, Consumer)} without the layers' outputs. */
    default Variable hidden(Tape tape, int[] ids, int batch, Tensor mask, Cache cache) {
        return hidden(tape, ids, batch, mask, cache, _ -> {});
    }

    /** Logits (…, V) of hidden states (…, D). */
    Variable head(Variable hidden);

    /** The logits (B, L, V) of whole sequences. */
    default Variable logits(Tape tape, int[] ids, int batch) {
        return head(hidden(tape, ids, batch, null, null));
    }

    /**
     * The cross-entropies of whole sequences, whose {@link Tape#backward} is that of their mean over the targets.
     *
     * @param ids B × L tokens, sequence after sequence
     * @param labels for each of them the token that is expected after it, taken as given: nothing is shifted, masked positions are not left out;
     *     {@link Backend#IGNORE_INDEX} where there is no target
     * @param mask (B, L), 1 = valid token, 0 = padding; null if all are
     */
    default Loss loss(Tape tape, int[] ids, int[] labels, int batch, Tensor mask) {
        int targets = 0;
        for (int label : labels) {
            targets += label == Backend.IGNORE_INDEX ? 0 : 1;
        }
        var logits = head(hidden(tape, ids, batch, mask, null));
        return new Loss(Ops.crossEntropy(logits, labels, 1f / Math.max(1, targets)), targets);
    }

    /**
     * An empty cache for so many sequences that are fed side by side.
     *
     * @throws IllegalArgumentException if the model cannot keep what the options ask for
     */
    Cache newCache(int batch, CacheOptions options);

    /** An empty cache that makes streaming equal to the forward pass over whole sequences. */
    default Cache newCache(int batch) {
        return newCache(batch, CacheOptions.CHUNK_LOCAL);
    }

    /**
     * Reads what {@link Cache#save} has written.
     *
     * @throws IOException if the file cannot be read, is no cache, or is that of a model of another config
     */
    default Cache loadCache(Path file) throws IOException {
        return CacheFile.load(this, file);
    }

    /**
     * Continues a prompt, which may be empty; {@link Generator} hands the tokens out as they come, and takes several prompts.
     *
     * @throws IllegalArgumentException if a token of the prompt is outside the vocabulary, or the options are not for this model
     */
    default Generated generate(int[] prompt, GenerationOptions options) {
        return new Generator(this, options).generate(prompt, _ -> {});
    }

    /** A fresh stream of one sequence. */
    default Session session() {
        return session(CacheOptions.CHUNK_LOCAL);
    }

    /** A fresh stream of one sequence whose cache keeps what the options say. */
    default Session session(CacheOptions options) {
        return session(newCache(1, options));
    }

    /** A stream that goes on, and extends the cache, where a cache of one sequence has arrived. */
    default Session session(Cache cache) {
        return new Session(this, cache);
    }
}
