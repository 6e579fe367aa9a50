package megalodon4j.train;

import static megalodon4j.train.Tiny.metrics;
import static megalodon4j.train.Tiny.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import megalodon4j.models.HuggingFace;
import megalodon4j.tensor.Backend;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainCommandTest {
    @TempDir
    Path folder;

    private Path config;
    private Path whole;
    private Path resumed;

    @BeforeEach
    void folders() throws IOException {
        config = Tiny.config(folder, Tiny.MEGALODON);
        whole = folder.resolve("whole");
        resumed = folder.resolve("resumed");
    }

    @Test
    void aRunLeavesWhatIsPromised() throws IOException {
        var outcome = train(whole);
        assertEquals(0, outcome.exitCode(), outcome::err);
        var lines = Files.readAllLines(whole.resolve("metrics.jsonl"));
        assertEquals(10 + 4, lines.size()); // validation before steps 0, 4, 8 and at the end
        assertTrue(lines.get(0).matches("\\{\"step\":0,\"val_loss\":[\\d.]+,\"val_bpc\":[\\d.]+}"), lines.get(0));
        var number = "[\\d.E-]+";
        var step =
                "\\{\"step\":0,\"train_loss\":N,\"train_bpc\":N,\"grad_norm\":N,\"lr\":0.01,\"tokens\":64,\"seconds\":N}";
        assertTrue(lines.get(1).matches(step.replace("N", number)), lines.get(1));
        assertTrue(lines.getLast().startsWith("{\"step\":10,\"val_loss\""), lines.getLast());
        for (var name : List.of("3", "6", "9", "final")) {
            for (var file : List.of("model.safetensors", "optimizer.safetensors", "state.json", "config.yaml")) {
                assertTrue(Files.size(whole.resolve("checkpoint_" + name).resolve(file)) > 0, name + "/" + file);
            }
        }
        var model = Tiny.read(config).model();
        assertEquals(
                model,
                HuggingFace.readConfig(whole.resolve("checkpoint_3/config.json"))
                        .config());
        try (var backend = Backend.cpu(1)) {
            assertEquals(
                    model,
                    HuggingFace.load(whole.resolve("checkpoint_final"), backend).config());
        }
        assertEquals(
                Files.readString(whole.resolve("config.yaml")),
                Tiny.read(whole.resolve("config.yaml")).toYaml());
        assertTrue(Files.readString(whole.resolve("samples.txt")).contains("=== step 8, continuation ==="));
        try (var files = Files.list(whole)) {
            assertTrue(files.noneMatch(file -> file.getFileName().toString().startsWith(DurableFiles.ASIDE)));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {Tiny.LLAMA, Tiny.MEGALODON, Tiny.DROPPING})
    void aStoppedRunGoesOnAsOneNeverStopped(String model) throws IOException {
        config = Tiny.config(folder, model);
        assertEquals(0, train(whole).exitCode());
        assertEquals(0, train(resumed, "--set", "num_batches=5").exitCode());
        assertTrue(metrics(resumed).getLast().startsWith("{\"step\":5,\"val_loss\""));
        assertEquals(0, train(resumed, "--resume", "latest").exitCode());
        assertSameRun(whole, resumed);
    }

    @Test
    void aTornLineAndLaterStepsAreCut() throws IOException {
        assertEquals(0, train(whole).exitCode());
        assertEquals(0, train(resumed).exitCode());
        Files.writeString(resumed.resolve("metrics.jsonl"), "{\"step\":10,\"tr", StandardOpenOption.APPEND);
        Files.createDirectory(resumed.resolve(".tmp-checkpoint_12"));
        var outcome = train(resumed, "--resume", resumed.resolve("checkpoint_6"));
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertTrue(outcome.err().contains("superseded"), outcome::err);
        assertSameRun(whole, resumed);
        assertFalse(Files.exists(resumed.resolve(".tmp-checkpoint_12")));
    }

    /** Between its two renames: the newest checkpoint has neither its name nor the old one's. */
    @Test
    void aReplacementThatWasCutShortIsWhereTheRunGoesOn() throws IOException {
        assertEquals(0, train(whole, "--set", "num_batches=9").exitCode());
        var last = whole.resolve("checkpoint_final");
        for (var resume : List.of("latest", last)) {
            Files.createDirectory(whole.resolve(".tmp-old-checkpoint_final"));
            Files.move(last, whole.resolve(".tmp-checkpoint_final"));
            var outcome = train(whole, "--set", "num_batches=9", "--resume", resume);
            assertEquals(0, outcome.exitCode(), outcome::err);
            assertTrue(outcome.out().contains("resume   " + last + ", after 9 steps"), outcome::out);
            assertFalse(Files.exists(whole.resolve(".tmp-old-checkpoint_final")));
        }
    }

    @Test
    void aFinishedRunCanBeExtended() throws IOException {
        assertEquals(0, train(whole, "--set", "num_batches=13").exitCode());
        assertEquals(0, train(resumed).exitCode());
        var outcome = train(resumed, "--resume", "latest", "--set", "num_batches=13");
        assertTrue(outcome.err().contains("num_batches 10 → 13"), outcome::err);
        assertSameRun(whole, resumed);
        assertEquals(
                0,
                train(resumed, "--resume", "latest", "--set", "num_batches=13").exitCode()); // nothing left to do
        assertSameRun(whole, resumed);
    }

    @Test
    void aRunStoppedByASignalGoesOn() throws IOException {
        assertEquals(0, train(whole).exitCode());
        var read = Tiny.read(config, "run_dir=" + resumed);
        var run = new RunFolder(resumed);
        run.begin(read);
        try (var backend = Backend.cpu(1)) {
            var corpus = Corpus.load(read.dataPath());
            var trainer = new Trainer(read, corpus, read.model().create(backend, read.seed()), run);
            var stop = Stop.never();
            var out = new PrintWriter(Writer.nullWriter()) {
                @Override
                public void println(String line) {
                    if (line.startsWith("step 4: validation")) {
                        stop.request();
                    }
                }
            };
            try (var progress = new Progress(out, new PrintWriter(Writer.nullWriter()), false, 0, 10, 64)) {
                assertFalse(trainer.run(progress, stop));
            }
        }
        assertEquals(4, run.latest().orElseThrow().state().step());
        assertEquals(0, train(resumed, "--resume", "latest").exitCode());
        assertSameRun(whole, resumed);
    }

    /** After the first block of the prompt, or in the text that follows. */
    @ParameterizedTest
    @ValueSource(ints = {1, 20})
    void aSampleIsCutShortByAStopAndWrittenWhenTheRunGoesOn(int blocks) throws IOException {
        config = Tiny.config(folder, Tiny.MEGALODON + "cache_unbounded: true\n"); // blocks of a chunk
        assertEquals(0, train(whole).exitCode());
        var read = Tiny.read(config, "run_dir=" + resumed, "generate_length=50");
        var run = new RunFolder(resumed);
        run.begin(read);
        var done = new int[1];
        try (var backend = Backend.cpu(1);
                var progress = nowhere()) {
            var stop = Stop.never();
            var model = new WatchedModel(read.model().create(backend, read.seed()), (_, cache) -> {
                if (cache != null && ++done[0] == blocks) {
                    stop.request();
                }
            });
            assertFalse(new Trainer(read, Corpus.load(read.dataPath()), model, run).run(progress, stop));
        }
        assertEquals(blocks, done[0], "blocks that were read");
        assertEquals(3, run.latest().orElseThrow().state().step());
        assertFalse(Files.exists(run.samples()), "not even a part of it is written");
        assertEquals(0, train(resumed, "--resume", "latest").exitCode());
        assertSameRun(whole, resumed);
    }

    private static Progress nowhere() {
        return new Progress(
                new PrintWriter(Writer.nullWriter()), new PrintWriter(Writer.nullWriter()), false, 0, 10, 64);
    }

    private static void assertSameRun(Path expected, Path actual) throws IOException {
        assertEquals(metrics(expected), metrics(actual));
        assertEquals(
                Files.readString(expected.resolve("samples.txt")), Files.readString(actual.resolve("samples.txt")));
        for (var file : List.of("model.safetensors", "optimizer.safetensors")) {
            assertArrayEquals(
                    Files.readAllBytes(expected.resolve("checkpoint_final").resolve(file)),
                    Files.readAllBytes(actual.resolve("checkpoint_final").resolve(file)));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {Tiny.LLAMA, Tiny.MEGALODON, Tiny.DROPPING})
    void threadsDoNotMatter(String model) throws IOException {
        config = Tiny.config(folder, model);
        assertEquals(0, train(whole, "--threads", 1).exitCode());
        for (int threads = 2; threads <= 3; threads++) {
            var run = folder.resolve("run_on_" + threads);
            assertEquals(0, train(run, "--threads", threads).exitCode());
            assertSameRun(whole, run);
        }
    }

    /** Recorded once: what a step computes must not change unnoticed. Rounding differs between machines. */
    @ParameterizedTest
    @CsvSource({"llama, 5.0368, 4.3379, 3.9870", "megalodon, 5.2412, 3.3286, 3.2140"})
    void lossesAreTheRecordedOnes(String model, double before4, double before8, double atTheEnd) throws IOException {
        config = Tiny.config(folder, model.equals("llama") ? Tiny.LLAMA : Tiny.MEGALODON);
        train(whole);
        var losses = metrics(whole).stream()
                .map(Json.MAPPER::readTree)
                .filter(line -> line.has("val_loss"))
                .mapToDouble(line -> line.get("val_loss").doubleValue())
                .toArray();
        assertArrayEquals(new double[] {before4, before8, atTheEnd}, Arrays.copyOfRange(losses, 1, 4), 1e-3);
    }

    @Test
    void theSeedMatters() throws IOException {
        train(whole, "--set", "num_batches=1");
        train(resumed, "--set", "num_batches=1", "--seed", "8");
        assertNotEquals(metrics(whole), metrics(resumed));
    }

    @ParameterizedTest
    @ValueSource(strings = {Tiny.LLAMA, Tiny.DROPPING})
    void microBatchesMatterByRoundingOnly(String model) throws IOException {
        config = Tiny.config(folder, model);
        train(whole, "--set", "micro_batch=4");
        train(resumed, "--set", "micro_batch=1");
        assertEquals(lastLoss(whole), lastLoss(resumed), 1e-4);
    }

    private static double lastLoss(Path run) throws IOException {
        return Json.MAPPER.readTree(metrics(run).getLast()).required("val_loss").doubleValue();
    }

    @Test
    void aFolderHoldsOneRun() throws IOException {
        train(whole, "--set", "num_batches=4");
        var before = metrics(whole);
        var again = train(whole);
        assertEquals(2, again.exitCode());
        assertTrue(again.error().contains("--resume") && again.error().contains("--run-dir"), again::err);
        assertEquals(before, metrics(whole));

        train(resumed, "--set", "num_batches=3");
        var foreign = train(resumed, "--resume", whole.resolve("checkpoint_3"));
        assertEquals(2, foreign.exitCode(), foreign::err);
        var fork = train(folder.resolve("fork"), "--resume", whole.resolve("checkpoint_3"));
        assertEquals(0, fork.exitCode(), fork::err);
        assertTrue(metrics(folder.resolve("fork")).getFirst().startsWith("{\"step\":3,\"train_loss\""));
    }

    /** Neither from another process nor from this one, and what is there is left as it is. */
    @Test
    void aFolderIsWrittenByOneRunAtATime() throws Exception {
        assertEquals(0, train(whole, "--set", "num_batches=4").exitCode());
        Files.createDirectory(whole.resolve(".tmp-checkpoint_6"));
        var before = metrics(whole);
        var error = "megalodon train: " + whole + ": another run is writing here; --run-dir chooses another folder";
        var log = folder.resolve("log");
        try (var _ = new RunFolder(whole).lock()) {
            var process =
                    Tiny.start(log, "-Xmx200m", "train", "--config", config, "--run-dir", whole, "--resume", "latest");
            assertTrue(process.waitFor(120, TimeUnit.SECONDS));
            assertEquals(2, process.exitValue());
            assertEquals(error, Files.readAllLines(log).getLast());
            assertEquals(error, refused());
            assertEquals(error, refused("--resume", "latest"));
            var page = folder.resolve("page");
            assertEquals(0, run("report", whole, "--out", page).exitCode());
        }
        assertEquals(before, metrics(whole));
        assertTrue(Files.exists(whole.resolve(".tmp-checkpoint_6")));
        assertEquals(0, train(whole, "--resume", "latest").exitCode());
    }

    @Test
    void resumingNothingStartsAnew() throws IOException {
        var outcome = train(whole, "--resume", "latest", "--set", "num_batches=1");
        assertEquals(0, outcome.exitCode());
        assertTrue(outcome.out().contains("no checkpoint: a new run"), outcome::out);
    }

    @Test
    void resumeIsRefusedWhereItCannotBe() throws IOException {
        train(whole, "--set", "num_batches=4");
        assertEquals(
                "megalodon train: " + config + ": model_dim: 32, while the checkpoint "
                        + whole.resolve("checkpoint_final") + " has 16; a resumed run keeps its model",
                refused("--resume", "latest", "--set", "model_dim=32"));
        assertTrue(refused("--resume", "latest", "--set", "num_batches=3").contains("num_batches: 3"));
        assertTrue(refused("--resume", whole).contains("it holds " + whole.resolve("checkpoint_final")));
        assertTrue(refused("--resume", folder.resolve("none")).contains("no such folder"));
        var optimizer = whole.resolve("checkpoint_final/optimizer.safetensors");
        Files.write(optimizer, Arrays.copyOf(Files.readAllBytes(optimizer), 1000));
        var torn = refused("--resume", "latest");
        assertTrue(torn.startsWith("megalodon train: " + optimizer + ": "), torn);
        assertEquals(torn.indexOf(optimizer.toString()), torn.lastIndexOf(optimizer.toString()), torn);
        Files.delete(optimizer);
        assertTrue(refused("--resume", whole.resolve("checkpoint_final")).contains("optimizer.safetensors is missing"));
        assertEquals(3, new RunFolder(whole).latest().orElseThrow().state().step());
    }

    @Test
    void weightsCanBeGiven() throws IOException {
        train(whole, "--set", "num_batches=4");
        var weights = whole.resolve("checkpoint_final/model.safetensors");
        var outcome = train(resumed, "--init-from", weights, "--seed", 99, "--set", "num_batches=1");
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertEquals(
                lastLoss(whole),
                Json.MAPPER
                        .readTree(metrics(resumed).getFirst())
                        .required("val_loss")
                        .doubleValue());
        assertTrue(refused("--init-from", folder.resolve("none")).contains("--init-from: " + folder.resolve("none")));
        var misfit = train(folder.resolve("misfit"), "--init-from", weights, "--set", "model_dim=32");
        assertEquals(2, misfit.exitCode());
        assertTrue(misfit.error().contains(weights.toString()), misfit::err);
        assertFalse(Files.exists(folder.resolve("misfit")), "nothing was written");
    }

    @Test
    void divergenceIsOneLine() throws IOException {
        var outcome = train(whole, "--set", "learning_rate=1e30");
        assertEquals(1, outcome.exitCode());
        var last = outcome.err().lines().toList().getLast();
        assertTrue(last.contains("diverged") && last.contains("step 1"), last);
        assertEquals(2, metrics(whole).size());
    }

    /** The step itself is fine, the weights that it leaves are not: the newest checkpoint stays the one from before. */
    @ParameterizedTest
    @CsvSource({"0, weight_norm is Infinity", "4, a logit of the sample is not finite"})
    void whatHasDivergedIsNotSaved(int generateEvery, String sign) throws IOException {
        assertEquals(0, train(whole, "--set", "num_batches=4").exitCode());
        var sets = "num_batches=5 save_every=5 validate_every=0 learning_rate=1e30 generate_every=" + generateEvery;
        var arguments = new ArrayList<Object>(List.of("--resume", "latest"));
        for (var set : sets.split(" ")) {
            arguments.addAll(List.of("--set", set));
        }
        var outcome = train(whole, arguments.toArray());
        assertEquals(1, outcome.exitCode(), outcome::err);
        var last = outcome.err().lines().toList().getLast();
        assertTrue(last.startsWith("megalodon train: step 5: " + sign + ": the run has diverged; "), last);
        assertEquals(4, new RunFolder(whole).latest().orElseThrow().state().step());
    }

    /** Of the 4 GB that tests have, a single tensor takes more: the embedding, or a step's logits. */
    @Test
    void theHintAtMemoryIsWhatWouldHelp() throws IOException {
        config = Tiny.config(folder, Tiny.LLAMA);
        var model = train(whole, "--set", "num_tokens=1048576", "--set", "dim=2000");
        assertEquals(1, model.exitCode(), model::err);
        assertTrue(model.error().matches(".*out of memory .*MEGALODON_JVM=-Xmx\\d+g, or a smaller model"), model::err);
        var sets = new ArrayList<Object>();
        for (var set :
                "num_tokens=1048576 dim=2 dim_head=2 heads=1 validate_every=0 micro_batch=4 seq_len=256".split(" ")) {
            sets.addAll(List.of("--set", set));
        }
        var step = train(resumed, sets.toArray());
        assertEquals(1, step.exitCode(), step::err);
        assertTrue(step.error().endsWith("g, or a smaller micro_batch"), step::err);
    }

    /** In a heap that holds three times its weights, 32 MB, but not four times. */
    @Test
    void aModelThatIsTooLargeIsToldFromAStepThatIs() throws Exception {
        config = Tiny.config(folder, Tiny.LLAMA);
        var command = new ArrayList<Object>(List.of("train", "--config", config));
        for (var set : "num_tokens=131072 dim=64 validate_every=0".split(" ")) {
            command.addAll(List.of("--set", set));
        }
        var log = folder.resolve("log");
        var process = Tiny.start(log, "-Xmx120m", command.toArray());
        assertTrue(process.waitFor(120, TimeUnit.SECONDS));
        var said = Files.readString(log);
        assertEquals(1, process.exitValue(), said);
        assertTrue(
                said.strip()
                        .endsWith("-Xmx8g, or a smaller model: weights, gradients and moments of this one take 128 MB"),
                said);
    }

    @Test
    void zeroSwitchesOff() throws IOException {
        train(whole, "--set", "validate_every=0", "--set", "save_every=0", "--set", "generate_every=0");
        assertEquals(10, metrics(whole).size());
        assertFalse(Files.exists(whole.resolve("samples.txt")));
        assertFalse(Files.exists(whole.resolve("checkpoint_3")));
        assertTrue(Files.exists(whole.resolve("checkpoint_final")));
    }

    @Test
    void whatIsWrongEndsInOneLine() throws IOException {
        assertEquals(2, run("train").exitCode());
        assertTrue(run("train", "--config", folder.resolve("no.yaml")).error().contains("no.yaml: no such file"));
        assertTrue(refused("--set", "data_path=" + folder.resolve("no.gz")).contains("no.gz: no such file"));
        assertTrue(refused("--threads", "0").contains("--threads: 0"));
        assertTrue(refused("--threads", "1025").contains("--threads: 1025; allowed: a whole number from 1 to 1024"));
        assertTrue(refused("--threads", "few").contains("--threads"));
        assertTrue(refused("--device", "tpu").contains("--device: \"tpu\""));
        assertTrue(refused("--set", "precision=bf16").contains("bf16"));
        assertTrue(refused("--set", "seq_len=1000", "--set", "chunk_size=1000").contains("too short for seq_len 1000"));
        assertTrue(refused("--set", "seq_len=12").contains("seq_len: 12; allowed"));
        assertTrue(refused("--set", "num_tokens=100").contains("num_tokens"));
        for (var run : List.of(config, config.resolve("run"))) {
            var outcome = train(run);
            assertEquals(2, outcome.exitCode(), outcome::err);
            assertEquals("megalodon train: run_dir: " + run + ": " + config + " is not a folder", outcome.error());
        }
        assertFalse(Files.exists(whole));
    }

    private String refused(Object... arguments) {
        var outcome = train(whole, arguments);
        assertEquals(2, outcome.exitCode(), outcome::err);
        return outcome.error();
    }

    private Tiny.Outcome train(Path run, Object... arguments) {
        var all = new ArrayList<Object>(List.of("train", "--config", config, "--run-dir", run));
        all.addAll(List.of(arguments));
        return run(all.toArray());
    }
}
