package megalodon4j.train;

import java.nio.file.Files;
import java.nio.file.Path;
import megalodon4j.models.LanguageModel;
import megalodon4j.tensor.Backend;
import picocli.CommandLine.Option;

/** Which trained model: a checkpoint, or a config and weights. */
final class ModelSource {
    @Option(names = "--ckpt", paramLabel = "DIR", description = "A checkpoint folder.")
    private Path checkpoint;

    @Option(names = "--config", paramLabel = "F", description = "A config, in place of --ckpt.")
    private Path config;

    @Option(
            names = "--weights",
            paramLabel = "W",
            description = "The weights that go with --config, a SafeTensors file.")
    private Path weights;

    RunConfig config() {
        if ((checkpoint == null) == (config == null) || (config == null) != (weights == null)) {
            throw Failure.usage("--ckpt DIR is needed, or --config F together with --weights W");
        }
        if (checkpoint != null) {
            requireCheckpoint();
            return RunConfig.of(ConfigSource.read(checkpoint.resolve(Checkpoint.CONFIG)));
        }
        if (!Files.isRegularFile(weights)) {
            throw Failure.usage("--weights: %s: %s", weights, Files.exists(weights) ? "not a file" : "no such file");
        }
        return RunConfig.of(ConfigSource.read(config));
    }

    /** To be used, a checkpoint needs no optimizer. */
    private void requireCheckpoint() {
        if (!Files.isRegularFile(checkpoint.resolve(Checkpoint.CONFIG))
                || !Files.isRegularFile(checkpoint.resolve(Checkpoint.WEIGHTS))) {
            var inside = RunFolder.checkpoints(checkpoint);
            var hint = inside.isEmpty() ? "" : "; it holds " + inside.getLast().folder();
            throw Failure.usage(
                    "--ckpt: %s: %s%s",
                    checkpoint,
                    Files.isDirectory(checkpoint)
                            ? "no checkpoint, which holds " + Checkpoint.CONFIG + " and " + Checkpoint.WEIGHTS
                            : "no such folder",
                    hint);
        }
    }

    LanguageModel load(RunConfig of, Backend backend) {
        var model = of.model().create(backend, of.seed());
        Checkpoint.load(model, checkpoint == null ? weights : checkpoint.resolve(Checkpoint.WEIGHTS));
        return model;
    }
}
