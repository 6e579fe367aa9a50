package megalodon4j.models;

import java.util.Random;
import megalodon4j.tensor.Backend;

/** Models so small that a test takes moments, every parameter of them random. */
final class TinyModels {
    private TinyModels() {}

    static MegalodonConfig megalodon(int outputSize) {
        return new MegalodonConfig(
                256,
                16,
                2,
                2,
                8,
                16,
                24,
                2,
                8,
                4,
                0,
                0,
                0,
                true,
                false,
                false,
                true,
                null,
                InitMode.HE,
                false,
                outputSize,
                EmaChoice.AUTO);
    }

    static LlamaConfig llama() {
        return new LlamaConfig(256, 16, 1, 2, 8, true, null);
    }

    static <M extends LanguageModel> M random(M model, long seed) {
        var random = new Random(seed);
        for (var p : model.parameters()) {
            var elements = new float[p.shape().elements()];
            for (int i = 0; i < elements.length; i++) {
                elements[i] = (float) random.nextGaussian() * 0.3f;
            }
            p.value().set(elements);
        }
        return model;
    }

    static Megalodon megalodon(Backend backend, long seed) {
        return random(megalodon(0).create(backend, seed), seed);
    }
}
