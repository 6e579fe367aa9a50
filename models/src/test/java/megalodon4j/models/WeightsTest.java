package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import megalodon4j.models.Weights.Layout;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.SafeTensors.DType;
import megalodon4j.tensor.SafeTensors.Source;
import megalodon4j.tensor.Shape;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;

class WeightsTest {
    private static final String WZ = "model.layers.1.attn.wz.weight";

    private static Backend backend;

    @TempDir
    Path folder;

    @BeforeAll
    static void open() {
        backend = Backend.cpu(1);
    }

    @AfterAll
    static void close() {
        backend.close();
    }

    // --- round trips ------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @CsvSource({"HF, 0", "WRAPPER, 0", "HF, 300", "WRAPPER, 300"})
    void bothLayoutsComeBack(Layout layout, int outputSize) throws IOException {
        var model = TinyModels.random(TinyModels.megalodon(outputSize).create(backend, 1), 1);
        var file = folder.resolve("w");
        Weights.save(model, file, layout, DType.F32);
        var names = SafeTensors.read(file).names();
        var prefix = layout == Layout.WRAPPER ? "model." : "";
        assertTrue(names.contains(prefix + "model.embed.weight") && names.contains(prefix + "lm_head.weight"));
        assertTrue(
                names.stream().allMatch(n -> n.startsWith(prefix + "model.") || n.equals(prefix + "lm_head.weight")));
        assertSame(model, load(model.config(), file));
    }

    @Test
    void checkpointsComeBack() throws IOException {
        for (ModelConfig config : List.of(TinyModels.megalodon(0), TinyModels.llama())) {
            var model = TinyModels.random(config.create(backend, 1), 2);
            var file = folder.resolve("w");
            Weights.save(model, file);
            assertSame(model, load(config, file));
        }
    }

    /** Python's strict {@code load_state_dict} takes a file that holds all of these and no more. */
    @ParameterizedTest
    @ValueSource(strings = {"megalodon", "megalodon_one_chunk", "megalodon_plain_ffn", "llama", "llama_untied"})
    void aFileHoldsWhatPythonsStateDictDoes(String name) throws IOException {
        var file = folder.resolve("w");
        Weights.save(Fixture.of(name).model(backend, EmaChoice.AUTO), file);
        var tensors = SafeTensors.read(file);
        var shapes = JsonMapper.shared().createObjectNode();
        for (var tensor : tensors.names()) {
            shapes.set(
                    tensor,
                    JsonMapper.shared().valueToTree(tensors.shape(tensor).toArray()));
        }
        var want = Fixture.stateDict(name);
        assertEquals(want.get("shapes"), shapes);
        for (var tensor : tensors.names()) {
            if (tensor.endsWith("rotary_emb.freqs")) {
                var freqs = JsonMapper.shared().treeToValue(want.get("rotary_emb.freqs"), float[].class);
                assertArrayEquals(freqs, tensors.floats(tensor), 1e-7f);
            }
        }
    }

    @Test
    void bfloat16IsForMatricesOnly() throws IOException {
        var model = TinyModels.megalodon(backend, 3);
        var file = folder.resolve("w");
        Weights.save(model, file, Layout.HF, DType.BF16);
        var tensors = SafeTensors.read(file);
        for (var name : tensors.names()) {
            boolean matrix = name.matches(".*(embed|lm_head|\\.w[zvr]|\\.wh[12]|\\.fc[123])\\.weight");
            assertEquals(matrix ? DType.BF16 : DType.F32, tensors.dtype(name), name);
        }
        var loaded = load(model.config(), file);
        for (var p : model.parameters()) {
            var want = p.value().toArray();
            var got = loaded.parameters().get(p.name()).value().toArray();
            boolean half = tensors.dtype(p.name()) == DType.BF16;
            for (int i = 0; i < want.length; i++) {
                assertEquals(want[i], got[i], half ? Math.abs(want[i]) / 256 : 0, p.name());
            }
        }
        assertThrows(IllegalArgumentException.class, () -> Weights.save(model, file, Layout.HF, DType.F16));
    }

