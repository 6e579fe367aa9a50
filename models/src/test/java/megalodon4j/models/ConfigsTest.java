package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import megalodon4j.autograd.Parameters;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Presets, builders, and vocabularies of any size. */
class ConfigsTest {
    @Test
    void presetsHaveTheSizesTheyAreKnownFor() {
        assertEquals(11_277_696, MegalodonConfig.enwik8().outline().parameters().count());
        assertEquals(12_489_600, LlamaConfig.enwik8().outline().parameters().count());
        assertEquals(2048, MegalodonConfig.base().chunkSize());
        assertEquals(100_000, MegalodonConfig.sevenB().ropeBase());
        assertEquals(1536, LlamaConfig.base().hiddenDim());
    }

    @Test
    void anOutlineHasTheParametersOfTheModelAndNoValues() {
        try (var backend = Backend.cpu(1)) {
            for (var config : List.of(TinyModels.megalodon(0), TinyModels.llama())) {
                assertEquals(
                        shapes(config.create(backend, 1).parameters()),
                        shapes(config.outline().parameters()));
            }
        }
        var large = MegalodonConfig.sevenB().toBuilder().numLayers(1000).build().outline();
        assertTrue(large.parameters().count() > 200e9);
        assertThrows(
                UnsupportedOperationException.class,
                () -> large.generate(new int[] {1}, GenerationOptions.of(Sampling.plain(), 1)));
    }

    private static List<String> shapes(Parameters parameters) {
        var shapes = new ArrayList<String>();
        parameters.forEach(parameter -> shapes.add(parameter.toString()));
        return shapes;
    }

    @Test
    void aBuilderChangesWhatIsSet() {
        for (var config : List.of(MegalodonConfig.enwik8(), MegalodonConfig.base(), MegalodonConfig.sevenB())) {
            assertEquals(config, config.toBuilder().build());
            var other = config.toBuilder().dropout(0.1).cema(EmaChoice.FFT).build();
            assertEquals(0.1, other.dropout());
            assertEquals(
                    config, other.toBuilder().dropout(0).cema(EmaChoice.AUTO).build());
        }
        var builder = MegalodonConfig.enwik8().toBuilder().numHeads(5);
        assertTrue(assertThrows(IllegalArgumentException.class, builder::build)
                .getMessage()
                .startsWith("z_dim: 192 is not allowed"));
    }

    @Test
    void whatConcernsTrainingAloneAreSettings() {
        assertTrue(MegalodonConfig.base().settings().keySet().containsAll(ModelConfig.TRAINING_ONLY));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 300, 1021})
    void anyVocabulary(int tokens) {
        try (var backend = Backend.cpu(1)) {
            var megalodon =
                    TinyModels.megalodon(0).toBuilder().numTokens(tokens).build();
            var llama = new LlamaConfig(tokens, 16, 1, 2, 8, false, null);
            var ids = IntStream.range(0, 10).map(i -> i * 7 % tokens).toArray();
            for (var config : List.of(megalodon, llama)) {
                var model = config.create(backend, 1);
                try (var tape = Tape.training(backend)) {
                    var loss = model.loss(tape, ids, ids, 2, null);
                    assertEquals(tokens, model.logits(tape, ids, 2).shape().columns());
                    tape.backward(loss.losses());
                }
                var options = GenerationOptions.of(Sampling.plain(), 5).seed(3);
                var text = model.generate(ids, options).tokens();
                assertEquals(5, text.length);
                assertTrue(IntStream.of(text).allMatch(token -> token < tokens));
                assertArrayEquals(
                        text,
                        new Generator(model, options).generate(ids, _ -> {}).tokens());
                assertThrows(IllegalArgumentException.class, () -> model.generate(new int[] {tokens}, options));
            }
        }
    }
}
