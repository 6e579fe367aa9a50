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

    /** Writes the points that there are: a measurement that is broken off keeps them. */
    final void keep(String name, List<String> csv) throws IOException {
        Files.write(file(name, "csv"), csv);
    }

    /** Prints the table of all points and draws their picture. */
    final void show(String name, String table, XYChart... panels) throws IOException {
        out.println("\n" + table);
        CurvePicture.save(file(name, "png"), panels);
        out.println("kept in " + file(name, "csv") + " and " + file(name, "png"));
    }

    private Path file(String name, String ending) {
        return folder.resolve(name + "." + ending);
    }
}
