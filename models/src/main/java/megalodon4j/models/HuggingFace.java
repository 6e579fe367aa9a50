package megalodon4j.models;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import megalodon4j.models.Weights.Layout;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors.DType;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A Megalodon as a folder of the Hugging Face kind, {@code config.json} and {@code model.safetensors}, which the Python
 * package megalodon-hf opens with {@code MegalodonForCausalLM.from_pretrained(folder)}.
 *
 * <p>The keys of {@code config.json} are those of {@link MegalodonConfig} in snake case, but {@code vocab_size} for the
 * vocabulary and {@code output_size} -1 for a tied head. {@code model_type} must be {@code megalodon}; a key that is
 * absent has Python's default. How the EMA is evaluated ({@link EmaChoice}) is not in it. {@code norm_eps} is 1e-5 and
 * {@code pad_token_id} 0 here, and other values are refused.
 */
public final class HuggingFace {
    public static final String CONFIG = "config.json";
    public static final String WEIGHTS = "model.safetensors";

    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    /** Keys that change nothing here: Python's own, and limits that this implementation does not have. */
    private static final Set<String> WITHOUT_EFFECT = Set.of(
            "architectures",
            "torch_dtype",
            "dtype",
            "transformers_version",
            "is_decoder",
            "use_cache",
            "num_attention_heads",
            "tie_word_embeddings",
            "share_emb",
            "max_positions",
            "bos_token_id",
            "eos_token_id");

    private HuggingFace() {}

    /**
     * What a file says.
     *
     * @param ignored keys that are not known here, in the file's order
     */
    public record Read(MegalodonConfig config, List<String> ignored) {}

    // --- folders ----------------------------------------------------------------------------------------------------

    /** Writes a model's config and its weights as F32, into a folder that is made if need be. */
    public static void save(Megalodon model, Path folder) throws IOException {
        Files.createDirectories(folder);
        writeConfig(model.config(), folder.resolve(CONFIG));
        Weights.save(model, folder.resolve(WEIGHTS), Layout.HF, DType.F32);
    }

    /**
     * The model of a folder.
     *
     * @throws IOException as {@link #readConfig} and {@link Weights#load}
     */
    public static Megalodon load(Path folder, Backend backend) throws IOException {
        var model = readConfig(folder.resolve(CONFIG)).config().create(backend, 0);
        Weights.load(model, folder.resolve(WEIGHTS));
        return model;
    }

    // --- config.json ------------------------------------------------------------------------------------------------

