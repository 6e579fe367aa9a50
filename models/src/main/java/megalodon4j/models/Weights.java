package megalodon4j.models;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import megalodon4j.autograd.Parameter;
import megalodon4j.tensor.SafeTensors;

/**
 * A model's weights as SafeTensors under the names that PyTorch's {@code state_dict} has.
 *
 * <p>Two layouts of Megalodon exist: that of the Hugging Face model, which is written here, and that of the training repository's wrapper, which
 * puts one more {@code model.} in front. Both are read.
 */
public final class Weights {
    private static final String HEAD = "lm_head.weight";
    private static final String EMBEDDING = "model.embed.weight";
    private static final String WRAPPER = "model.";

    private Weights() {}

    /**
     * Reads all weights of a model.
     *
     * @throws IOException if the file cannot be read, or its tensors are not those of the model: the message names the first that is missing,
     *     too much, or of the wrong shape
     */
    public static void load(LanguageModel model, Path file) throws IOException {
        var source = SafeTensors.read(file);
        var names = names(source, model);
        for (var parameter : model.parameters()) {
            var name = names.get(parameter.name());
            if (name == null) {
                throw new IOException(file + ": tensor " + parameter.name() + " is missing");
            }
            if (!Arrays.equals(source.shape(name).toArray(), parameter.shape().toArray())) {
                throw new IOException(file + ": tensor " + name + " has shape " + source.shape(name)
                        + ", the config makes it " + parameter.shape());
            }
        }
        // Only after all has been checked: a wrong file leaves the model as it was.
        for (var parameter : model.parameters()) {
            parameter.value().set(source.floats(names.get(parameter.name())));
        }
    }

    /** Writes all weights as float32. */
    public static void save(LanguageModel model, Path file) throws IOException {
        var tensors = new ArrayList<SafeTensors.Source>();
        for (var parameter : model.parameters()) {
            tensors.add(SafeTensors.f32(parameter.name(), parameter.value()));
        }
        SafeTensors.write(file, Map.of("format", "pt"), tensors);
    }

    // Parameter names to names in the file, every one of which must have its place.
    private static Map<String, String> names(SafeTensors source, LanguageModel model) throws IOException {
        var all = source.names();
        boolean wrapped = model instanceof Megalodon && all.contains(WRAPPER + EMBEDDING);
        UnaryOperator<String> strip =
                name -> wrapped && name.startsWith(WRAPPER) ? name.substring(WRAPPER.length()) : name;
        var names = new HashMap<String, String>();
        for (var name : all) {
            var parameter = strip.apply(name);
            if (model.parameters().contains(parameter)) {
                names.put(parameter, name);
            } else if (parameter.equals(HEAD) && model instanceof Megalodon) {
                requireTied(source, name, wrapped ? WRAPPER + EMBEDDING : EMBEDDING);
            } else if (!isIgnored(model, parameter)) {
                throw new IOException(source.path() + ": tensor " + name + " does not belong to a "
                        + model.config().kind() + " of this config" + known(model, parameter));
            }
        }
        return names;
    }

    private static void requireTied(SafeTensors source, String head, String embedding) throws IOException {
        if (!source.has(embedding) || !Arrays.equals(source.floats(head), source.floats(embedding))) {
            throw new IOException(source.path() + ": tensor " + head + " differs from " + embedding
                    + ", but the config ties them; set output_size to untie");
        }
    }

    // PyTorch keeps RoPE's frequencies as a buffer; they follow from the config.
    private static boolean isIgnored(LanguageModel model, String name) {
        return model instanceof Llama && name.matches("layers\\.\\d+\\.attn\\.rotary_emb\\.freqs");
    }

    private static String known(LanguageModel model, String name) {
        List<String> layers = new ArrayList<>();
        for (Parameter p : model.parameters()) {
            if (p.name().replaceAll("\\d+", "0").equals(name.replaceAll("\\d+", "0"))) {
                layers.add(p.name());
            }
        }
        return layers.isEmpty() ? "" : " (which ends with " + layers.getLast() + ")";
    }
}
