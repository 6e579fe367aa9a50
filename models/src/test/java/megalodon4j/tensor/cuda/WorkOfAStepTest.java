package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import megalodon4j.autograd.Adam;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.models.EmaChoice;
import megalodon4j.models.InitMode;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.LlamaConfig;
import megalodon4j.models.MegalodonConfig;
import megalodon4j.models.ModelConfig;
import megalodon4j.tensor.Precision;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The table of launches, FLOPs and bytes in docs/cuda.md is what the device counts. */
class WorkOfAStepTest {
    private static final int SEQUENCES = 16;
    private static final int TOKENS = 512;
    private static final Path TABLE = Path.of("../docs/cuda.md");

    private CudaBackend backend;

    @BeforeEach
    void open() {
        backend = new CudaBackend(0, SimulatedDevice.home(), Precision.TF32);
        SimulatedDevice.dry(true);
    }

    @AfterEach
    void close() {
        SimulatedDevice.dry(false);
        backend.close();
    }

    @Test
    void llama() throws IOException {
        check("Llama", LlamaConfig.enwik8());
    }

    @Test
    void megalodonByScan() throws IOException {
        check("Megalodon, EMA by scan", megalodon(EmaChoice.SCAN));
    }

    @Test
    void megalodonByFft() throws IOException {
        check("Megalodon, EMA by FFT", megalodon(EmaChoice.FFT));
    }

    private static MegalodonConfig megalodon(EmaChoice ema) {
        return new MegalodonConfig(
                256,
                384,
                6,
                3,
                192,
                384,
                1024,
                8,
                256,
                32,
                0,
                0,
                0,
                true,
                false,
                false,
                true,
                null,
                InitMode.BERT,
                false,
                0,
                ema);
    }

    private void check(String name, ModelConfig config) throws IOException {
        var model = config.create(backend, 1);
        var adam = new Adam(model.parameters(), 0.9f, 0.999f, 1e-8f);
        forwardAndBackward(model); // the first time loads kernels, and clears Adam's moments
        adam.step(1e-3f, 0, 1);
        backend.device().counters().reset();
        forwardAndBackward(model);
        var step = row(name + ", forward and backward");
        backend.device().counters().reset();
        adam.step(1e-3f, 0, 1);
        var update = row(name + ", clipping and Adam");
        var table = Files.readString(TABLE);
        assertTrue(
                table.contains(step) && table.contains(update), TABLE + " lacks these rows:\n" + step + "\n" + update);
    }

    private static void forwardAndBackward(LanguageModel model) {
        var ids = new int[SEQUENCES * TOKENS];
        Arrays.setAll(ids, i -> i % 256);
        try (var tape = Tape.training(model.backend())) {
            var logits = model.logits(tape, ids, SEQUENCES);
            tape.backward(Ops.crossEntropy(logits, ids, 1f / ids.length));
        }
    }

    private String row(String name) {
        var counters = backend.device().counters();
        long kernels =
                counters.kernels().values().stream().mapToLong(Long::longValue).sum();
        return String.format(
                Locale.ROOT,
                "| %s | %d | %d | %d | %d | %.1f | %.2f |",
                name,
                kernels,
                counters.products(),
                counters.transforms(),
                counters.copies(),
                counters.productFlops() * 1e-9,
                counters.bytes() * 1e-9);
    }
}
