package megalodon4j.train;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import megalodon4j.models.CacheOptions;
import megalodon4j.models.EmaChoice;
import megalodon4j.models.InitMode;
import megalodon4j.models.LlamaConfig;
import megalodon4j.models.MegalodonConfig;
import megalodon4j.models.ModelConfig;
import megalodon4j.models.Sampling;
import megalodon4j.tensor.Shape;
import megalodon4j.train.Key.Owner;
import org.yaml.snakeyaml.DumperOptions;
import org.yaml.snakeyaml.Yaml;

/**
 * A run as a config describes it, checked: what exists is possible.
 *
 * @param dataPath a file or {@code builtin:jdk-src}; {@code null} where the config names none
 * @param seqLen L, the tokens of a training sequence
 * @param values every key of this model with its value, in the order of {@link Key#ALL}
 * @param notes what the user should know about keys without effect, one line each, with the file that has them
 */
record RunConfig(
        ModelConfig model,
        Path runDir,
        String dataPath,
        int seqLen,
        long seed,
        boolean sequential,
        String precision,
        Training training,
        Validation validation,
        int saveEvery,
        Generation generation,
        Map<String, Object> values,
        List<String> notes) {

    /**
     * The optimisation.
     *
     * @param sequences of one step, over all micro-batches
     * @param microBatch how many of them are computed at once; divides sequences
     * @param maxNorm of the gradient; infinite without clipping
     */
    record Training(
            int steps, int sequences, int microBatch, double learningRate, double weightDecay, double maxNorm) {}

    /** Every so many steps (0: never), on so many windows. */
    record Validation(int every, int windows) {}

    /** Samples every so many steps (0: never); topK 0 and topP 1 are off. */
    record Generation(
            int every,
            int promptLength,
            int length,
            double temperature,
            double minP,
            int topK,
            double topP,
            CacheOptions cache) {
        Sampling sampling() {
            return new Sampling((float) temperature, (float) minP, topK, (float) topP);
        }
    }

    /** Tokens that are computed at once under {@code micro_batch: auto}. */
    static final int AUTO_MICRO_TOKENS = 2048;

    private static final Pattern HALF = Pattern.compile("(?i)(torch\\.|jnp\\.|np\\.)?(float16|fp16|f16|half)");

    /** @throws Failure if anything in it is not allowed */
    static RunConfig of(ConfigSource source) {
        refuseHalf(source);
        var owner = source.of(Key.of("model").orElseThrow()) == null
                ? missingModel(source)
                : Owner.valueOf(((String) read(source, Key.of("model").orElseThrow())).toUpperCase(Locale.ROOT));
        var values = new LinkedHashMap<String, Object>();
        Key.of(owner).forEach(key -> values.put(key.name(), read(source, key)));
        if (owner == Owner.MEGALODON) {
            values.putIfAbsent("chunk_size", values.get("seq_len"));
        }
        return of(source, new Values(values), notes(source, owner));
    }

    private static RunConfig of(ConfigSource source, Values values, List<String> notes) {
        var model = model(source, values);
        int seqLen = values.integer("seq_len");
        requireChunks(source.file() + ": seq_len", seqLen, model);
        return new RunConfig(
                model,
                Path.of(values.text("run_dir")),
                values.text("data_path"),
                seqLen,
                values.whole("seed"),
                values.text("sampler").equals("sequential"),
                values.text("precision"),
                training(source, values, seqLen, model),
                new Validation(
                        values.integer("validate_every"), sequences(source, values, "val_batches", "batch_size")),
                values.integer("save_every"),
                generation(source, values, model),
                Collections.unmodifiableMap(values.map()),
                notes);
    }

    private static Owner missingModel(ConfigSource source) {
        throw Failure.usage(
                "%s: model: missing; allowed: %s",
                source.file(), Key.of("model").orElseThrow().kind().allowed());
    }

    private static Object read(ConfigSource source, Key key) {
        var said = source.of(key);
        if (said == null) {
            return key.byDefault();
        }
        try {
            return key.kind().read(said.value());
        } catch (Kind.Wrong e) {
            var name = said.where().startsWith("--") && !said.where().equals("--set") ? "" : key.name() + ": ";
            throw Failure.usage(
                    "%s: %s%s; allowed: %s",
                    said.where(), name, e.getMessage(), key.kind().allowed());
        }
    }

    private static void refuseHalf(ConfigSource source) {
        for (var key : Key.ALL) {
            var said = source.of(key);
            boolean type = key.name().endsWith("dtype") || key.name().equals("precision");
            if (type
                    && said != null
                    && HALF.matcher(String.valueOf(said.value())).matches()) {
                throw Failure.usage(
                        "%s: %s: \"%s\" is refused because the EMA and the FFT overflow in 16-bit floats; "
                                + "allowed for precision: %s",
                        said.where(),
                        key.name(),
                        said.value(),
                        Key.of("precision").orElseThrow().kind().allowed());
            }
        }
    }

    private static List<String> notes(ConfigSource source, Owner model) {
        var notes = new ArrayList<String>();
        var other = model == Owner.LLAMA ? Owner.MEGALODON : Owner.LLAMA;
        var nobodys = Stream.concat(said(source, Owner.NOBODY), source.ignored().stream())
                .collect(Collectors.joining(", "));
        if (!nobodys.isEmpty()) {
            notes.add(source.file() + ": without effect here: " + nobodys);
        }
        var others = said(source, other).collect(Collectors.joining(", "));
        if (!others.isEmpty()) {
            notes.add(source.file() + ": ignored, keys of model " + other.name().toLowerCase(Locale.ROOT) + ": "
                    + others);
        }
        return List.copyOf(notes);
    }

    /** Keys of an owner that the source names. */
    private static Stream<String> said(ConfigSource source, Owner owner) {
        return Key.ALL.stream()
                .filter(key -> key.owner() == owner && source.of(key) != null)
                .map(Key::name);
    }

    private static ModelConfig model(ConfigSource source, Values v) {
        try {
            return v.text("model").equals("llama") ? llama(v) : megalodon(v);
        } catch (IllegalArgumentException e) {
            throw Failure.usage("%s: %s", source.file(), e.getMessage()).causedBy(e);
        }
    }

    private static LlamaConfig llama(Values v) {
        return new LlamaConfig(
                v.integer("num_tokens"),
                v.integer("dim"),
                v.integer("depth"),
                v.integer("heads"),
                v.integer("dim_head"),
                v.flag("tied_embedding"),
                v.real("ffn_dim_multiplier"));
    }

    private static MegalodonConfig megalodon(Values v) {
        return new MegalodonConfig(
                v.integer("num_tokens"),
                v.integer("model_dim"),
                v.integer("num_layers"),
                v.integer("num_heads"),
                v.integer("z_dim"),
                v.integer("value_dim"),
                v.integer("ffn_hidden_dim"),
                v.integer("cema_ndim"),
                v.integer("chunk_size"),
                v.integer("norm_num_groups"),
                v.real("dropout"),
                v.real("attention_dropout"),
                v.real("hidden_dropout"),
                v.flag("swiglu"),
                v.flag("rescale_nffn"),
                v.flag("scale_emb"),
                v.flag("norm_affine"),
                v.real("rope_base"),
                InitMode.valueOf(v.text("init_mode").toUpperCase(Locale.ROOT)),
                v.flag("gradient_checkpointing"),
                Math.max(0, v.integer("output_size")),
                EmaChoice.valueOf(v.text("cema").toUpperCase(Locale.ROOT)));
    }

    /** Refuses sequences that a Megalodon cannot cut into chunks. */
    static void requireChunks(String where, int seqLen, ModelConfig model) {
        if (model instanceof MegalodonConfig m && seqLen > m.chunkSize() && seqLen % m.chunkSize() != 0) {
            throw Failure.usage(
                    "%s: %d; allowed for a Megalodon with chunk_size %d: up to it, or a multiple of it",
                    where, seqLen, m.chunkSize());
        }
    }

    /** Refuses more tokens at once than there can be activations. */
    static void requireFits(String where, long tokens, ModelConfig model) {
        int most = Shape.MOST_ELEMENTS / model.widest();
        if (tokens > most) {
            throw Failure.usage(
                    "%s: %d tokens at once; allowed for a model that is %d features wide: up to %d",
                    where, tokens, model.widest(), most);
        }
    }

    private static Training training(ConfigSource source, Values v, int seqLen, ModelConfig model) {
        int sequences = sequences(source, v, "batch_size", "grad_accum_every");
        if ((long) sequences * seqLen > Integer.MAX_VALUE) {
            throw Failure.usage(
                    "%s: batch_size · grad_accum_every · seq_len: %d tokens a step; allowed: up to %d",
                    source.file(), (long) sequences * seqLen, Integer.MAX_VALUE);
        }
        int micro = autoMicroBatch(sequences, seqLen);
        if (v.map().get("micro_batch") instanceof Long given) {
            if (sequences % given != 0) {
                throw Failure.usage(
                        "%s: micro_batch: %d; allowed: auto or a divisor of "
                                + "batch_size · grad_accum_every, which is %d (%s)",
                        source.of(Key.of("micro_batch").orElseThrow()).where(), given, sequences, divisors(sequences));
            }
            micro = given.intValue();
        }
        requireFits(source.file() + ": seq_len · micro_batch", (long) seqLen * micro, model);
        var clip = v.real("grad_clip_norm");
        return new Training(
                v.integer("num_batches"),
                sequences,
                micro,
                v.real("learning_rate"),
                v.real("weight_decay"),
                clip == null || clip == 0 ? Double.POSITIVE_INFINITY : clip);
    }

    private static int sequences(ConfigSource source, Values v, String a, String b) {
        long product = v.whole(a) * v.whole(b);
        if (product > Integer.MAX_VALUE) {
            throw Failure.usage("%s: %s · %s: %d; allowed: up to %d", source.file(), a, b, product, Integer.MAX_VALUE);
        }
        return (int) product;
    }

    /**
     * The most sequences, among the divisors of {@code sequences}, whose tokens are at most {@link #AUTO_MICRO_TOKENS};
     * at least 1.
     */
    static int autoMicroBatch(int sequences, int seqLen) {
        int most = Math.clamp(AUTO_MICRO_TOKENS / seqLen, 1, sequences);
        while (sequences % most != 0) {
            most--;
        }
        return most;
    }

    private static String divisors(int n) {
        return IntStream.rangeClosed(1, n)
                .filter(i -> n % i == 0)
                .limit(20)
                .mapToObj(Integer::toString)
                .collect(Collectors.joining(", "));
    }

    private static Generation generation(ConfigSource source, Values v, ModelConfig model) {
        return new Generation(
                v.integer("generate_every"),
                v.integer("generate_prompt_len"),
                v.integer("generate_length"),
                v.real("temperature"),
                v.real("min_p"),
                v.map().get("top_k") == null ? 0 : v.integer("top_k"),
                v.map().get("top_p") == null ? 1 : v.real("top_p"),
                cache(source, v, model));
    }

    private static CacheOptions cache(ConfigSource source, Values v, ModelConfig model) {
        try {
            int keys = v.map().get("max_cache_len") == null ? 0 : v.integer("max_cache_len");
            var options = new CacheOptions(keys, v.flag("cache_unbounded"));
            model.check(options);
            return options;
        } catch (IllegalArgumentException e) {
            throw Failure.usage("%s: %s", source.file(), e.getMessage()).causedBy(e);
        }
    }

    /** The values under their names, as what they are. */
    private record Values(Map<String, Object> map) {
        String text(String key) {
            return (String) map.get(key);
        }

        long whole(String key) {
            return (Long) map.get(key);
        }

        int integer(String key) {
            return Math.toIntExact(whole(key));
        }

        Double real(String key) {
            return (Double) map.get(key);
        }

        boolean flag(String key) {
            return (Boolean) map.get(key);
        }
    }

    /** A config file that says the same, with every key. */
    String toYaml() {
        var text = new StringBuilder();
        values.forEach((key, value) ->
                text.append(key).append(": ").append(yaml(value)).append('\n'));
        return text.toString();
    }

    private static String yaml(Object value) {
        if (value instanceof Double number) {
            return Kind.plain(number);
        }
        if (value instanceof String text) {
            var options = new DumperOptions();
            options.setSplitLines(false);
            options.setAllowUnicode(true);
            return new Yaml(options).dump(text).strip();
        }
        return String.valueOf(value);
    }
}
