package megalodon4j.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import megalodon4j.models.EmaChoice;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.MegalodonConfig;
import megalodon4j.models.ModelConfig;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Precision;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code megalodon train}. */
@Command(name = "train", description = "Trains a model as a config says.", sortOptions = false)
final class TrainCommand extends Subcommand {
    private static final String LATEST = "latest";

    @Option(names = "--config", required = true, paramLabel = "F", description = "The config, a YAML file.")
    private Path configFile;

    @Option(names = "--set", paramLabel = "KEY=VALUE", description = "Sets a key of the config; may be repeated.")
    private List<String> sets = List.of();

    @Option(names = "--run-dir", paramLabel = "D", description = "Where the run is written (run_dir of the config).")
    private String runDir;

    @Option(
            names = "--resume",
            paramLabel = "DIR|latest",
            description = "Goes on from a checkpoint, or from the newest one of the run folder.")
    private String resume;

    @Option(names = "--init-from", paramLabel = "W", description = "Starts from the weights of a SafeTensors file.")
    private Path initFrom;

    @Option(names = "--seed", paramLabel = "N", description = "The seed of all that is random (seed of the config).")
    private Long seed;

    @Mixin
    private DeviceOptions device;

    @Override
    int execute() throws IOException {
        var config = config();
        device.check();
        var precision = device.precision(config.precision());
        if (config.dataPath() == null) {
            throw Failure.usage(
                    "%s: data_path: missing; allowed: a file (raw, .gz, .zip) or %s", configFile, BuiltinText.NAME);
        }
        requireInitFrom();
        Destination.requireFolder("run_dir", config.runDir());
        var corpus = Corpus.load(config.dataPath());
        corpus.require(config.seqLen(), config.model());
        var folder = new RunFolder(config.runDir());
        // The process may end on a signal only after the device has been given back. The folder comes last: a run
        // without a device leaves none.
        try (var stop = Stop.onSignal();
                var backend = device.open(precision);
                var _ = folder.lock()) {
            var checkpoint = checkpoint(folder);
            checkpoint.ifPresent(c -> requireSameModel(c, config));
            var model = config.model().create(backend, config.seed());
            if (initFrom != null && checkpoint.isEmpty()) {
                Checkpoint.load(model, initFrom);
            } else if (initFrom != null) {
                note(
                        "--init-from: without effect, since the run goes on from %s",
                        checkpoint.get().folder());
            }
            noteKeys(config);
            describe(config, precision, corpus, model, folder);
            return train(config, corpus, model, folder, checkpoint, stop);
        }
    }

    private RunConfig config() {
        var source = ConfigSource.read(configFile)
                .set(sets)
                .option("--run-dir", "run_dir", runDir)
                .option("--seed", "seed", seed);
        return RunConfig.of(source);
    }

    // --- where to start ---------------------------------------------------------------------------------------------

    /** The checkpoint to go on from. */
    private Optional<Checkpoint> checkpoint(RunFolder folder) throws IOException {
        if (resume == null) {
            if (folder.isTaken()) {
                throw Failure.usage(
                        "%s: holds a run already; --resume latest goes on with it, --run-dir chooses another folder",
                        folder.path());
            }
            return Optional.empty();
        }
        folder.endReplacements();
        if (resume.equals(LATEST)) {
            return folder.latest();
        }
        var checkpoint = Checkpoint.open("--resume", Path.of(resume));
        if (folder.isTaken() && !folder.owns(checkpoint)) {
            throw Failure.usage(
                    "%s: holds another run than %s; --run-dir chooses another folder",
                    folder.path(), checkpoint.folder());
        }
        return Optional.of(checkpoint);
    }

    private void requireInitFrom() {
        if (initFrom != null && resume != null && !resume.equals(LATEST)) {
            throw Failure.usage(
                    "--init-from: %s; not allowed together with --resume, which brings its own weights", initFrom);
        }
        if (initFrom != null && !Files.isRegularFile(initFrom)) {
            throw Failure.usage("--init-from: %s: no such file", initFrom);
        }
    }

