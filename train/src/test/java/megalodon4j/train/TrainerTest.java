package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import megalodon4j.models.LanguageModel;
import megalodon4j.tensor.Backend;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The loop of a run, under a clock of the test's own. */
class TrainerTest {
    private static final long SECOND = 1_000_000_000;

    private static final String DEEP_LLAMA = """
            model: llama
            dim: 64
            depth: 6
            heads: 2
            dim_head: 32
            """;

    private static final String DEEP_MEGALODON = """
            model: megalodon
            model_dim: 64
            num_layers: 6
            num_heads: 2
            z_dim: 64
            value_dim: 64
            ffn_hidden_dim: 128
            cema_ndim: 4
            chunk_size: 16
            norm_num_groups: 16
            """;

    @TempDir
    private Path folder;

    private final AtomicLong clock = new AtomicLong();
    private long outside;

    /** A model for which training on a micro-batch takes a second, and validating or generating with one an hour. */
    private LanguageModel timed(LanguageModel model) {
        return new WatchedModel(model, (tape, _) -> {
            long time = tape.recording() ? SECOND : 3600 * SECOND;
            outside += tape.recording() ? 0 : time;
            clock.addAndGet(time);
        });
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
            var model = timed(config.model().create(backend, config.seed()));
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

    /**
     * As many layers and micro-batches as the configurations of the comparison have: the objects of a step are as many as its operations, however
     * large those are. Widths are such that all kernels use vectors, of which none may become an object.
     */
    @ParameterizedTest
    @CsvSource({"llama, 1", "megalodon, 2"})
    void aStepLeavesLessThan64KilobytesOnTheHeap(String model, int threads) throws IOException {
        var file = Tiny.config(folder, model.equals("llama") ? DEEP_LLAMA : DEEP_MEGALODON);
        var config = Tiny.read(
                file,
                "micro_batch=1",
                "seq_len=32",
                "num_batches=5000",
                "validate_every=0",
                "save_every=0",
                "generate_every=0");
        var run = new RunFolder(folder.resolve("run"));
        run.begin(config);
        try (var backend = Backend.cpu(threads);
                var stop = Stop.never();
                var progress = new Progress(
                        nowhere(), nowhere(), false, 0, config.training().steps(), 1)) {
            var heap = new Heap(stop);
            var corpus = new Corpus("text", BuiltinText.synthetic(4000));
            var trainer = new Trainer(config, corpus, config.model().create(backend, 7), run, heap);
            assertFalse(trainer.run(progress, stop), () -> "never settled, last: " + heap.bytesAStep + " bytes a step");
        }
    }

    /** A clock that stops the run after some steps in a row that have allocated little, on whatever thread. */
    private static final class Heap implements LongSupplier {
        private static final int IN_A_ROW = 20;

        private final com.sun.management.ThreadMXBean threads =
                (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        private final Stop stop;
        private long before;
        private long bytesAStep;
        private boolean end;
        private int small;

        Heap(Stop stop) {
            this.stop = stop;
        }

        /** Read at the beginning and at the end of each step. */
        @Override
        public long getAsLong() {
            if (!end) {
                long now = threads.getTotalThreadAllocatedBytes();
                bytesAStep = now - before;
                before = now;
                small = bytesAStep < 64 << 10 ? small + 1 : 0;
                if (small == IN_A_ROW) {
                    stop.request();
                }
            }
            end = !end;
            return System.nanoTime();
        }
    }

    private static PrintWriter nowhere() {
        return new PrintWriter(Writer.nullWriter());
    }
}