    @ParameterizedTest
    @EnumSource(Layout.class)
    void conversionChangesNamesOnly(Layout from) throws IOException {
        var model = TinyModels.megalodon(backend, 4);
        var to = from == Layout.HF ? Layout.WRAPPER : Layout.HF;
        for (var type : List.of(DType.F32, DType.BF16)) {
            Path in = folder.resolve("in"), out = folder.resolve("out"), back = folder.resolve("back");
            Weights.save(model, in, from, type);
            assertEquals(from, Weights.convert(model.config(), in, out, to, null));
            assertEquals(to, Weights.convert(model.config(), out, back, from, null));
            assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(back));
            Weights.save(model, back, to, type);
            assertArrayEquals(Files.readAllBytes(back), Files.readAllBytes(out));
        }
    }

    @Test
    void conversionRoundsOnRequest() throws IOException {
        var model = TinyModels.megalodon(backend, 5);
        Path in = folder.resolve("in"), out = folder.resolve("out"), want = folder.resolve("want");
        Weights.save(model, in);
        Weights.convert(model.config(), in, out, Layout.WRAPPER, DType.BF16);
        Weights.save(model, want, Layout.WRAPPER, DType.BF16);
        assertArrayEquals(Files.readAllBytes(want), Files.readAllBytes(out));
    }

    @Test
    void theReferencesFilesConvert() throws IOException {
        for (var name : List.of("megalodon", "megalodon_plain_ffn", "llama", "llama_untied")) {
            var fixture = Fixture.of(name);
            var config = fixture.config(EmaChoice.AUTO);
            var out = folder.resolve(name);
            Weights.convert(config, fixture.folder().resolve("weights.safetensors"), out, Layout.WRAPPER, null);
            assertSame(fixture.model(backend, EmaChoice.AUTO), load(config, out));
        }
    }

    @Test
    void aFailedConversionLeavesNothing() throws IOException {
        var model = TinyModels.megalodon(backend, 6);
        Path in = folder.resolve("in"), out = folder.resolve("out");
        write(model, in, tensors -> tensors.remove(WZ));
        assertThrows(IOException.class, () -> Weights.convert(model.config(), in, out, Layout.HF, null));
        assertFalse(Files.exists(out));
        Weights.save(model, in);
        var link = Files.createLink(folder.resolve("link"), in);
        for (var self : List.of(in, link)) {
            assertThrows(
                    IllegalArgumentException.class, () -> Weights.convert(model.config(), in, self, Layout.HF, null));
        }
        assertSame(model, load(model.config(), in));
    }

    @Test
    void conversionChecksAgainstAConfigOfAnySize() throws IOException {
        var in = folder.resolve("in");
        Weights.save(TinyModels.megalodon(backend, 6), in);
        var config = MegalodonConfig.sevenB().toBuilder().numLayers(1000).build();
        var e = assertThrows(
                IOException.class, () -> Weights.convert(config, in, folder.resolve("out"), Layout.HF, null));
        assertTrue(
                e.getMessage().contains("model.embed.weight has shape (256, 16), the config makes it"), e.getMessage());
    }

    // --- what is read besides ---------------------------------------------------------------------------------------

    @Test
    void aTiedHeadStandsForTheEmbedding() throws IOException {
        var model = TinyModels.megalodon(backend, 7);
        var file = folder.resolve("w");
        write(model, file, tensors -> {
            var embedding = tensors.remove("model.embed.weight");
            tensors.put("lm_head.weight", embedding);
        });
        assertSame(model, load(model.config(), file));
    }

    @Test
    void ropeFrequenciesArePassedOver() throws IOException {
        var model = TinyModels.random(TinyModels.llama().create(backend, 1), 8);
        var file = folder.resolve("w");
        write(model, file, t -> t.put("layers.0.attn.rotary_emb.freqs", new float[] {1, 2}));
        assertSame(model, load(model.config(), file));
    }

    // --- what is wrong ----------------------------------------------------------------------------------------------

    @Test
    void everyErrorNamesTheTensor() throws IOException {
        refused("tensor " + WZ + " is missing", t -> t.remove(WZ));
        refused(
                "tensor model.layers.2.attn.wz.weight does not belong to a megalodon of this config "
                        + "(which ends with " + WZ + ")",
                t -> t.put("model.layers.2.attn.wz.weight", new float[1]));
        refused("tensor extra does not belong to a megalodon", t -> t.put("extra", new float[1]));
        refused("tensor " + WZ + " has shape (3), the config makes it (8, 16)", t -> t.put(WZ, new float[3]));
        refused(
                "tensors " + WZ + " and model." + WZ + " are both parameter " + WZ,
                t -> t.put("model." + WZ, t.get(WZ)));
        refused("are named in two layouts", t -> t.put("model." + WZ, t.remove(WZ)));
        refused(
                "tensor lm_head.weight differs from model.embed.weight, but the config ties them",
                t -> t.put("lm_head.weight", new float[256 * 16]));
        refused("tensor model.embed.weight is missing", t -> t.remove("model.embed.weight"));
    }

    @Test
    void aWrappedFileIsNamedAsItIs() throws IOException {
        var model = TinyModels.megalodon(backend, 9);
        var file = folder.resolve("w");
        write(model, file, tensors -> {
            var all = new LinkedHashMap<>(tensors);
            tensors.clear();
            all.forEach((name, elements) -> tensors.put("model." + name, elements));
            tensors.remove("model." + WZ);
        });
        assertRefused(model, file, "tensor model." + WZ + " is missing");
    }

    @Test
    void integersAreNoWeights() throws IOException {
        var model = TinyModels.megalodon(backend, 10);
        var file = folder.resolve("w");
        var sources = new ArrayList<Source>();
        for (var p : model.parameters()) {
            sources.add(
                    p.name().equals(WZ)
                            ? SafeTensors.i64(
                                    WZ, p.shape(), () -> new long[p.shape().elements()])
                            : SafeTensors.f32(p.name(), p.value()));
        }
        SafeTensors.write(file, Map.of(), sources);
        assertRefused(model, file, "tensor " + WZ + " is I64; weights are F32, BF16 or F16");
    }

    private void refused(String expected, Consumer<Map<String, float[]>> change) throws IOException {
        var model = TinyModels.megalodon(backend, 11);
        var file = folder.resolve("w");
        write(model, file, change);
        assertRefused(model, file, expected);
    }

    private static void assertRefused(LanguageModel model, Path file, String expected) {
        var other = TinyModels.random(model.config().create(backend, 1), 12);
        var before = other.parameters().get("model.embed.weight").value().toArray();
        var e = assertThrows(IOException.class, () -> Weights.load(other, file));
        assertTrue(e.getMessage().startsWith(file + ": "), e::getMessage);
        assertTrue(e.getMessage().contains(expected), e::getMessage);
        assertArrayEquals(
                before, other.parameters().get("model.embed.weight").value().toArray());
    }

    /** The model's tensors, changed; one that is no parameter, or of another length, becomes a vector. */
    private static void write(LanguageModel model, Path file, Consumer<Map<String, float[]>> change)
            throws IOException {
        var tensors = new LinkedHashMap<String, float[]>();
        for (var p : model.parameters()) {
            tensors.put(p.name(), p.value().toArray());
        }
        change.accept(tensors);
        var sources = new ArrayList<Source>();
        tensors.forEach((name, elements) ->
                sources.add(SafeTensors.f32(name, shape(model, name, elements.length), () -> elements)));
        SafeTensors.write(file, Map.of(), sources);
    }

    private static Shape shape(LanguageModel model, String name, int length) {
        var plain = name.startsWith("model.model.") ? name.substring(6) : name;
        var parameter = plain.equals("lm_head.weight") ? "model.embed.weight" : plain;
        if (model.parameters().contains(parameter)) {
            var shape = model.parameters().get(parameter).shape();
            return shape.elements() == length ? shape : Shape.of(length);
        }
        return Shape.of(length);
    }

    private static LanguageModel load(ModelConfig config, Path file) {
        try {
            var model = config.create(backend, 99);
            Weights.load(model, file);
            return model;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void assertSame(LanguageModel want, LanguageModel got) {
        for (var p : want.parameters()) {
            assertArrayEquals(
                    p.value().toArray(), got.parameters().get(p.name()).value().toArray(), p.name());
        }
    }
}
