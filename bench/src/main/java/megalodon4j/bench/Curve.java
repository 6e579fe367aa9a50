package megalodon4j.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.knowm.xchart.XYChart;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What the curves have in common: they are measured with so many threads and kept as CSV and picture. */
@Command(mixinStandardHelpOptions = true)
abstract class Curve implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(names = "--cores", paramLabel = "N", description = "Threads; all cores without it.")
    private int cores = Runtime.getRuntime().availableProcessors();

    @Option(names = "--out", paramLabel = "FOLDER", description = "Where the files go: ${DEFAULT-VALUE}.")
    private Path folder = Path.of("runs", "bench");

    private final PrintStream out;

    Curve(PrintStream out) {
        this.out = out;
    }

    @Override
    public final Integer call() throws IOException {
        require(cores >= 1, "--cores must be at least 1, got " + cores);
        check();
        Files.createDirectories(folder); // before the work: a folder that cannot be made must not cost it
        out.println("megalodon4j " + Machine.commit() + ": " + cores + (cores == 1 ? " thread" : " threads") + "\n"
                + Machine.describe());
        measure(out, cores);
        return 0;
    }

    /** Refuses what cannot be measured. */
    abstract void check();

    abstract void measure(PrintStream out, int cores) throws IOException;

    /** The command line is wrong unless the condition holds. */
    final void require(boolean holds, String message) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), message);
        }
    }

    final void requireModel(String option, String name) {
        try {
            Models.config(name);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), option + ": " + e.getMessage());
        }
    }

    /** The points of each model, in the order in which they come. */
    static <P> Map<String, List<P>> byModel(List<P> points, Function<P, String> model) {
        return points.stream().collect(Collectors.groupingBy(model, LinkedHashMap::new, Collectors.toList()));
    }

    /** Writes the files {@code name.csv} and {@code name.png}, and prints the table. */
    final void keep(String name, List<String> csv, String table, XYChart... panels) throws IOException {
        Path points = folder.resolve(name + ".csv"), picture = folder.resolve(name + ".png");
        Files.write(points, csv);
        out.println("\n" + table);
        CurvePicture.save(picture, panels);
        out.println("kept in " + points + " and " + picture);
    }
}