    /** Writes {@code config.json}. */
    public static void writeConfig(MegalodonConfig c, Path file) throws IOException {
        var json = JSON.createObjectNode();
        json.putArray("architectures").add("MegalodonForCausalLM");
        json.put("model_type", "megalodon").put("torch_dtype", "float32");
        json.put("vocab_size", c.numTokens());
        json.put("model_dim", c.modelDim());
        json.put("num_layers", c.numLayers());
        json.put("num_heads", c.numHeads());
        json.put("z_dim", c.zDim());
        json.put("value_dim", c.valueDim());
        json.put("ffn_hidden_dim", c.ffnHiddenDim());
        json.put("cema_ndim", c.cemaNdim());
        json.put("chunk_size", c.chunkSize());
        json.put("norm_num_groups", c.normNumGroups());
        json.put("dropout", c.dropout());
        json.put("attention_dropout", c.attentionDropout());
        json.put("hidden_dropout", c.hiddenDropout());
        json.put("swiglu", c.swiglu());
        json.put("rescale_nffn", c.rescaleNffn());
        json.put("scale_emb", c.scaleEmb());
        json.put("norm_affine", c.normAffine());
        json.put("norm_eps", 1e-5);
        json.put("rope_base", c.ropeBase());
        json.put("init_mode", word(c.initMode()));
        json.put("gradient_checkpointing", c.gradientCheckpointing());
        json.put("output_size", c.outputSize() == 0 ? -1 : c.outputSize());
        json.put("tie_word_embeddings", c.tied());
        json.put("pad_token_id", 0);
        json.putNull("bos_token_id"); // bytes have none; Python's defaults, 1 and 2, are bytes too
        json.putNull("eos_token_id");
        Files.writeString(file, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
    }

    /**
     * Reads {@code config.json}.
     *
     * @throws IOException if the file cannot be read or is not JSON, or a value is not allowed: the message names the
     *     key, what was found and what is allowed
     */
    public static Read readConfig(Path file) throws IOException {
        var keys = new Keys(file, parse(file));
        var type = keys.text("model_type", "missing");
        if (!type.equals("megalodon")) {
            throw keys.wrong("model_type", type, "megalodon");
        }
        keys.requireFixed("norm_eps", keys.real("norm_eps", 1e-5), 1e-5);
        keys.requireFixed("pad_token_id", keys.integer("pad_token_id", 0), 0);
        if (keys.find("efficient_attn") != null) {
            throw keys.wrong("efficient_attn", keys.find("efficient_attn"), "null");
        }
        try {
            return new Read(config(keys), keys.unknown());
        } catch (IllegalArgumentException e) {
            throw new IOException(file + ": " + e.getMessage().replace("num_tokens", "vocab_size"), e);
        }
    }

    private static JsonNode parse(Path file) throws IOException {
        JsonNode json;
        try {
            json = JSON.readTree(Files.readAllBytes(file));
        } catch (JacksonException e) {
            var what = e.getOriginalMessage().replaceAll("\\s*\\R\\s*", " ");
            throw new IOException(file + ": not valid JSON: " + what, e);
        }
        if (!json.isObject()) {
            throw new IOException(file + ": a JSON object is expected");
        }
        return json;
    }

    /** What is absent is as in {@link MegalodonConfig#base}, whose values are Python's defaults. */
    private static MegalodonConfig config(Keys keys) throws IOException {
        var base = MegalodonConfig.base();
        return new MegalodonConfig(
                keys.integer("vocab_size", base.numTokens()),
                keys.integer("model_dim", base.modelDim()),
                keys.integer("num_layers", base.numLayers()),
                keys.integer("num_heads", base.numHeads()),
                keys.integer("z_dim", base.zDim()),
                keys.integer("value_dim", base.valueDim()),
                keys.integer("ffn_hidden_dim", base.ffnHiddenDim()),
                keys.integer("cema_ndim", base.cemaNdim()),
                keys.integer("chunk_size", base.chunkSize()),
                keys.integer("norm_num_groups", base.normNumGroups()),
                keys.real("dropout", base.dropout()),
                keys.real("attention_dropout", base.attentionDropout()),
                keys.real("hidden_dropout", base.hiddenDropout()),
                keys.flag("swiglu", base.swiglu()),
                keys.flag("rescale_nffn", base.rescaleNffn()),
                keys.flag("scale_emb", base.scaleEmb()),
                keys.flag("norm_affine", base.normAffine()),
                keys.real("rope_base", base.ropeBase()),
                initMode(keys, base.initMode()),
                keys.flag("gradient_checkpointing", base.gradientCheckpointing()),
                outputSize(keys),
                base.cema());
    }

    private static InitMode initMode(Keys keys, InitMode byDefault) throws IOException {
        var word = keys.text("init_mode", word(byDefault));
        for (var mode : InitMode.values()) {
            if (word(mode).equals(word)) {
                return mode;
            }
        }
        var words = Stream.of(InitMode.values()).map(HuggingFace::word);
        throw keys.wrong("init_mode", word, words.collect(Collectors.joining(", ")));
    }

    private static String word(InitMode mode) {
        return mode.name().toLowerCase(Locale.ROOT);
    }

    private static int outputSize(Keys keys) throws IOException {
        int size = keys.integer("output_size", -1);
        if (size < -1 || size == 0) {
            throw keys.wrong("output_size", size, "-1 for vocab_size, or at least 1");
        }
        return Math.max(0, size);
    }

    /** A file's keys; null counts as absent. */
    private static final class Keys {
        private final Path file;
        private final JsonNode json;
        private final Set<String> asked = new HashSet<>();

        Keys(Path file, JsonNode json) {
            this.file = file;
            this.json = json;
        }

        JsonNode find(String key) {
            asked.add(key);
            var node = json.get(key);
            return node == null || node.isNull() ? null : node;
        }

        String text(String key, String byDefault) throws IOException {
            var node = find(key);
            if (node != null && !node.isString()) {
                throw wrong(key, node, "text");
            }
            return node == null ? byDefault : node.stringValue();
        }

        int integer(String key, int byDefault) throws IOException {
            var node = find(key);
            if (node != null && !(node.isIntegralNumber() && node.canConvertToInt())) {
                throw wrong(key, node, "a whole number up to " + Integer.MAX_VALUE);
            }
            return node == null ? byDefault : node.intValue();
        }

        Double real(String key, Double byDefault) throws IOException {
            var node = find(key);
            if (node != null && !node.isNumber()) {
                throw wrong(key, node, "a number");
            }
            return node == null ? byDefault : Double.valueOf(node.doubleValue());
        }

        boolean flag(String key, boolean byDefault) throws IOException {
            var node = find(key);
            if (node != null && !node.isBoolean()) {
                throw wrong(key, node, "true or false");
            }
            return node == null ? byDefault : node.booleanValue();
        }

        void requireFixed(String key, double value, double fixed) throws IOException {
            if (value != fixed) {
                throw wrong(key, find(key), String.valueOf(fixed).replaceAll("\\.0$", ""));
            }
        }

        List<String> unknown() {
            return json.propertyNames().stream()
                    .filter(key -> !asked.contains(key) && !WITHOUT_EFFECT.contains(key))
                    .toList();
        }

        IOException wrong(String key, Object found, String allowed) {
            var shown = String.valueOf(found).replaceAll("\\s+", " ");
            return new IOException(file + ": " + key + ": "
                    + (shown.length() <= 60 ? shown : shown.substring(0, 60) + "…") + "; allowed: " + allowed);
        }
    }
}
