package megalodon4j.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code megalodon bench curve}: what a token of a text costs as the text grows, as CSV, picture and table. */
@Command(
        name = "megalodon bench curve",
        mixinStandardHelpOptions = true,
        description =
                "Generates long texts; writes time and memory a token as the text grows to runs/bench/curve.csv and .png.")
final class Curve implements Callable<Integer> {
    private static final int TENTHS = 10;
    private static final Map<String, Integer> TEXTS = new LinkedHashMap<>();

    static {
        TEXTS.put("megalodon", 100_000);
        TEXTS.put("llama", 16_384);
    }

    @Spec
    private CommandSpec spec;

    @Option(
            names = "--text",
            paramLabel = "MODEL=TOKENS",
            description =
                    "A text: megalodon or llama, and at least 50 tokens. Without one: megalodon=100000 llama=16384.")
    private Map<String, Integer> texts = new LinkedHashMap<>();

    @Option(names = "--cores", paramLabel = "N", description = "Threads; all cores without it.")
    private int cores = Runtime.getRuntime().availableProcessors();

    @Option(names = "--out", paramLabel = "FOLDER", description = "Where the files go: ${DEFAULT-VALUE}.")
    private Path folder = Path.of("runs", "bench");

    private final PrintStream out;

    Curve(PrintStream out) {
        this.out = out;
    }

    @Override
    public Integer call() throws IOException {
        var wanted = texts.isEmpty() ? TEXTS : texts;
        check(wanted);
        Files.createDirectories(folder); // before the work: a folder that cannot be made must not cost it
        out.println("megalodon4j " + Machine.commit() + ": " + cores + (cores == 1 ? " thread" : " threads") + "\n"
                + Machine.describe());
        var points = new ArrayList<CurvePoint>();
        wanted.forEach((model, tokens) -> points.addAll(CurvePoint.measure(model, tokens, cores)));
        Path csv = folder.resolve("curve.csv"), picture = folder.resolve("curve.png");
        Files.write(csv, CurvePoint.csv(points));
        out.println("\n" + table(points));
        CurvePicture.save(points, picture);
        out.println("kept in " + csv + " and " + picture);
        return 0;
    }

    private void check(Map<String, Integer> wanted) {
        if (cores < 1) {
            throw new ParameterException(spec.commandLine(), "--cores must be at least 1, got " + cores);
        }
        wanted.forEach((model, tokens) -> {
            try {
                Models.config(model);
            } catch (IllegalArgumentException e) {
                throw new ParameterException(spec.commandLine(), "--text: " + e.getMessage());
            }
            if (tokens < CurvePoint.POINTS) {
                throw new ParameterException(
                        spec.commandLine(),
                        "--text " + model + ": at least " + CurvePoint.POINTS + " tokens are needed, got " + tokens);
            }
        });
    }

    /** One line for each tenth of each text: the median of its points. */
    static String table(List<CurvePoint> points) {
        var lines = new ArrayList<List<String>>();
        lines.add(List.of("model", "tokens", "ms/token", "tokens/s", "of reading speed", "MB of the text"));
        for (var model : points.stream().map(CurvePoint::model).distinct().toList()) {
            var own = points.stream().filter(p -> p.model().equals(model)).toList();
            int each = own.size() / TENTHS;
            for (int tenth = 0; tenth < TENTHS; tenth++) {
                int from = tenth == 0 ? 0 : own.get(tenth * each - 1).tokens();
                lines.add(line(from, CurvePoint.median(own.subList(tenth * each, (tenth + 1) * each))));
            }
        }
        return Table.align(lines);
    }

    private static List<String> line(int from, CurvePoint p) {
        return List.of(
                p.model(),
                String.format(Locale.ROOT, "%,d–%,d", from, p.tokens()),
                Table.number(p.milliseconds()),
                Table.number(1e3 / p.milliseconds()),
                String.format(Locale.ROOT, "%.0f %%", 100 * p.readMilliseconds() / p.milliseconds()),
                Table.number(p.megabytes()));
    }
}
