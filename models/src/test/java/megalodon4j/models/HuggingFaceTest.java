package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.json.JsonMapper;

class HuggingFaceTest {
    @TempDir
    Path folder;

    private MegalodonConfig unusual(int outputSize, Double ropeBase) {
        return new MegalodonConfig(
                1000,
                24,
                3,
                2,
                8,
                12,
                20,
                3,
                32,
                6,
                0,
                0,
                0,
                false,
                true,
                true,
                false,
                ropeBase,
                InitMode.XAVIER,
                true,
                outputSize,
                EmaChoice.AUTO);
    }

    @Test
    void configsComeBack() throws IOException {
        var file = folder.resolve("config.json");
        for (var config : List.of(
                MegalodonConfig.enwik8(), TinyModels.megalodon(0), unusual(0, null), unusual(1200, 500_000.0))) {
            HuggingFace.writeConfig(config, file);
            assertEquals(new HuggingFace.Read(config, List.of()), HuggingFace.readConfig(file));
        }
    }

    @Test
    void pythonFindsItsKeys() throws IOException {
        var file = folder.resolve("config.json");
        HuggingFace.writeConfig(MegalodonConfig.enwik8(), file);
        var json = JsonMapper.shared().readTree(file);
        assertEquals("megalodon", json.get("model_type").stringValue());
        assertEquals(256, json.get("vocab_size").intValue());
        assertEquals(-1, json.get("output_size").intValue());
        assertEquals("bert", json.get("init_mode").stringValue());
        assertTrue(json.get("rope_base").isNull());
        assertTrue(json.get("tie_word_embeddings").booleanValue());
        assertEquals(1e-5, json.get("norm_eps").doubleValue());
    }

    @Test
    void absentKeysHavePythonsDefaults() throws IOException {
        var file = Files.writeString(
                folder.resolve("config.json"),
                "{\"model_type\": \"megalodon\", \"model_dim\": 64, \"rope_base\": 10000, \"zoom\": 1,"
                        + " \"max_cache_len\": 2048, \"use_cache\": true, \"swiglu\": null}");
        var read = HuggingFace.readConfig(file);
        assertEquals(32_000, read.config().numTokens());
        assertEquals(64, read.config().modelDim());
        assertEquals(2048, read.config().chunkSize());
        assertEquals(InitMode.HE, read.config().initMode());
        assertEquals(10_000.0, read.config().ropeBase());
        assertEquals(List.of("zoom", "max_cache_len"), read.ignored());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{                                             | not valid JSON",
                "[]                                            | a JSON object is expected",
                "{}                                            | model_type: missing; allowed: megalodon",
                "{\"model_type\":\"llama\"}                    | model_type: llama; allowed: megalodon",
                "{\"model_type\":\"megalodon\",\"z_dim\":\"8\"} | z_dim: \"8\"; allowed: a whole number",
                "{\"model_type\":\"megalodon\",\"z_dim\":1.5}  | z_dim: 1.5; allowed: a whole number",
                "{\"model_type\":\"megalodon\",\"z_dim\":5000000000} | z_dim: 5000000000; allowed",
                "{\"model_type\":\"megalodon\",\"vocab_size\":0} | vocab_size",
                "{\"model_type\":\"megalodon\",\"z_dim\":7}    | z_dim",
                "{\"model_type\":\"megalodon\",\"norm_eps\":1e-6} | norm_eps: 1.0E-6; allowed: 1.0E-5",
                "{\"model_type\":\"megalodon\",\"pad_token_id\":5} | pad_token_id: 5; allowed: 0",
                "{\"model_type\":\"megalodon\",\"swiglu\":1}   | swiglu: 1; allowed: true or false",
                "{\"model_type\":\"megalodon\",\"rope_base\":\"x\"} | rope_base: \"x\"; allowed: a number",
                "{\"model_type\":\"megalodon\",\"init_mode\":\"HE\"} | init_mode: HE; allowed: he, bert",
                "{\"model_type\":\"megalodon\",\"output_size\":0} | output_size: 0; allowed: -1",
                "{\"model_type\":\"megalodon\",\"efficient_attn\":\"x\"} | efficient_attn: \"x\"; allowed: null",
                "{\"model_type\":\"megalodon\",\"z_dim\":8,\"z_dim\":8} | not valid JSON"
            })
    void whatIsWrongNamesTheKey(String json, String expected) throws IOException {
        var file = Files.writeString(folder.resolve("config.json"), json);
        var e = assertThrows(IOException.class, () -> HuggingFace.readConfig(file));
        assertTrue(e.getMessage().startsWith(file + ": " + expected), e::getMessage);
        assertEquals(1, e.getMessage().lines().count());
    }

    @Test
    void modelsComeBack() throws IOException {
        try (var backend = Backend.cpu(1)) {
            var model = TinyModels.megalodon(backend, 1);
            HuggingFace.save(model, folder.resolve("a/b"));
            var loaded = HuggingFace.load(folder.resolve("a/b"), backend);
            assertEquals(model.config(), loaded.config());
            assertArrayEquals(model.session().feed(1, 2, 3), loaded.session().feed(1, 2, 3));
            var file = SafeTensors.read(folder.resolve("a/b/model.safetensors"));
            assertArrayEquals(file.floats("model.embed.weight"), file.floats("lm_head.weight"));
            assertEquals("pt", file.metadata().get("format"));
        }
    }

    /** A folder that {@code save_pretrained} wrote: bfloat16, an output layer of its own, norms without weights. */
    @Test
    void pythonsFolderGivesPythonsLogits() throws IOException {
        var fixture = Fixture.of("megalodon_hf");
        var read = HuggingFace.readConfig(fixture.folder().resolve("config.json"));
        assertEquals(List.of("cache_unbounded", "max_cache_len"), read.ignored());
        var want = fixture.tensors("logits");
        try (var backend = Backend.cpu(1);
                var tape = Tape.inference(backend)) {
            var model = HuggingFace.load(fixture.folder(), backend);
            var logits = model.logits(tape, Fixture.ints(want, "input_ids"), 2);
            assertArrayEquals(want.floats("logits"), logits.value().toArray(), 2e-6f);
        }
    }
}
