package megalodon4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import megalodon4j.models.EmaChoice;
import megalodon4j.models.InitMode;
import megalodon4j.train.Kind.Anything;
import megalodon4j.train.Kind.Choice;
import megalodon4j.train.Kind.Flag;
import megalodon4j.train.Kind.Or;
import megalodon4j.train.Kind.Real;
import megalodon4j.train.Kind.Single;
import megalodon4j.train.Kind.Text;
import megalodon4j.train.Kind.Whole;

/**
 * One key of a config: its name, whose it is, its values, and its value where a file is silent ({@code null}: none, or
 * computed from others). {@link #ALL} is the whole language.
 */
record Key(String name, Owner owner, Kind kind, Object byDefault) {
    /** Who reads a key. */
    enum Owner {
        EVERY,
        LLAMA,
        MEGALODON,
        /** Nobody: other frameworks' keys, accepted so that their files run unchanged. */
        NOBODY
    }

    private static final Kind COUNT = new Whole(1, Integer.MAX_VALUE);
    private static final Kind COUNT_OR_OFF = new Whole(0, Integer.MAX_VALUE);
    private static final Kind SIZE = new Whole(1, 1 << 20);
    private static final Kind FLAG = new Flag();
    private static final Kind TEXT = new Text();
    private static final Kind POSITIVE = new Real(0, false, Double.MAX_VALUE, true);
    private static final Real NOT_NEGATIVE = new Real(0, true, Double.MAX_VALUE, true);
    private static final Kind FRACTION = new Real(0, true, 1, true);
    private static final Kind RATE = new Real(0, true, 1, false);

    static final List<Key> ALL = List.of(
            every("model", new Choice(List.of("llama", "megalodon")), null),
            every("run_dir", TEXT, "runs"),
            every("num_tokens", new Whole(2, 1 << 20), 256L),
            // Llama
            llama("dim", SIZE, 512L),
            llama("depth", SIZE, 16L),
            llama("heads", SIZE, 8L),
            llama("dim_head", SIZE, 64L),
            llama("tied_embedding", FLAG, true),
            llama("ffn_dim_multiplier", POSITIVE, null),
            // Megalodon
            megalodon("model_dim", SIZE, 384L),
            megalodon("num_layers", SIZE, 6L),
            megalodon("num_heads", SIZE, 3L),
            megalodon("z_dim", SIZE, 192L),
            megalodon("value_dim", SIZE, 384L),
            megalodon("ffn_hidden_dim", SIZE, 1024L),
            megalodon("cema_ndim", SIZE, 8L),
            megalodon("chunk_size", COUNT, null),
            megalodon("norm_num_groups", SIZE, 32L),
            megalodon("norm_affine", FLAG, true),
            megalodon("swiglu", FLAG, true),
            megalodon("rescale_nffn", FLAG, false),
            megalodon("scale_emb", FLAG, false),
            megalodon("output_size", new Whole(-1, 1 << 20), 0L),
            megalodon("init_mode", words(InitMode.values()), "bert"),
            megalodon("rope_base", POSITIVE, null),
            megalodon("attention_dropout", RATE, 0.0),
            megalodon("hidden_dropout", RATE, 0.0),
            megalodon("dropout", RATE, 0.0),
            megalodon("gradient_checkpointing", FLAG, false),
            megalodon("cema", words(EmaChoice.values()), "auto"),
            // training
            every("num_batches", COUNT_OR_OFF, 1200L),
            every("batch_size", COUNT, 1L),
            every("grad_accum_every", COUNT, 1L),
            every("micro_batch", new Or("auto", COUNT), "auto"),
            every("learning_rate", new Single(NOT_NEGATIVE), 1e-3),
            every("weight_decay", new Single(NOT_NEGATIVE), 0.0),
            every("grad_clip_norm", NOT_NEGATIVE, null),
            every("precision", new Choice(List.of("auto", "fp32", "tf32", "bf16")), "auto"),
            // data
            every("data_path", TEXT, null),
            every("seq_len", new Whole(1, 1 << 24), 512L),
            every("sampler", new Choice(List.of("random", "sequential")), "random"),
            // validation, checkpoints, samples
            every("validate_every", COUNT_OR_OFF, 100L),
            every("val_batches", COUNT, 50L),
            every("save_every", COUNT_OR_OFF, 1000L),
            every("generate_every", COUNT_OR_OFF, 500L),
            every("generate_prompt_len", COUNT, 128L),
            every("generate_length", COUNT, 128L),
            every("temperature", new Single(NOT_NEGATIVE), 1.0),
            every("min_p", FRACTION, 0.1),
            every("top_k", COUNT, null),
            every("top_p", new Single(new Real(0, false, 1, true)), null),
            every("max_cache_len", COUNT, null),
            every("cache_unbounded", FLAG, false),
            every("seed", new Whole(Long.MIN_VALUE, Long.MAX_VALUE), 7L),
            // without effect
            nobody("compile"),
            nobody("jit"),
            nobody("use_autocast"),
            nobody("flash_attn"),
            nobody("dtype"),
            nobody("param_dtype"),
            nobody("compute_dtype"),
            nobody("accum_dtype"),
            nobody("softmax_dtype"),
            nobody("gemm_backend"),
            nobody("share_emb"));

    /** {alias, name}. */
    private static final String[] ALIAS = {"use_checkpoint", "gradient_checkpointing"};

    private static Key every(String name, Kind kind, Object byDefault) {
        return new Key(name, Owner.EVERY, kind, byDefault);
    }

    private static Key llama(String name, Kind kind, Object byDefault) {
        return new Key(name, Owner.LLAMA, kind, byDefault);
    }

    private static Key megalodon(String name, Kind kind, Object byDefault) {
        return new Key(name, Owner.MEGALODON, kind, byDefault);
    }

    private static Kind words(Enum<?>... values) {
        return new Choice(Stream.of(values)
                .map(value -> value.name().toLowerCase(Locale.ROOT))
                .toList());
    }

    private static Key nobody(String name) {
        return new Key(name, Owner.NOBODY, new Anything(), null);
    }

    /** The key of that name or alias. */
    static Optional<Key> of(String name) {
        var canonical = name.equals(ALIAS[0]) ? ALIAS[1] : name;
        return ALL.stream().filter(key -> key.name.equals(canonical)).findFirst();
    }

    /** The other name of the key that has two. */
    static String otherName(String name) {
        return name.equals(ALIAS[0]) ? ALIAS[1] : ALIAS[0];
    }

    /** The known name that takes the fewest edits to reach. */
    static String nearest(String name) {
        var known = new ArrayList<>(ALL.stream().map(Key::name).toList());
        known.add(ALIAS[0]);
        return known.stream().min(Comparator.comparingInt(k -> edits(name, k))).orElseThrow();
    }

    /** Insertions, deletions and replacements that lead from a to b (Levenshtein). */
    static int edits(String a, String b) {
        var row = new int[b.length() + 1];
        Arrays.setAll(row, j -> j);
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replace = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replace, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[b.length()];
    }

    /** The keys that a model's resolved config lists, in order. */
    static Stream<Key> of(Owner model) {
        return ALL.stream().filter(key -> key.owner == Owner.EVERY || key.owner == model);
    }
}
