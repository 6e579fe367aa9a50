package megalodon4j.train;

import static megalodon4j.train.Tiny.run;
import static megalodon4j.train.Tiny.start;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import megalodon4j.tensor.cuda.SimulatedDevice;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --device cuda} from the command line: with the simulated device, and with no CUDA at all. */
class CudaCommandLineTest {
    private static final String NOTHING_LEFT = "simulated device: 0 objects and 0 bytes outstanding";

    @TempDir
    private Path folder;

    private Path config;

    @BeforeEach
    void writeConfig() throws IOException {
        config = Tiny.config(folder, Tiny.MEGALODON);
    }

    // --- what a run leaves behind on the device ---------------------------------------------------------------------

    @Test
    void aRunLeavesNothingBehind() {
        var outcome = train("--set", "num_batches=2");
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertTrue(outcome.out().contains("device   cuda (simulated device), tf32"), outcome::out);
        assertEquals(0, SimulatedDevice.outstanding());

        var checkpoint = folder.resolve("run/checkpoint_final");
        var scored = run(cuda("score", "--ckpt", checkpoint, "--data", folder.resolve("data.txt"), "--seq-len", 64));
        assertEquals(0, scored.exitCode(), scored::err);
        var generated = run(cuda("generate", "--ckpt", checkpoint, "--prompt", "A", "--max-new-tokens", 3));
        assertEquals(0, generated.exitCode(), generated::err);
        assertEquals(0, SimulatedDevice.outstanding());
    }

    @Test
    void aRunThatFailsLeavesNothingBehind() {
        var outcome = train("--set", "learning_rate=1e30", "--set", "validate_every=0");
        assertEquals(1, outcome.exitCode(), outcome::err);
        assertTrue(outcome.err().contains("the run has diverged"), outcome::err);
        assertEquals(0, SimulatedDevice.outstanding());
    }

    /** In a process of its own, whose last words are the simulated device's. */
    @Test
    void aRunThatIsInterruptedLeavesNothingBehind() throws Exception {
        var log = folder.resolve("log");
        var process = start(
                log,
                "-Dmegalodon.cuda.cache=" + SimulatedDevice.home().resolve("cubins"),
                cuda("train", "--config", config, "--set", "num_batches=100000"));
        try {
            awaitSteps(process, log);
            process.destroy(); // SIGTERM, which ends a JVM as Ctrl-C does; processes in the background ignore the
            // latter
            assertTrue(process.waitFor(120, TimeUnit.SECONDS), () -> read(log));
            assertEquals(143, process.exitValue(), () -> read(log));
            assertTrue(read(log).contains("stopped  after step"), () -> read(log));
            assertTrue(read(log).contains(NOTHING_LEFT), () -> read(log));
        } finally {
            process.destroyForcibly();
        }
    }

    private void awaitSteps(Process process, Path log) throws InterruptedException {
        var metrics = folder.resolve("run/metrics.jsonl");
        while (!Files.exists(metrics) || !read(metrics).contains("train_loss")) {
            assertTrue(process.isAlive(), () -> read(log));
            Thread.sleep(50);
        }
    }

    // --- without CUDA -----------------------------------------------------------------------------------------------

    @Test
    void withoutCudaARunEndsInOneLine() throws IOException {
        var empty = Files.createDirectory(folder.resolve("empty"));
        var outcome = withFolders(empty, "train", "--config", config, "--device", "cuda");
        assertEquals(1, outcome.exitCode());
        assertEquals(
                "megalodon train: --device: cuda is not available: libcuda.so not found; searched: " + empty
                        + ". --cuda-home or CUDA_HOME names a folder that has it",
                outcome.error());
        assertFalse(Files.exists(folder.resolve("run")));
    }

    @Test
    void withoutCudaTheDoctorSaysSo() throws IOException {
        var empty = Files.createDirectory(folder.resolve("empty"));
        var outcome = withFolders(empty, "doctor", "--json");
        assertEquals(0, outcome.exitCode(), outcome::err);
        var cuda = Json.MAPPER.readTree(outcome.out()).get("cuda");
        assertFalse(cuda.get("available").booleanValue());
        assertTrue(cuda.get("reason").stringValue().contains("libcuda.so not found"), cuda::toString);
        assertEquals(0, cuda.get("libraries").size() + cuda.get("gpus").size());
    }

    private static Tiny.Outcome withFolders(Path folders, Object... command) {
        System.setProperty("megalodon.cuda.folders", folders.toString());
        try {
            return run(command);
        } finally {
            System.clearProperty("megalodon.cuda.folders");
        }
    }

