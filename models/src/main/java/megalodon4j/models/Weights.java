package megalodon4j.models;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import megalodon4j.autograd.Parameter;
import megalodon4j.tensor.SafeTensors;
import megalodon4j.tensor.SafeTensors.DType;
import megalodon4j.tensor.Shape;

/**
 * A model's weights as SafeTensors under the names that PyTorch's {@code state_dict} has.
 *
 * <p>Read are both {@linkplain Layout layouts}, tensors of F32, BF16 and F16 (widened, which is exact), and a tied
 * Megalodon's {@code lm_head.weight} if it equals the embedding or stands for it. A Llama's {@code rotary_emb.freqs}, which
 * follow from the config, are passed over.
 *
 * <p>Written are F32, or BF16 for the ordinary weights: the matrices that products take, which are the parameters of
 * rank 2 named {@code ….weight} (linear layers, embedding, head). Norms, biases, gammas, betas and all of the EMA stay
 * F32: they are few, and the EMA's decay rates lie so close to 1 that 8 bits would change how long it remembers.
 */
public final class Weights {
    private static final Map<String, String> METADATA = Map.of("format", "pt");

    private Weights() {}

    /** How the tensors of a Megalodon are named; a Llama's names are the same in both. */
    public enum Layout {
        /** The Hugging Face model's names, such as {@code model.embed.weight}. */
        HF(""),
        /** Those of the training repository's wrapper, which puts one more {@code model.} in front. */
        WRAPPER("model.");

        private final String prefix;

        Layout(String prefix) {
            this.prefix = prefix;
        }

        /** The tensor's name for a parameter of such a model. */
        String tensor(LanguageModel model, String parameter) {
            return model instanceof Megalodon ? prefix + parameter : parameter;
        }
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /**
     * Reads all weights of a model; a file that is refused leaves the model as it was.
     *
     * @throws IOException if the file cannot be read, or its tensors are not those of the model: the message names one
     *     that is missing, too much, doubled, or of the wrong shape or type
     */
    public static void load(LanguageModel model, Path file) throws IOException {
        var source = WeightsFile.open(model, file);
        for (var parameter : model.parameters()) {
            parameter.value().set(source.floats(parameter));
        }
    }

    // --- writing ----------------------------------------------------------------------------------------------------

    /** Writes all as F32 in the Hugging Face layout. */
    public static void save(LanguageModel model, Path file) throws IOException {
        save(model, file, Layout.HF, DType.F32);
    }

    /**
     * Writes what PyTorch's {@code state_dict} holds, so that a strict {@code load_state_dict} takes it: a tied
     * Megalodon's {@code lm_head.weight} as well, which is a copy of the embedding, and a Llama's frequencies.
     *
     * @param dtype of the ordinary weights
     * @throws IllegalArgumentException if the type is not F32 or BF16
     */
    public static void save(LanguageModel model, Path file, Layout layout, DType dtype) throws IOException {
        requireWritable(dtype);
        SafeTensors.write(file, METADATA, stateDict(model, layout, (parameter, as) -> {
            boolean half = dtype == DType.BF16 && isOrdinary(parameter);
            return source(as, parameter, half, parameter.value()::toArray);
        }));
    }

    /**
     * Rewrites a file in a layout, every tensor checked against the config. The output appears as a whole or not at all.
     *
     * @param dtype of the ordinary weights, F32 or BF16; null leaves each what it is
     * @return the layout of the input
     * @throws IOException as {@link #load}
     * @throws IllegalArgumentException if the output is the input, or the type is not F32 or BF16
     */
    public static Layout convert(ModelConfig config, Path in, Path out, Layout to, DType dtype) throws IOException {
        if (dtype != null) {
            requireWritable(dtype);
        }
        var model = config.outline();
        var source = WeightsFile.open(model, in);
        if (Files.exists(out) && Files.isSameFile(in, out)) {
            throw new IllegalArgumentException(out + ": is the input itself, which stays as it is");
        }
        var metadata = new HashMap<>(source.metadata());
        metadata.putAll(METADATA);
        var tensors = stateDict(model, to, (parameter, as) -> {
            boolean half = isOrdinary(parameter) && (dtype == null ? source.dtype(parameter) : dtype) == DType.BF16;
            return source(as, parameter, half, () -> unchecked(source, parameter));
        });
        try {
            SafeTensors.write(out, metadata, tensors);
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        return source.layout();
    }

    private static void requireWritable(DType dtype) {
        if (dtype != DType.F32 && dtype != DType.BF16) {
            throw new IllegalArgumentException("weights are written as F32 or BF16, not " + dtype);
        }
    }

    /** Whether BF16 is enough for it. */
    private static boolean isOrdinary(Parameter parameter) {
        return parameter.shape().rank() == 2 && parameter.name().endsWith(".weight");
    }

    private interface Encoder {
        SafeTensors.Source apply(Parameter parameter, String as) throws IOException;
    }

    private static List<SafeTensors.Source> stateDict(LanguageModel model, Layout layout, Encoder encoder)
            throws IOException {
        var tensors = new ArrayList<SafeTensors.Source>();
        for (var parameter : model.parameters()) {
            tensors.add(encoder.apply(parameter, layout.tensor(model, parameter.name())));
        }
        if (model instanceof Megalodon && !model.parameters().contains(WeightsFile.HEAD)) {
            var embedding = model.parameters().get(WeightsFile.EMBEDDING);
            tensors.add(encoder.apply(embedding, layout.tensor(model, WeightsFile.HEAD)));
        }
        if (model instanceof Llama llama) {
            tensors.addAll(frequencies(llama));
        }
        return tensors;
    }

    private static List<SafeTensors.Source> frequencies(Llama model) {
        var shape = Shape.of(model.config().dimHead() / 2);
        return IntStream.range(0, model.config().depth())
                .mapToObj(layer -> SafeTensors.f32(WeightsFile.frequencies(layer), shape, model::ropeFrequencies))
                .toList();
    }

    private static SafeTensors.Source source(String name, Parameter parameter, boolean half, Supplier<float[]> data) {
        return half ? SafeTensors.bf16(name, parameter.shape(), data) : SafeTensors.f32(name, parameter.shape(), data);
    }

    private static float[] unchecked(WeightsFile source, Parameter parameter) {
        try {
            return source.floats(parameter);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
