package megalodon4j.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine;

/** Models and data so small that a run takes moments. */
final class Tiny {
    static final String LLAMA = """
            model: llama
            dim: 16
            depth: 1
            heads: 2
            dim_head: 8
            """;

    static final String MEGALODON = """
            model: megalodon
            model_dim: 16
            num_layers: 2
            num_heads: 2
            z_dim: 8
            value_dim: 16
            ffn_hidden_dim: 24
            cema_ndim: 2
            chunk_size: 8
            norm_num_groups: 4
            """;

    static final String DROPPING = MEGALODON + """
            dropout: 0.1
            attention_dropout: 0.2
            hidden_dropout: 0.1
            """;

    private static final String RUN = """
            seq_len: 16
            num_batches: 10
            batch_size: 2
            grad_accum_every: 2
            learning_rate: 0.01
            grad_clip_norm: 1.0
            validate_every: 4
            val_batches: 3
            save_every: 3
            generate_every: 2
            generate_prompt_len: 12
            generate_length: 6
            """;

    private Tiny() {}

    /** A config file in the folder, with data beside it. */
    static Path config(Path folder, String model) throws IOException {
        var data = folder.resolve("data.txt");
        Files.write(data, BuiltinText.synthetic(4000));
        var config = folder.resolve("config.yaml");
        var paths = "data_path: " + data + "\nrun_dir: " + folder.resolve("run") + "\n";
        return Files.writeString(config, model + RUN + paths);
    }

    static RunConfig read(Path config, String... sets) {
        return RunConfig.of(ConfigSource.read(config).set(List.of(sets)));
    }

    /** What a command did. */
    record Outcome(int exitCode, String out, String err) {
        /** The one line of an error. */
        String error() {
            if (err.lines().count() != 1) {
                throw new AssertionError("one line expected, got " + err);
            }
            return err.strip();
        }
    }

    static Outcome run(Object... arguments) {
        return run(Main.commandLine(), arguments);
    }

    static Outcome run(CommandLine main, Object... arguments) {
        var out = new StringWriter();
        var err = new StringWriter();
        var words = new ArrayList<String>();
        for (var argument : arguments) {
            words.add(String.valueOf(argument));
        }
        int exitCode =
                main.setOut(new PrintWriter(out)).setErr(new PrintWriter(err)).execute(words.toArray(String[]::new));
        return new Outcome(exitCode, out.toString(), err.toString());
    }

    /** Starts the command in a JVM of its own, with one more flag; what it says goes to the log. */
    static Process start(Path log, String flag, Object... command) throws IOException {
        var java = Path.of(System.getProperty("java.home"), "bin/java").toString();
        var all = new ArrayList<>(
                List.of(java, "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"));
        all.addAll(List.of("-XX:TieredStopAtLevel=1", flag));
        all.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        for (var word : command) {
            all.add(word.toString());
        }
        var builder = new ProcessBuilder(all).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().put("SIMULATED_DEVICE_REPORT", "1");
        return builder.start();
    }

    /** The lines of a metrics file without the time they took. */
    static List<String> metrics(Path run) throws IOException {
        try (var lines = Files.lines(run.resolve("metrics.jsonl"), StandardCharsets.UTF_8)) {
            return lines.map(line -> line.replaceAll(",\"seconds\":[^}]*", "")).toList();
        }
    }
}
