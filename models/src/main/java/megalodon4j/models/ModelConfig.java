package megalodon4j.models;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.ShapesOnly;

/** The sizes and choices that define a model. Constructing one validates it. */
public sealed interface ModelConfig permits LlamaConfig, MegalodonConfig {
    /** Those of the {@link #settings} that concern training alone: weights and caches mean the same whatever they are. */
    Set<String> TRAINING_ONLY =
            Set.of("dropout", "attention_dropout", "hidden_dropout", "init_mode", "gradient_checkpointing", "cema");

    /** {@code llama} or {@code megalodon}. */
    String kind();

    /** The size of the vocabulary; 256 for bytes. */
    int numTokens();

    /** How many logits there are for each token. */
    int outputs();

    /** How many tokens it can both read and predict: those below. */
    default int vocabulary() {
        return Math.min(numTokens(), outputs());
    }

    /** The most features that a token has anywhere in the model, logits included. */
    int widest();

    /** All of it under its names in YAML: numbers, flags, words in lower case, nulls. */
    default Map<String, Object> settings() {
        var settings = new LinkedHashMap<String, Object>();
        for (var component : getClass().getRecordComponents()) {
            var name = component.getName().replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
            try {
                var value = component.getAccessor().invoke(this);
                settings.put(name, value instanceof Enum<?> word ? word.name().toLowerCase(Locale.ROOT) : value);
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
        }
        return settings;
    }

    /** A new model of random weights; the same for the same seed on any device. */
    LanguageModel create(Backend backend, long seed);

    /** A model without values, for the names and shapes of its parameters; it takes no memory for them and can compute nothing. */
    default LanguageModel outline() {
        return create(new ShapesOnly(), 0);
    }

    /** @throws IllegalArgumentException if a cache of such a model cannot keep what the options ask for */
    void check(CacheOptions options);

    /** Fails with {@code "name: value …, must …"} unless {@code holds}. */
    static void require(boolean holds, String name, Object value, String rule) {
        if (!holds) {
            throw new IllegalArgumentException(name + ": " + value + " is not allowed, it must " + rule);
        }
    }

    static void requirePositive(String name, int value) {
        require(value >= 1, name, value, "be at least 1");
    }

    /** Fails unless a matrix whose size follows from {@code names} fits a tensor. */
    static void requireMatrix(String names, long rows, long columns) {
        require(
                rows <= Shape.MOST_ELEMENTS / columns,
                names,
                rows + " × " + columns,
                "be a matrix of at most 2^31 - 2^16 elements");
    }
}
