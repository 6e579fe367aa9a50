package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import megalodon4j.autograd.Parameters;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.models.Cache;
import megalodon4j.models.CacheOptions;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.ModelConfig;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The loop of a run, under a clock of the test's own. */
class TrainerTest {
    private static final long SECOND = 1_000_000_000;

    @TempDir
    private Path folder;

    private final AtomicLong clock = new AtomicLong();
    private long outside;

    /** A model for which training on a micro-batch takes a second, and validating or generating with one an hour. */
    private final class Timed implements LanguageModel {
        private final LanguageModel model;

        Timed(LanguageModel model) {
            this.model = model;
        }

        @Override
        public ModelConfig config() {
            return model.config();
        }

        @Override
        public Backend backend() {
            return model.backend();
        }

        @Override
        public Parameters parameters() {
            return model.parameters();
        }

        @Override
        public Variable hidden(
                Tape tape, int[] ids, int batch, Tensor mask, Cache cache, Consumer<? super Variable> layerOutputs) {
            long time = tape.recording() ? SECOND : 3600 * SECOND;
            outside += tape.recording() ? 0 : time;
            clock.addAndGet(time);
            return model.hidden(tape, ids, batch, mask, cache, layerOutputs);
        }

        @Override
        public Variable head(Variable hidden) {
            return model.head(hidden);
        }

        @Override
        public Cache newCache(int batch, CacheOptions options) {
            return model.newCache(batch, options);
        }
    }

    @Test
    void theSecondsOfAllStepsAreTheTimeOfTheRunWithoutValidationAndSamples() throws IOException {
        var config = Tiny.read(Tiny.config(folder, Tiny.LLAMA), "micro_batch=1");
        var run = new RunFolder(folder.resolve("run"));
        run.begin(config);
        try (var backend = Backend.cpu(1);
                var stop = Stop.never();
                var progress = new Progress(
                        nowhere(), nowhere(), false, 0, config.training().steps(), 1)) {
            var model = new Timed(config.model().create(backend, config.seed()));
            var corpus = new Corpus("text", BuiltinText.synthetic(4000));
            assertTrue(new Trainer(config, corpus, model, run, clock::get).run(progress, stop));
        }
        var seconds = Files.readAllLines(run.metrics()).stream()
                .map(Json.MAPPER::readTree)
                .filter(line -> line.has("seconds"))
                .mapToDouble(line -> line.get("seconds").doubleValue())
                .toArray();
        assertEquals(config.training().steps(), seconds.length);
        double sum = 0;
        for (double step : seconds) {
            assertEquals(config.training().sequences(), step);
            sum += step;
        }
        assertTrue(outside > 0);
        assertEquals((clock.get() - outside) / (double) SECOND, sum);
    }

    private static PrintWriter nowhere() {
        return new PrintWriter(Writer.nullWriter());
    }
}
