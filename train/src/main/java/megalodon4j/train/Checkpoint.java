package megalodon4j.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import megalodon4j.autograd.Adam;
import megalodon4j.models.HuggingFace;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.MegalodonConfig;
import megalodon4j.models.Weights;
import megalodon4j.tensor.SafeTensors;
import tools.jackson.core.JacksonException;

/** A folder that holds all a run needs to go on, or a model to be used. */
record Checkpoint(Path folder, State state) {
    static final String CONFIG = "config.yaml";
    static final String WEIGHTS = "model.safetensors";
    private static final String OPTIMIZER = "optimizer.safetensors";
    private static final String STATE = "state.json";
    private static final List<String> FILES = List.of(STATE, WEIGHTS, OPTIMIZER, CONFIG);

    /**
     * Where a run stands.
     *
     * @param step training steps done
     * @param tokens trained on so far
     * @param sequences drawn from the training split so far: with the seed, all there is to the sampler
     * @param samplesBytes the length of samples.txt
     * @param sampleDue whether it lacks the sample of this step, which a stop has cut short
     * @param checksum of the data
     */
    record State(
            int step, long tokens, long sequences, long seed, long samplesBytes, boolean sampleDue, long checksum) {
        private String toJson(String device) {
            var json = Json.object().put("format", 1).put("step", step).put("tokens", tokens);
            json.putObject("rng").put("algorithm", "philox4x32-10").put("seed", seed);
            json.putObject("data").put("sequences", sequences).put("crc32", checksum);
            json.put("samples_bytes", samplesBytes).put("sample_due", sampleDue);
            json.putObject("versions")
                    .put("megalodon4j", Main.version())
                    .put("java", Runtime.version().toString())
                    .put("device", device);
            return Json.MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n";
        }

        private static State read(Path file) throws IOException {
            try {
                var json = Json.MAPPER.readTree(Files.readString(file));
                return new State(
                        json.required("step").intValue(),
                        json.required("tokens").longValue(),
                        json.required("data").required("sequences").longValue(),
                        json.required("rng").required("seed").longValue(),
                        json.required("samples_bytes").longValue(),
                        json.path("sample_due").asBoolean(false),
                        json.required("data").required("crc32").longValue());
            } catch (JacksonException e) {
                throw new IOException(file + ": not the state of a run: " + e.getOriginalMessage(), e);
            }
        }
    }

    /** @throws Failure if the folder is no complete checkpoint */
    static Checkpoint open(String option, Path folder) {
        var missing = FILES.stream()
                .filter(f -> !Files.isRegularFile(folder.resolve(f)))
                .findFirst();
        if (missing.isPresent()) {
            var what = Files.isDirectory(folder)
                    ? "no complete checkpoint: " + missing.get() + " is missing"
                    : "no such folder";
            var found = RunFolder.checkpoints(folder);
            var hint = found.isEmpty() ? "" : "; it holds " + found.getLast().folder();
            throw Failure.usage("%s: %s: %s%s", option, folder, what, hint);
        }
        try {
            return new Checkpoint(folder, State.read(folder.resolve(STATE)));
        } catch (IOException e) {
            throw Failure.usage("%s: %s", option, e.getMessage()).causedBy(e);
        }
    }

    /** The folder's checkpoint if it is complete. */
    static Optional<Checkpoint> find(Path folder) {
        try {
            return Optional.of(open("", folder));
        } catch (Failure e) {
            return Optional.empty();
        }
    }

    RunConfig config() {
        return RunConfig.of(ConfigSource.read(folder.resolve(CONFIG)));
    }

    /** What wrote it: the device in words, and the version of Java. */
    record Versions(String device, String java) {}

    Versions versions() {
        try {
            var versions = Json.MAPPER
                    .readTree(Files.readString(folder.resolve(STATE)))
                    .required("versions");
            return new Versions(
                    versions.required("device").stringValue(),
                    versions.required("java").stringValue());
        } catch (IOException | JacksonException e) {
            throw Failure.usage("%s: %s", folder.resolve(STATE), Failure.reason(e))
                    .causedBy(e);
        }
    }

    /** Sets the model's weights and the optimizer to what was saved. */
    void restore(LanguageModel model, Adam adam) {
        load(model, folder.resolve(WEIGHTS));
        var file = folder.resolve(OPTIMIZER);
        try {
            var moments = SafeTensors.read(file);
            for (var parameter : model.parameters()) {
                adam.m(parameter).set(moments.floats("exp_avg." + parameter.name()));
                adam.v(parameter).set(moments.floats("exp_avg_sq." + parameter.name()));
            }
        } catch (IOException | IllegalArgumentException e) {
            throw Failure.of(file, e);
        }
        adam.steps(state.step);
    }

    /** {@link Weights#load}, with the file's name in what is wrong. */
    static void load(LanguageModel model, Path file) {
        try {
            Weights.load(model, file);
        } catch (IOException | IllegalArgumentException e) {
            throw Failure.of(file, e);
        }
    }

    /** Writes a checkpoint; it is there as a whole or not at all. */
    static void write(Path folder, RunConfig config, LanguageModel model, Adam adam, State state) throws IOException {
        DurableFiles.writeFolder(folder, aside -> {
            Weights.save(model, aside.resolve(WEIGHTS));
            var moments = new ArrayList<SafeTensors.Source>();
            for (var parameter : model.parameters()) {
                moments.add(SafeTensors.f32("exp_avg." + parameter.name(), adam.m(parameter)));
                moments.add(SafeTensors.f32("exp_avg_sq." + parameter.name(), adam.v(parameter)));
            }
            SafeTensors.write(aside.resolve(OPTIMIZER), Map.of("format", "pt"), moments);
            Files.writeString(aside.resolve(STATE), state.toJson(model.backend().describe()));
            Files.writeString(aside.resolve(CONFIG), config.toYaml());
            if (config.model() instanceof MegalodonConfig megalodon) {
                HuggingFace.writeConfig(megalodon, aside.resolve(HuggingFace.CONFIG)); // for Python, with the weights
            }
        });
    }
}