    private void requireSameModel(Checkpoint checkpoint, RunConfig config) {
        var then = checkpoint.config().values();
        for (var key : Key.ALL) {
            boolean ofModel = key.owner() != Key.Owner.EVERY
                    || Set.of("model", "num_tokens").contains(key.name());
            var was = then.get(key.name());
            var is = config.values().get(key.name());
            if (ofModel && !ModelConfig.TRAINING_ONLY.contains(key.name()) && !Objects.equals(was, is)) {
                throw Failure.usage(
                        "%s: %s: %s, while the checkpoint %s has %s; a resumed run keeps its model",
                        configFile, key.name(), is, checkpoint.folder(), was);
            }
        }
        if (checkpoint.state().step() > config.training().steps()) {
            throw Failure.usage(
                    "%s: num_batches: %d; the checkpoint %s is %d steps on already",
                    configFile,
                    config.training().steps(),
                    checkpoint.folder(),
                    checkpoint.state().step());
        }
    }

    // --- the run ----------------------------------------------------------------------------------------------------

    private void describe(RunConfig config, Precision precision, Corpus corpus, LanguageModel model, RunFolder folder) {
        var training = config.training();
        say(
                "model    %s, %,d parameters",
                config.model().kind(), model.parameters().count());
        say(
                "data     %s: %,d bytes to train, %,d to validate",
                corpus.name(), corpus.trainSize(), corpus.validationSize());
        say("device   %s, %s", model.backend().describe(), precision.name().toLowerCase(Locale.ROOT));
        say(
                "step     %,d sequences of %,d tokens, %,d at once%s",
                training.sequences(), config.seqLen(), training.microBatch(), ema(config));
        say("run      %s, %,d steps", folder.path(), training.steps());
    }

    private static String ema(RunConfig config) {
        return config.model() instanceof MegalodonConfig m
                ? ", complex EMA by " + (m.cema() == EmaChoice.FFT ? "FFT" : "scan")
                : "";
    }

    private int train(
            RunConfig config,
            Corpus corpus,
            LanguageModel model,
            RunFolder folder,
            Optional<Checkpoint> checkpoint,
            Stop stop)
            throws IOException {
        var trainer = new Trainer(config, corpus, model, folder);
        if (checkpoint.isPresent()) {
            goOn(config, trainer, folder, checkpoint.get());
        } else {
            if (resume != null) {
                say("resume   %s has no checkpoint: a new run", folder.path());
            }
            if (initFrom != null) {
                say("weights  %s", initFrom);
            }
            folder.begin(config);
        }
        long started = System.nanoTime();
        int begun = trainer.step();
        boolean done;
        try (var progress = new Progress(
                out(), err(), Terminal.isStderr(), begun, config.training().steps(), trainer.tokensAStep())) {
            done = trainer.run(progress, stop);
        } catch (OutOfMemoryError | CudaException.OutOfMemory e) {
            throw Failure.outOfMemory(
                    e, 0, config.training().microBatch() > 1 ? "a smaller micro_batch" : "a smaller seq_len");
        }
        var time = Progress.duration((System.nanoTime() - started) * 1e-9);
        if (done) {
            say("done     %,d steps in %s; %s", trainer.step() - begun, time, folder.finalCheckpoint());
        } else {
            say(
                    "stopped  after step %,d of %,d; --resume latest goes on",
                    trainer.step(), config.training().steps());
        }
        return done ? 0 : Stop.EXIT_CODE;
    }

    private void goOn(RunConfig config, Trainer trainer, RunFolder folder, Checkpoint checkpoint) throws IOException {
        trainer.restore(checkpoint);
        if (checkpoint.state().checksum() != trainer.checksum()) {
            note("the data are not those of the checkpoint: from here on this is another run");
        }
        noteChanges(checkpoint, config);
        say("resume   %s, after %,d steps", checkpoint.folder(), trainer.step());
        var state = checkpoint.state();
        var later = folder.rewind(config, state);
        if (!later.isEmpty()) {
            note("%s: later checkpoints are now called superseded_…: %s", folder.path(), String.join(", ", later));
        }
    }

    private void noteChanges(Checkpoint checkpoint, RunConfig config) {
        var then = checkpoint.config().values();
        var changed = then.keySet().stream()
                .filter(key -> !key.equals("run_dir")
                        && !Objects.equals(then.get(key), config.values().get(key)))
                .map(key -> key + " " + then.get(key) + " → " + config.values().get(key))
                .collect(Collectors.joining(", "));
        if (!changed.isEmpty()) {
            note("changed since the checkpoint: %s", changed);
        }
    }

    private void say(String format, Object... arguments) {
        out().println(String.format(Locale.ROOT, format, arguments));
        out().flush();
    }
}
