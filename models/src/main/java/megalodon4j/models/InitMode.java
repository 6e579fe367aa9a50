package megalodon4j.models;

import megalodon4j.autograd.Initial;
import megalodon4j.tensor.Philox;

/** How Megalodon's linear weights and embedding start. */
public enum InitMode {
    /** N(0, √(2 / fan_in)). */
    HE,
    /** N(0, 0.02). */
    BERT,
    /** N(0, σ) cut off at 3σ, σ = 1/√dim for the embedding, 1 for linear weights. */
    GAUSSIAN,
    /** U(± √(6 / (fan_in + fan_out))). */
    XAVIER,
    /** What PyTorch does on its own: U(± 1/√fan_in) for linear weights, N(0, 1) for the embedding. */
    NONE;

    Initial linear(Philox random, int fanIn, int fanOut) {
        return switch (this) {
            case HE -> Initial.normal(random, Math.sqrt(2.0 / fanIn));
            case BERT -> Initial.normal(random, 0.02);
            case GAUSSIAN -> Initial.truncatedNormal(random, 1, 3);
            case XAVIER -> Initial.uniform(random, Math.sqrt(6.0 / (fanIn + fanOut)));
            case NONE -> Initial.uniform(random, 1 / Math.sqrt(fanIn));
        };
    }

    Initial embedding(Philox random, int tokens, int dim) {
        return switch (this) {
            case HE -> Initial.normal(random, Math.sqrt(2.0 / dim));
            case BERT -> Initial.normal(random, 0.02);
            case GAUSSIAN -> Initial.truncatedNormal(random, 1 / Math.sqrt(dim), 3 / Math.sqrt(dim));
            case XAVIER -> Initial.uniform(random, Math.sqrt(6.0 / (tokens + dim)));
            case NONE -> Initial.normal(random, 1);
        };
    }
}
