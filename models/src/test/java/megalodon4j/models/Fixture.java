package megalodon4j.models;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Path;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** One folder of the PyTorch reference's data. */
public record Fixture(String name, Path folder, JsonNode json) {
    public static Fixture of(String name) {
        var config = file(name + "/config.json");
        return new Fixture(name, config.getParent(), JsonMapper.shared().readTree(config));
    }

    /** What PyTorch's {@code state_dict} of the folder's model holds. */
    static JsonNode stateDict(String name) {
        return JsonMapper.shared().readTree(file("state_dicts.json")).get(name);
    }

    private static Path file(String name) {
        try {
            return Path.of(Fixture.class.getResource("/fixtures/" + name).toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    public ModelConfig config(EmaChoice cema) {
        return json.get("model").asString().equals("llama") ? llama() : megalodon(cema);
    }

    private LlamaConfig llama() {
        var multiplier = json.get("ffn_dim_multiplier");
        return new LlamaConfig(
                json.get("num_tokens").asInt(),
                json.get("dim").asInt(),
                json.get("depth").asInt(),
                json.get("heads").asInt(),
                json.get("dim_head").asInt(),
                json.get("tied_embedding").asBoolean(),
                multiplier.isNull() ? null : multiplier.asDouble());
    }

    private MegalodonConfig megalodon(EmaChoice cema) {
        var ropeBase = json.get("rope_base");
        return new MegalodonConfig(
                json.get("vocab_size").asInt(),
                json.get("model_dim").asInt(),
                json.get("num_layers").asInt(),
                json.get("num_heads").asInt(),
                json.get("z_dim").asInt(),
                json.get("value_dim").asInt(),
                json.get("ffn_hidden_dim").asInt(),
                json.get("cema_ndim").asInt(),
                json.get("chunk_size").asInt(),
                json.get("norm_num_groups").asInt(),
                0,
                0,
                0,
                json.get("swiglu").asBoolean(),
                json.get("rescale_nffn").asBoolean(),
                json.get("scale_emb").asBoolean(),
                true,
                ropeBase.isNull() ? null : ropeBase.asDouble(),
                InitMode.HE,
                false,
                0,
                cema);
    }

    /** The fixture's model with its weights. */
    public LanguageModel model(Backend backend, EmaChoice cema) {
        try {
            var model = config(cema).create(backend, 1);
            Weights.load(model, folder.resolve("weights.safetensors"));
            return model;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public SafeTensors tensors(String file) throws IOException {
        return SafeTensors.read(folder.resolve(file + ".safetensors"));
    }

    static int[] ints(SafeTensors tensors, String name) throws IOException {
        var longs = tensors.longs(name);
        var ints = new int[longs.length];
        for (int i = 0; i < ints.length; i++) {
            ints[i] = Math.toIntExact(longs[i]);
        }
        return ints;
    }
}
