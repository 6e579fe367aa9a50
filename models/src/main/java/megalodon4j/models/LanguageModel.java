package megalodon4j.models;

import megalodon4j.autograd.Parameters;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;

/** A model that predicts the next token. */
public interface LanguageModel {
    ModelConfig config();

    Backend backend();

    Parameters parameters();

    /**
     * The last layer's normalised output, (batch, L, D).
     *
     * @param ids batch × L tokens, sequence after sequence
     * @param mask (batch, L), 1 = valid token, 0 = padding; null if all are
     * @param cache what earlier tokens have left, which this call extends; null for sequences that start here. With a cache the tape must not
     *     record, and L be at most {@link Cache#nextBlock}
     */
    Variable hidden(Tape tape, int[] ids, int batch, Tensor mask, Cache cache);

    /** Logits (…, V) of hidden states (…, D). */
    Variable head(Variable hidden);

    /** An empty cache for so many sequences that are fed side by side. */
    Cache newCache(int batch);

    /** The logits (batch, L, V) of whole sequences. */
    default Variable logits(Tape tape, int[] ids, int batch) {
        return head(hidden(tape, ids, batch, null, null));
    }

    /** A fresh stream of one sequence. */
    default Session session() {
        return new Session(this);
    }
}