    @Test
    void aRunOnTheCpuLoadsNothingOfCuda() throws Exception {
        var log = folder.resolve("log");
        var process =
                start(log, "-Xlog:class+load=info:stdout:none", "train", "--config", config, "--set", "num_batches=1");
        assertTrue(process.waitFor(120, TimeUnit.SECONDS), () -> read(log));
        assertEquals(0, process.exitValue(), () -> read(log));
        assertTrue(read(log).contains("megalodon4j.tensor.cpu.CpuBackend "), "classes are logged");
        var loaded = read(log)
                .lines()
                .filter(line -> line.startsWith("megalodon4j.tensor.cuda."))
                .toList();
        assertEquals(List.of(), loaded);
    }

    // --- with it ----------------------------------------------------------------------------------------------------

    @Test
    void theDoctorListsWhatThereIs() {
        var outcome = run("doctor", "--cuda-home", SimulatedDevice.home());
        assertEquals(0, outcome.exitCode(), outcome::err);
        var lines = outcome.out()
                .lines()
                .filter(line -> line.startsWith("CUDA") || line.startsWith("GPU"))
                .toList();
        assertEquals(5, lines.size(), outcome::out);
        assertEquals(
                "CUDA     driver for CUDA 13.0 from " + SimulatedDevice.home().resolve("libcuda.so.1"),
                lines.getFirst());
        assertEquals("GPU      cuda:0: simulated device, compute capability 9.0, 1,048,576 MB", lines.getLast());
    }

    @Test
    void whatIsWrongEndsInOneLine() {
        refused(2, "--threads: 2; not allowed together with --device cuda", "--threads", 2);
        refused(2, "--cuda-home: nowhere: no such folder", "--cuda-home", "nowhere");
        refused(1, "no GPU 1; there are 1, counted from 0", "--device", "cuda:1");
        var cpu = run("train", "--config", config, "--cuda-home", folder);
        assertEquals(2, cpu.exitCode());
        assertTrue(cpu.error().contains("allowed only together with --device cuda"), cpu::err);
        assertFalse(Files.exists(folder.resolve("run")));
        assertEquals(0, SimulatedDevice.outstanding());
    }

    private void refused(int exitCode, String expected, Object... arguments) {
        var outcome = train(arguments);
        assertEquals(exitCode, outcome.exitCode(), outcome::err);
        assertTrue(outcome.error().contains(expected), outcome::err);
    }

    /** On a device whose own working memory, 32 MB, leaves little or nothing of it. */
    @Test
    void theHintAtMemoryIsWhatWouldHelp() {
        assertEquals(0, train("--set", "num_batches=1").exitCode());
        var checkpoint = folder.resolve("run/checkpoint_final");
        var data = folder.resolve("data.txt");
        outOfMemory(32, "a smaller model", "generate", "--ckpt", checkpoint, "--prompt", "A");
        outOfMemory(32, "a smaller model", "score", "--ckpt", checkpoint, "--data", data);
        // Three times the embedding's 2 MB would fit, four times do not.
        var model = "a smaller model: weights, gradients and moments of this one take 8 MB";
        outOfMemory(39, model, training("num_tokens=32768"));
        var step = "seq_len=256 batch_size=8 validate_every=0 micro_batch=";
        outOfMemory(33, "a smaller micro_batch", training(step + 8));
        outOfMemory(33, "a smaller seq_len", training(step + 1));
    }

    private Object[] training(String sets) {
        var all = new ArrayList<Object>(List.of("train", "--config", config, "--run-dir", folder.resolve(sets)));
        for (var set : sets.split(" ")) {
            all.addAll(List.of("--set", set));
        }
        return all.toArray();
    }

    private static void outOfMemory(int megabytes, String less, Object... command) {
        SimulatedDevice.memory(megabytes);
        try {
            var outcome = run(cuda(command));
            assertEquals(1, outcome.exitCode(), outcome::err);
            var error = outcome.err().lines().toList().getLast(); // behind the prompt
            assertTrue(error.contains("CUDA_ERROR_OUT_OF_MEMORY"), error);
            assertTrue(error.endsWith("; a larger GPU is needed, or " + less), error);
            assertEquals(0, SimulatedDevice.outstanding());
        } finally {
            SimulatedDevice.memory(SimulatedDevice.ENOUGH_MEGABYTES);
        }
    }

    // ----------------------------------------------------------------------------------------------------------------

    private Tiny.Outcome train(Object... arguments) {
        var all = new ArrayList<Object>(List.of("train", "--config", config));
        all.addAll(List.of(arguments));
        return run(cuda(all.toArray()));
    }

    /** The command on the simulated device, unless it says otherwise itself. */
    private static Object[] cuda(Object... command) {
        var all = new ArrayList<>(List.of(command));
        if (!all.contains("--device")) {
            all.addAll(List.of("--device", "cuda"));
        }
        if (!all.contains("--cuda-home")) {
            all.addAll(List.of("--cuda-home", SimulatedDevice.home()));
        }
        return all.toArray();
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }
}
