package megalodon4j.bench;

import megalodon4j.models.EmaChoice;
import megalodon4j.models.InitMode;
import megalodon4j.models.LlamaConfig;
import megalodon4j.models.MegalodonConfig;
import megalodon4j.models.ModelConfig;

/** The models by name, and how much they compute. */
final class Models {
    private Models() {}

    static ModelConfig config(String name) {
        return switch (name) {
            case "llama" -> LlamaConfig.enwik8();
            case "megalodon" -> MegalodonConfig.enwik8();
            case "tiny-llama" -> new LlamaConfig(32, 16, 1, 2, 8, true, 2.0);
            case "tiny-megalodon" ->
                new MegalodonConfig(
                        32,
                        16,
                        1,
                        2,
                        8,
                        16,
                        32,
                        4,
                        8,
                        4,
                        0,
                        0,
                        0,
                        true,
                        false,
                        false,
                        true,
                        null,
                        InitMode.BERT,
                        false,
                        0,
                        EmaChoice.AUTO);
            default -> throw new IllegalArgumentException("model must be llama or megalodon, got " + name);
        };
    }

    /** How many numbers it learns: what generating one token reads. */
    static long parameters(String name) {
        return config(name).outline().parameters().count();
    }

    /**
     * Multiply-adds of one token's forward and backward pass in matrix products and attention (which is most of them),
     * in sequences of {@code length}. Of pairs of tokens only those count that see each other.
     */
    static double multiplyAdds(ModelConfig config, int length) {
        double forward = switch (config) {
            case LlamaConfig c -> {
                double inner = c.heads() * c.dimHead(), d = c.dim();
                double layer = 4 * inner * d + 3 * d * c.hiddenDim() + 2 * inner * seen(length, length);
                yield c.depth() * layer + d * c.numTokens();
            }
            case MegalodonConfig c -> {
                double d = c.modelDim(), z = c.zDim(), e = c.valueDim();
                double projections = d * z + 2 * d * e + d * d + e * d;
                double hidden = (c.swiglu() ? 3 : 2) * d * c.ffnHiddenDim();
                double layer = projections + hidden + (z + e) * seen(length, c.chunkSize());
                yield c.numLayers() * layer + d * (c.outputSize() == 0 ? c.numTokens() : c.outputSize());
            }
        };
        return 3 * forward;
    }

    // Tokens that a token sees on average, itself included.
    private static double seen(int length, int chunk) {
        double pairs = 0;
        for (int i = 0; i < length; i++) {
            pairs += i % chunk + 1;
        }
        return pairs / length;
    }
}
