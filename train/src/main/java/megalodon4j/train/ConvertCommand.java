package megalodon4j.train;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import megalodon4j.models.HuggingFace;
import megalodon4j.models.MegalodonConfig;
import megalodon4j.models.ModelConfig;
import megalodon4j.models.Weights;
import megalodon4j.models.Weights.Layout;
import megalodon4j.tensor.SafeTensors.DType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code megalodon convert}. */
@Command(
        name = "convert",
        description = {
            "Renames weights between the two PyTorch layouts of a Megalodon; every tensor is checked against the config.",
            "A Llama's names are the same in both: its file is checked and copied. With --to hf a Megalodon's "
                    + "config.json is written beside the output, unless there is one."
        },
        sortOptions = false)
final class ConvertCommand extends Subcommand {
    @Option(names = "--in", required = true, paramLabel = "W", description = "The weights, a SafeTensors file.")
    private Path in;

    @Option(names = "--out", required = true, paramLabel = "W2", description = "Where the result is written.")
    private Path out;

    @Option(
            names = "--to",
            required = true,
            paramLabel = "hf|wrapper",
            description = "The Hugging Face model's names, or the training repository's.")
    private String to;

    @Option(
            names = "--config",
            paramLabel = "F",
            description = "The config (config.json or config.yaml beside the weights).")
    private Path config;

    @Option(
            names = "--dtype",
            paramLabel = "f32|bf16",
            description = "How matrices are written (as they are); all else is always f32.")
    private String dtype;

    @Override
    int execute() throws IOException {
        var layout = choice("--to", to, Layout.values());
        var type = dtype == null ? null : choice("--dtype", dtype, DType.F32, DType.BF16);
        requireFiles();
        var file = configFile();
        var model = model(file);
        var from = convert(model, layout, type);
        out().printf(
                        "%s (%s) → %s (%s), checked against %s%n",
                        in, name(from), out, name(model instanceof MegalodonConfig ? layout : from), file);
        if (layout == Layout.HF && model instanceof MegalodonConfig megalodon) {
            writeConfig(megalodon);
        }
        out().flush();
        return 0;
    }

    @SafeVarargs
    private static <E extends Enum<E>> E choice(String option, String word, E... allowed) {
        var words = new StringBuilder();
        for (var one : allowed) {
            if (name(one).equals(word)) {
                return one;
            }
            words.append(words.isEmpty() ? "" : " or ").append(name(one));
        }
        throw Failure.usage("%s: %s; allowed: %s", option, Kind.show(word), words);
    }

    private static String name(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private void requireFiles() throws IOException {
        if (!Files.isRegularFile(in)) {
            throw Failure.usage("--in: %s: %s", in, Files.exists(in) ? "not a file" : "no such file");
        }
        Destination.requireFile("--out", out);
        if (Files.exists(out) && Files.isSameFile(in, out)) {
            throw Failure.usage("--out: %s: is --in itself, which is never overwritten; another name is needed", out);
        }
        DeviceOptions.requireFolder("--out", out.toAbsolutePath().getParent());
    }

    private Path configFile() {
        if (config != null) {
            return config;
        }
        var json = in.resolveSibling(HuggingFace.CONFIG);
        var yaml = in.resolveSibling(Checkpoint.CONFIG);
        if (!Files.isRegularFile(json) && !Files.isRegularFile(yaml)) {
            throw Failure.usage(
                    "--config: missing, and there is neither %s nor %s beside %s",
                    HuggingFace.CONFIG, Checkpoint.CONFIG, in);
        }
        return Files.isRegularFile(json) ? json : yaml;
    }

    private ModelConfig model(Path file) {
        boolean json = file.toString().endsWith(".json");
        var config = RunConfig.of(json ? ConfigSource.readHuggingFace(file) : ConfigSource.read(file));
        noteKeys(config);
        return config.model();
    }

    private Layout convert(ModelConfig model, Layout layout, DType type) throws IOException {
        try {
            return Weights.convert(model, in, out, layout, type);
        } catch (IOException e) {
            boolean ofInput = e instanceof FileSystemException f
                    ? in.toString().equals(f.getFile())
                    : Failure.reason(e).startsWith(in + ": ");
            if (ofInput) {
                throw Failure.of(in, e);
            }
            throw DurableFiles.named(out, e);
        }
    }

    private void writeConfig(MegalodonConfig model) throws IOException {
        var file = out.resolveSibling(HuggingFace.CONFIG);
        if (!Files.exists(file)) {
            DurableFiles.writeFile(file, aside -> HuggingFace.writeConfig(model, aside));
            out().printf("%s: written, for Python%n", file);
        }
    }
}
