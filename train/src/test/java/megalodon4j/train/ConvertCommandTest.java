package megalodon4j.train;

import static megalodon4j.train.Tiny.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import megalodon4j.models.HuggingFace;
import megalodon4j.models.MegalodonConfig;
import megalodon4j.models.ModelConfig;
import megalodon4j.models.Weights;
import megalodon4j.models.Weights.Layout;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.SafeTensors.DType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConvertCommandTest {
    @TempDir
    Path folder;

    private Path config;
    private Path in;
    private Path out;

    @BeforeEach
    void weights() throws IOException {
        config = Tiny.config(folder, Tiny.MEGALODON);
        in = folder.resolve("in.safetensors");
        Files.createDirectory(folder.resolve("out"));
        out = folder.resolve("out/model.safetensors");
        write(Tiny.read(config).model(), in, Layout.HF, DType.F32);
    }

    private static void write(ModelConfig model, Path to, Layout layout, DType type) throws IOException {
        try (var backend = Backend.cpu(1)) {
            Weights.save(model.create(backend, 3), to, layout, type);
        }
    }

    @Test
    void thereAndBack() throws IOException {
        var wrapped = folder.resolve("wrapped");
        var outcome = run("convert", "--in", in, "--out", wrapped, "--to", "wrapper");
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertEquals("", outcome.err());
        assertEquals(
                in + " (hf) → " + wrapped + " (wrapper), checked against " + config,
                outcome.out().strip());
        assertTrue(SafeTensors.read(wrapped).has("model.model.embed.weight"));
        assertTrue(SafeTensors.read(wrapped).has("model.lm_head.weight"));
        assertFalse(Files.exists(folder.resolve("config.json")));

        outcome = run("convert", "--in", wrapped, "--out", out, "--to", "hf", "--config", config);
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertTrue(outcome.out().contains("wrapped (wrapper) → "), outcome::out);
        assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(out));
        var json = out.resolveSibling("config.json");
        assertEquals(Tiny.read(config).model(), HuggingFace.readConfig(json).config());

        // Now config.json lies beside the input.
        outcome = run("convert", "--in", out, "--out", folder.resolve("again"), "--to", "wrapper");
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertTrue(outcome.out().contains("checked against " + json), outcome::out);
        assertArrayEquals(Files.readAllBytes(wrapped), Files.readAllBytes(folder.resolve("again")));
    }

    @Test
    void matricesMayBeHalf() throws IOException {
        var half = folder.resolve("half");
        assertEquals(
                0,
                run("convert", "--in", in, "--out", half, "--to", "wrapper", "--dtype", "bf16")
                        .exitCode());
        assertEquals(DType.BF16, SafeTensors.read(half).dtype("model.model.embed.weight"));
        assertEquals(DType.F32, SafeTensors.read(half).dtype("model.model.norm.weight"));
        assertEquals(
                0,
                run("convert", "--in", half, "--out", out, "--to", "hf", "--config", config, "--dtype", "f32")
                        .exitCode());
        assertEquals(DType.F32, SafeTensors.read(out).dtype("model.embed.weight"));
        var score = run("score", "--config", config, "--weights", half, "--data", folder.resolve("data.txt"));
        assertEquals(0, score.exitCode(), score::err);
    }

    @Test
    void aLlamaPassesThrough() throws IOException {
        config = Tiny.config(folder, Tiny.LLAMA);
        write(Tiny.read(config).model(), in, Layout.HF, DType.F32);
        var outcome = run("convert", "--in", in, "--out", out, "--to", "wrapper");
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(out));
        assertEquals(0, run("convert", "--in", in, "--out", out, "--to", "hf").exitCode());
        assertFalse(Files.exists(out.resolveSibling("config.json")));
    }

    @Test
    void keysOfPythonWithoutEffectAreNoted() throws IOException {
        var json = folder.resolve("config.json");
        HuggingFace.writeConfig((MegalodonConfig) Tiny.read(config).model(), json);
        Files.writeString(json, Files.readString(json).replaceFirst("\\{", "{ \"zoom\": 2,"));
        var outcome = run("convert", "--in", in, "--out", out, "--to", "hf");
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertEquals(
                "note: " + json + ": without effect here: zoom", outcome.err().strip());
    }

    @Test
    void theInputIsNeverOverwritten() throws IOException {
        var before = Files.readAllBytes(in);
        var link = Files.createSymbolicLink(folder.resolve("link"), in);
        for (var self : new Path[] {in, link, folder.resolve("out/../in.safetensors")}) {
            assertRefused("--out: " + self + ": is --in itself", "--in", in, "--out", self, "--to", "hf");
        }
        assertArrayEquals(before, Files.readAllBytes(in));
    }

    @Test
    void whatIsWrongEndsInOneLine() throws IOException {
        assertRefused("'--to=hf|wrapper'", "--in", in, "--out", out);
        assertRefused("--to: \"jax\"; allowed: hf or wrapper", "--in", in, "--out", out, "--to", "jax");
        assertRefused(
                "--dtype: \"f16\"; allowed: f32 or bf16", "--in", in, "--out", out, "--to", "hf", "--dtype", "f16");
        assertRefused("--in: none: no such file", "--in", "none", "--out", out, "--to", "hf");
        assertRefused("a folder", "--in", in, "--out", folder, "--to", "hf");
        assertRefused("no such folder", "--in", in, "--out", folder.resolve("x/y"), "--to", "hf");
        assertRefused("no.yaml: no such file", "--in", in, "--out", out, "--to", "hf", "--config", "no.yaml");
        assertRefused("no.json: no such file", "--in", in, "--out", out, "--to", "hf", "--config", "no.json");
        assertRefused("config.yaml: a header of", "--in", config, "--out", out, "--to", "hf");

        var json = Files.writeString(folder.resolve("bad.json"), "{\"model_type\": \"megalodon\", \"z_dim\": -1}");
        assertRefused(json + ": z_dim", "--in", in, "--out", out, "--to", "hf", "--config", json);

        var lone = Files.copy(in, folder.resolve("out/lone"));
        assertRefused("neither config.json nor config.yaml beside", "--in", lone, "--out", out, "--to", "hf");

        var wide = folder.resolve("wide.yaml");
        Files.writeString(wide, Files.readString(config).replace("ffn_hidden_dim: 24", "ffn_hidden_dim: 32"));
        assertRefused(
                in + ": tensor model.layers.0.ffn.fc1.weight has shape (24, 16), the config makes it (32, 16)",
                "--in",
                in,
                "--out",
                out,
                "--to",
                "hf",
                "--config",
                wide);
        assertFalse(Files.exists(out));
    }

    private static void assertRefused(String expected, Object... options) {
        var command = new Object[options.length + 1];
        command[0] = "convert";
        System.arraycopy(options, 0, command, 1, options.length);
        var outcome = run(command);
        assertEquals(2, outcome.exitCode(), outcome::err);
        assertTrue(outcome.error().startsWith("megalodon convert: "), outcome::err);
        assertTrue(outcome.error().contains(expected), outcome::err);
        assertEquals("", outcome.out());
    }
}
