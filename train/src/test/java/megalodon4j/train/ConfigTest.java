package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import megalodon4j.models.CacheOptions;
import megalodon4j.models.LlamaConfig;
import megalodon4j.models.MegalodonConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConfigTest {
    @TempDir
    Path folder;

    @Test
    void defaultsOfLlama() throws IOException {
        var config = read("model: llama");
        assertEquals(new LlamaConfig(256, 512, 16, 8, 64, true, null), config.model());
        assertEquals(512, config.seqLen());
        assertEquals(7, config.seed());
        assertEquals(Path.of("runs"), config.runDir());
        assertEquals(new RunConfig.Training(1200, 1, 1, 1e-3, 0, Double.POSITIVE_INFINITY), config.training());
        assertEquals(new RunConfig.Validation(100, 50), config.validation());
        assertEquals(1000, config.saveEvery());
        assertEquals(
                new RunConfig.Generation(500, 128, 128, 1.0, 0.1, 0, 1, CacheOptions.CHUNK_LOCAL), config.generation());
        assertFalse(config.sequential());
    }

    @Test
    void defaultsOfMegalodonAreTheComparisonsModel() throws IOException {
        assertEquals(
                MegalodonConfig.enwik8(),
                read("model: megalodon\nchunk_size: 256").model());
        var chunks = (MegalodonConfig) read("model: megalodon\nseq_len: 96").model();
        assertEquals(96, chunks.chunkSize());
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama_512", "megalodon_multichunk_512", "test", "quickstart"})
    void shippedConfigsAreValid(String name) {
        var config = RunConfig.of(
                ConfigSource.read(Path.of("..", "configs", name + ".yaml").toAbsolutePath()));
        switch (name) {
            case "llama_512" -> assertEquals(LlamaConfig.enwik8(), config.model());
            case "megalodon_multichunk_512" -> assertEquals(MegalodonConfig.enwik8(), config.model());
            default -> assertEquals(BuiltinText.NAME, config.dataPath());
        }
    }

    @Test
    void resolvedConfigSaysTheSameAgain() throws IOException {
        for (var model : List.of(Tiny.LLAMA, Tiny.MEGALODON)) {
            var config = Tiny.read(
                    Tiny.config(folder, model), "learning_rate=3e-7", "top_k=5", "run_dir=a: b #c", "micro_batch=2");
            var again = folder.resolve("resolved.yaml");
            Files.writeString(again, config.toYaml());
            assertEquals(config, Tiny.read(again));
            assertEquals(config.toYaml(), Tiny.read(again).toYaml());
        }
    }

    @Test
    void wordsOfTheCommandLineWin() throws IOException {
        var file = write("model: llama\nbatch_size: 3\nseed: 1");
        var config = RunConfig.of(ConfigSource.read(file)
                .set(List.of("batch_size=5", "learning_rate=4e-4", "data_path=2024", "grad_clip_norm=null"))
                .option("--seed", "seed", 9L)
                .option("--run-dir", "run_dir", null));
        assertEquals(5, config.training().sequences());
        assertEquals(4e-4, config.training().learningRate());
        assertEquals("2024", config.dataPath());
        assertEquals(9, config.seed());
    }

    @Test
    void otherFrameworksFilesRun() throws IOException {
        var config = read("""
                model: Megalodon
                use_checkpoint: true
                compile: false
                jit: true
                dtype: bfloat16
                gemm_backend: default
                share_emb: false
                rope_base: null
                seed: null
                dim: what this holds is not looked at
                """);
        assertTrue(assertInstanceOf(MegalodonConfig.class, config.model()).gradientCheckpointing());
        assertEquals(7, config.seed());
        assertEquals(
                List.of(
                        folder.resolve("config.yaml")
                                + ": without effect here: compile, jit, dtype, gemm_backend, share_emb",
                        folder.resolve("config.yaml") + ": ignored, keys of model llama: dim"),
                config.notes());
    }

    @Test
    void microBatch() throws IOException {
        assertEquals(4, RunConfig.autoMicroBatch(16, 512));
        assertEquals(1, RunConfig.autoMicroBatch(16, 4096));
        assertEquals(3, RunConfig.autoMicroBatch(3, 1));
        assertEquals(7, RunConfig.autoMicroBatch(21, 256));
        assertEquals(
                8,
                read("model: llama\nbatch_size: 2\ngrad_accum_every: 8\nmicro_batch: 8")
                        .training()
                        .microBatch());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    seq_len: 4                         | model: missing; allowed: llama, megalodon
                    model: gpt                         | model: "gpt"; allowed: llama, megalodon
                    learning_rat: 1                    | "learning_rat": unknown key; the nearest known one is learning_rate
                    use_checkpont: true                | the nearest known one is use_checkpoint
                    batch_size: many                   | batch_size: "many"; allowed: a whole number from 1 to 2147483647
                    batch_size: 0                      | batch_size: 0; allowed: a whole number from 1 to 2147483647
                    batch_size: 1.5                    | batch_size: 1.5; allowed: a whole number
                    num_batches: -1                    | num_batches: -1; allowed: a whole number from 0 to 2147483647
                    learning_rate: fast                | learning_rate: "fast"; allowed: a finite number at least 0
                    learning_rate: .nan                | learning_rate: NaN; allowed
                    learning_rate: 1e39                | learning_rate: 1.0E39; allowed: a finite number at least 0, also as a 32-bit float
                    weight_decay: 1e39                 | weight_decay: 1.0E39; allowed: a finite number at least 0, also as a 32-bit float
                    learning_rate: .inf                | learning_rate: Infinity; allowed: a finite number at least 0
                    seed: 9223372036854775808          | seed: 9223372036854775808; allowed: a whole number from -9223372036854775808 to 9223372036854775807
                    weight_decay: -0.1                 | weight_decay: -0.1; allowed
                    tied_embedding: 1                  | tied_embedding: 1; allowed: true or false
                    min_p: 1.1                         | min_p: 1.1; allowed: a number at least 0 and at most 1
                    top_p: 0                           | top_p: 0; allowed: a number above 0 and at most 1
                    cache_unbounded: 3                 | cache_unbounded: 3; allowed: true or false
                    max_cache_len: 0                   | max_cache_len: 0; allowed: a whole number from 1 to 2147483647
                    dropout: 1.0                       | dropout: 1.0; allowed: a number at least 0 and less than 1
                    run_dir: [a]                       | run_dir: [a]; allowed: text
                    run_dir: "a\\0b"                    | run_dir: "a�b"; allowed: text without NUL characters
                    data_path: "a\\0b"                  | data_path: "a�b"; allowed: text without NUL characters
                    sampler: "\\e[2J"                   | sampler: "�[2J"; allowed: random, sequential
                    sampler: shuffled                  | sampler: "shuffled"; allowed: random, sequential
                    cema: slow                         | cema: "slow"; allowed: auto, scan, fft
                    dtype: float16                     | "float16" is refused because the EMA and the FFT overflow
                    temperature: 1e39                  | temperature: 1.0E39; allowed: a finite number at least 0, also as a 32-bit float
                    top_p: 1e-50                       | top_p: 1.0E-50; allowed: a number above 0 and at most 1, also as a 32-bit float
                    precision: fp16                    | "fp16" is refused because the EMA and the FFT overflow
                    precision: int8                    | precision: "int8"; allowed: auto, fp32, tf32, bf16
                    max_cache_len: 2147483648          | max_cache_len: 2147483648; allowed: a whole number from 1 to 2147483647
                    micro_batch: 3                     | micro_batch: 3; allowed: auto or a divisor of batch_size · grad_accum_every, which is 1
                    micro_batch: some                  | micro_batch: "some"; allowed: auto or a whole number
                    chunk_size: 300                    | seq_len: 512; allowed for a Megalodon with chunk_size 300: up to it, or a multiple
                    z_dim: 7                           | z_dim: 7
                    model_dim: 65536                   | model_dim: 65536 × 65536 is not allowed, it must be a matrix of at most 2^31 - 2^16 elements
                    num_tokens: 1048576\\nmodel_dim: 4096 | num_tokens, model_dim: 1048576 × 4096 is not
                    output_size: 1048576\\nmodel_dim: 4096 | output_size, model_dim: 1048576 × 4096 is not
                    ffn_hidden_dim: 1048576\\nmodel_dim: 4096 | ffn_hidden_dim, model_dim: 1048576 × 4096 is not
                    cema_ndim: 1048576\\nmodel_dim: 512 | cema_ndim, model_dim: 5242880 × 512 is not
                    seq_len: 4194304                   | seq_len · micro_batch: 4194304 tokens at once; allowed for a model that is 1024 features wide: up to 2097088
                    batch_size: 5000000                | tokens a step; allowed: up to
                    """)
    void whatIsWrongIsNamed(String line, String expected) throws IOException {
        var model = line.startsWith("model:") || line.equals("seq_len: 4")
                ? ""
                : line.startsWith("tied") ? "model: llama\n" : "model: megalodon\n";
        assertRefused(model + line.replace("\\n", "\n"), expected);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    dim: 1048576                            | ffn_dim_multiplier, dim: 2796288 × 1048576 is not allowed
                    dim: 1048576\\nnum_tokens: 1048576      | num_tokens, dim: 1048576 × 1048576 is not allowed
                    heads: 1048576\\ndim_head: 1048576      | heads, dim_head, dim: 1099511627776 × 512 is not allowed
                    ffn_dim_multiplier: 9000                | ffn_dim_multiplier, dim: 4608000 × 512 is not allowed
                    num_tokens: 1048576\\nbatch_size: 4\\nmicro_batch: 4 | seq_len · micro_batch: 2048 tokens at once; allowed
                    """)
    void whatIsTooLargeForALlamaIsNamed(String lines, String expected) throws IOException {
        assertRefused("model: llama\n" + lines.replace("\\n", "\n"), expected);
    }

    @Test
    void whatIsNoConfigIsRefused() throws IOException {
        assertRefused("", "no config");
        assertRefused("- a\n- b", "no config");
        assertRefused("model: llama\nbatch_size: 1\nbatch_size: 2", "batch_size");
        assertRefused(
                "use_checkpoint: true\ngradient_checkpointing: true\nmodel: megalodon",
                "gradient_checkpointing: the same key as use_checkpoint, which is given as well");
        assertRefused(
                "gradient_checkpointing: true\nuse_checkpoint: true\nmodel: megalodon",
                "use_checkpoint: the same key as gradient_checkpointing, which is given as well");
        assertRefused("model: [", "line 1");
        assertRefused("model: !!java.io.File [x]", "config.yaml");
        var e = assertThrows(Failure.class, () -> ConfigSource.read(folder.resolve("none.yaml")));
        assertEquals(folder.resolve("none.yaml") + ": no such file", e.getMessage());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
                    a #b/f    | a #b/f
                    #b        | #b
                    a: b      | a: b
                    [a        | [a
                    &a b      | &a b
                    2024      | 2024
                    "a\\u0020b" | a b
                    'a # b'   | a # b
                    it's      | it's
                    'tis      | 'tis
                    "a" #b    | "a" #b
                    null      |
                    ``        |
                    """)
    void setTakesTextAsItStands(String text, String expected) throws IOException {
        var source = ConfigSource.read(write("model: llama\ndata_path: x")).set(List.of("data_path=" + text));
        assertEquals(expected, RunConfig.of(source).dataPath());
    }

    @ParameterizedTest
    @CsvSource({
        "batch_size, 'key=value'",
        "=3, 'key=value'",
        "batch=3, --set: \"batch\": unknown key",
        "depth=x, --set: depth: \"x\"",
        "temperature=1e39, --set: temperature: 1.0E39; allowed",
        "top_p=1e-60, --set: top_p: 1.0E-60; allowed"
    })
    void setIsChecked(String set, String expected) throws IOException {
        var source = ConfigSource.read(write("model: llama"));
        var e = assertThrows(Failure.class, () -> RunConfig.of(source.set(List.of(set))));
        assertTrue(e.getMessage().contains(expected), e.getMessage());
    }

    @Test
    void edits() {
        assertEquals(0, Key.edits("seed", "seed"));
        assertEquals(4, Key.edits("", "seed"));
        assertEquals(3, Key.edits("kitten", "sitting"));
    }

    private void assertRefused(String yaml, String expected) throws IOException {
        var file = write(yaml);
        var e = assertThrows(Failure.class, () -> Tiny.read(file));
        assertEquals(2, e.exitCode());
        assertTrue(e.getMessage().startsWith(file + ": "), e.getMessage());
        assertTrue(e.getMessage().contains(expected), e.getMessage());
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    }

    private RunConfig read(String yaml) throws IOException {
        return Tiny.read(write(yaml));
    }

    private Path write(String yaml) throws IOException {
        return Files.writeString(folder.resolve("config.yaml"), yaml);
    }
}
