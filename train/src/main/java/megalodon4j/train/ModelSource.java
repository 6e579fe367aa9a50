package megalodon4j.train;

import java.nio.file.Files;
import java.nio.file.Path;
import megalodon4j.models.HuggingFace;
import megalodon4j.models.LanguageModel;
import megalodon4j.tensor.Backend;
import picocli.CommandLine.Option;

/** Which trained model: a checkpoint, or a config and weights. */
final class ModelSource {
    @Option(
            names = "--ckpt",
            paramLabel = "DIR",
            description = "A checkpoint's folder, or one of the Hugging Face kind.")
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
            return ofCheckpoint();
        }
        if (!Files.isRegularFile(weights)) {
            throw Failure.usage("--weights: %s: %s", weights, Files.exists(weights) ? "not a file" : "no such file");
        }
        return RunConfig.of(ConfigSource.read(config));
    }

    /** To be used, a checkpoint needs no optimizer, and a folder of the Hugging Face kind will do. */
    private RunConfig ofCheckpoint() {
        var yaml = checkpoint.resolve(Checkpoint.CONFIG);
        var json = checkpoint.resolve(HuggingFace.CONFIG);
        if (!Files.isRegularFile(checkpoint.resolve(Checkpoint.WEIGHTS))
                || !Files.isRegularFile(yaml) && !Files.isRegularFile(json)) {
            throw noCheckpoint();
        }
        return RunConfig.of(Files.isRegularFile(yaml) ? ConfigSource.read(yaml) : ConfigSource.readHuggingFace(json));
    }

    private Failure noCheckpoint() {
        var inside = RunFolder.checkpoints(checkpoint);
        return Failure.usage(
                "--ckpt: %s: %s%s",
                checkpoint,
                Files.isDirectory(checkpoint)
                        ? "no checkpoint, which holds %s or %s, and %s"
                                .formatted(Checkpoint.CONFIG, HuggingFace.CONFIG, Checkpoint.WEIGHTS)
                        : "no such folder",
                inside.isEmpty() ? "" : "; it holds " + inside.getLast().folder());
    }

    LanguageModel load(RunConfig of, Backend backend) {
        var model = of.model().create(backend, of.seed());
        Checkpoint.load(model, checkpoint == null ? weights : checkpoint.resolve(Checkpoint.WEIGHTS));
        return model;
    }
}
