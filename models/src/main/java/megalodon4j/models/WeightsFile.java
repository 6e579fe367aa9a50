package megalodon4j.models;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import megalodon4j.autograd.Parameter;
import megalodon4j.models.Weights.Layout;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.SafeTensors.DType;

/** A file of weights that has been checked against a model: every parameter is there, once, in its shape. */
final class WeightsFile {
    /** The output layer of a Megalodon: a parameter, or another name of the embedding. */
    static final String HEAD = "lm_head.weight";

    static final String EMBEDDING = "model.embed.weight";

    private static final Set<DType> READABLE = Set.of(DType.F32, DType.BF16, DType.F16);

    private final LanguageModel model;
    private final SafeTensors tensors;
    private final Map<String, String> names = new LinkedHashMap<>(); // parameter → tensor
    private final Map<Layout, String> layouts = new EnumMap<>(Layout.class); // → a tensor named so

    private WeightsFile(LanguageModel model, SafeTensors tensors) {
        this.model = model;
        this.tensors = tensors;
    }

    /** @throws IOException as {@link Weights#load} */
    static WeightsFile open(LanguageModel model, Path path) throws IOException {
        var file = new WeightsFile(model, SafeTensors.read(path));
        for (var tensor : file.tensors.names()) {
            file.add(tensor);
        }
        file.requireOneLayout();
        file.tieHead();
        for (var parameter : model.parameters()) {
            file.check(parameter);
        }
        return file;
    }

    // --- the contents -----------------------------------------------------------------------------------------------

    Map<String, String> metadata() {
        return tensors.metadata();
    }

    Layout layout() {
        return layouts.containsKey(Layout.WRAPPER) ? Layout.WRAPPER : Layout.HF;
    }

    DType dtype(Parameter parameter) throws IOException {
        return tensors.dtype(names.get(parameter.name()));
    }

    float[] floats(Parameter parameter) throws IOException {
        return tensors.floats(names.get(parameter.name()));
    }

    // --- the checks -------------------------------------------------------------------------------------------------

    private void add(String tensor) throws IOException {
        for (var layout : Layout.values()) {
            var prefix = layout.tensor(model, "");
            var name = tensor.startsWith(prefix) ? tensor.substring(prefix.length()) : "";
            boolean isHead = name.equals(HEAD) && model instanceof Megalodon;
            if (model.parameters().contains(name) || isHead) {
                var other = names.put(name, tensor);
                if (other != null) {
                    throw tensors.wrong("tensors %s and %s are both parameter %s", other, tensor, name);
                }
                layouts.putIfAbsent(layout, tensor);
                return;
            }
        }
        if (!isIgnored(tensor)) {
            throw tensors.wrong(
                    "tensor %s does not belong to a %s of this config%s",
                    tensor, model.config().kind(), lastOfItsKind(tensor));
        }
    }

    /** The RoPE frequencies of a Llama's layer, which PyTorch keeps with the weights. */
    static String frequencies(int layer) {
        return "layers." + layer + ".attn.rotary_emb.freqs";
    }

    private boolean isIgnored(String name) {
        return model instanceof Llama && name.replaceFirst("\\d+", "0").equals(frequencies(0));
    }

    private String lastOfItsKind(String tensor) {
        var alike = new ArrayList<String>();
        for (var p : model.parameters()) {
            var one = p.name().replaceAll("\\d+", "0");
            if (tensor.replaceAll("\\d+", "0").endsWith(one)) {
                alike.add(p.name());
            }
        }
        return alike.isEmpty() ? "" : " (which ends with " + alike.getLast() + ")";
    }

    private void requireOneLayout() throws IOException {
        if (layouts.size() > 1) {
            throw tensors.wrong(
                    "tensors %s and %s are named in two layouts; only one may be used in a file",
                    layouts.get(Layout.HF), layouts.get(Layout.WRAPPER));
        }
    }

    /** A head that is no parameter is the embedding, which may then lack its own name. */
    private void tieHead() throws IOException {
        var head = model.parameters().contains(HEAD) ? null : names.remove(HEAD);
        if (head == null || names.putIfAbsent(EMBEDDING, head) == null) {
            return;
        }
        var embedding = names.get(EMBEDDING);
        requireReadable(head);
        requireReadable(embedding);
        if (!Arrays.equals(tensors.floats(head), tensors.floats(embedding))) {
            throw tensors.wrong(
                    "tensor %s differs from %s, but the config ties them; set output_size to untie", head, embedding);
        }
    }

    private void check(Parameter parameter) throws IOException {
        var tensor = names.get(parameter.name());
        if (tensor == null) {
            throw tensors.wrong("tensor %s is missing", layout().tensor(model, parameter.name()));
        }
        if (!Arrays.equals(tensors.shape(tensor).toArray(), parameter.shape().toArray())) {
            throw tensors.wrong(
                    "tensor %s has shape %s, the config makes it %s", tensor, tensors.shape(tensor), parameter.shape());
        }
        requireReadable(tensor);
    }

    private void requireReadable(String tensor) throws IOException {
        if (!READABLE.contains(tensors.dtype(tensor))) {
            throw tensors.wrong("tensor %s is %s; weights are F32, BF16 or F16", tensor, tensors.dtype(tensor));
        }
    }
}
