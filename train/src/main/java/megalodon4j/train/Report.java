package megalodon4j.train;

import com.samskivert.mustache.Mustache;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import megalodon4j.train.History.Point;
import tools.jackson.databind.node.ArrayNode;

/** The page that {@code report.html} beside this class makes of runs: its words, ready to be put there. */
final class Report {
    /** More points than this tell the eye no more. */
    private static final int POINTS = 250;

    private static final int COLOURS = 8;
    private static final String NONE = "–";
    private static final String CHART_JS = "META-INF/resources/webjars/chart.js/%s/dist/chart.umd.min.js";

    private final List<ReportedRun> runs;
    private final int meanOf;

    private Report(List<ReportedRun> runs) {
        this.runs = runs;
        int longest = runs.stream()
                .mapToInt(run -> run.history().training().size())
                .max()
                .orElse(0);
        meanOf = Math.max(1, Math.ceilDiv(longest, POINTS));
    }

    /** One page of HTML that asks nothing of the network. */
    static String html(List<ReportedRun> runs) {
        var report = new Report(runs);
        return Mustache.compiler()
                .withLoader(Report::resource)
                .compile(resource("report.html"))
                .execute(report.page());
    }

    // --- what the template knows ------------------------------------------------------------------------------------

    private record Page(
            String title,
            String version,
            boolean several,
            int meanOf,
            int warmUp,
            List<Row> rows,
            List<Setting> differences,
            List<Setting> shared,
            boolean hasSamples,
            String chartJs,
            String curves) {
        boolean averaged() {
            return meanOf > 1;
        }

        boolean hasConfigs() {
            return !differences.isEmpty() || !shared.isEmpty();
        }

        int columns() {
            return rows.size() + 1;
        }
    }

    /** A run: its line of the table, and its samples. All lists but {@code earlier} hold one value or none. */
    private record Row(
            int index,
            int colour,
            String name,
            String model,
            String parameters,
            String steps,
            List<String> stepsToDo,
            String tokens,
            String finalBpc,
            String bestBpc,
            List<String> bestStep,
            String secondsAStep,
            String tokensPerSecond,
            String time,
            List<Checkpoint.Versions> versions,
            List<Sample> newest,
            List<Sample> earlier) {
        boolean hasEarlier() {
            return !earlier.isEmpty();
        }
    }

    /**
     * A key of the configs.
     *
     * @param values in each run
     * @param distinct those of the runs that have a config, each once
     */
    private record Setting(String key, List<String> values, List<String> distinct) {
        boolean differs() {
            return distinct.size() > 1;
        }

        /** What it is in all. */
        String value() {
            return distinct.getFirst();
        }
    }

    private Page page() {
        boolean several = runs.size() > 1;
        var settings = settings();
        return new Page(
                several
                        ? runs.size() + " runs side by side"
                        : "Run " + runs.getFirst().name(),
                Main.version(),
                several,
                meanOf,
                History.WARM_UP,
                IntStream.range(0, runs.size()).mapToObj(this::row).toList(),
                settings.stream().filter(Setting::differs).toList(),
                settings.stream().filter(setting -> !setting.differs()).toList(),
                runs.stream().anyMatch(run -> !run.samples().isEmpty()),
                chartJs(),
                curves());
    }

    // --- the table --------------------------------------------------------------------------------------------------

    private Row row(int index) {
        var run = runs.get(index);
        var history = run.history();
        var samples = run.samples().reversed();
        return new Row(
                index,
                index % COLOURS,
                run.name(),
                show(run.config(), config -> config.model().kind()),
                show(run.config(), config -> text("%,d", parameters(config))),
                text("%,d", history.steps()),
                run.stepsToDo().map(steps -> text("%,d", steps)).stream().toList(),
                history.training().isEmpty()
                        ? NONE
                        : text("%,d", history.training().getLast().tokens()),
                show(history.lastValidation(), point -> text("%.4f", point.bpc())),
                show(history.bestValidation(), point -> text("%.4f", point.bpc())),
                history.bestValidation().map(point -> text("%,.0f", point.step())).stream()
                        .toList(),
                show(history.medianSeconds(), seconds -> text("%.3f", seconds)),
                show(history.tokensPerSecond(), speed -> text("%,.0f", speed)),
                time(history.seconds()),
                run.newest().map(Checkpoint::versions).stream().toList(),
                samples.stream().limit(1).toList(),
                samples.stream().skip(1).toList());
    }

    private static <T> String show(Optional<T> value, Function<T, String> as) {
        return value.map(as).orElse(NONE);
    }

    private static String text(String format, Object value) {
        return String.format(Locale.ROOT, format, value);
    }

    private static long parameters(RunConfig config) {
        return config.model().outline().parameters().count();
    }

    private static String time(double seconds) {
        long s = Math.round(seconds);
        return String.format(Locale.ROOT, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    }

    // --- configs ----------------------------------------------------------------------------------------------------

    /** Every key that a run has, but the folder's name. */
    private List<Setting> settings() {
        return Key.ALL.stream()
                .map(Key::name)
                .filter(key -> !key.equals("run_dir"))
                .map(key -> new Setting(
                        key,
                        values(key, run -> true),
                        values(key, run -> run.config().isPresent()).stream()
                                .distinct()
                                .toList()))
                .filter(setting -> setting.values().stream().anyMatch(value -> !value.equals(NONE)))
                .toList();
    }

    private List<String> values(String key, Predicate<ReportedRun> of) {
        return runs.stream().filter(of).map(run -> setting(run, key)).toList();
    }

    private static String setting(ReportedRun run, String key) {
        return run.config()
                .map(RunConfig::values)
                .filter(values -> values.containsKey(key))
                .map(values -> shown(values.get(key)))
                .orElse(NONE);
    }

    private static String shown(Object value) {
        return value instanceof Double number ? Kind.plain(number) : Objects.toString(value, "none");
    }

    // --- curves -----------------------------------------------------------------------------------------------------

    private String curves() {
        var json = Json.object();
        var all = json.putArray("runs");
        for (var run : runs) {
            var one = all.addObject().put("name", run.name());
            addPoints(one.putArray("validation"), run.history().validation());
            addPoints(one.putArray("training"), run.history().trainingMeans(meanOf));
        }
        return Json.line(json).replace("<", "\\u003c"); // no text of it ends the script element
    }

    private static void addPoints(ArrayNode to, List<Point> points) {
        for (var point : points) {
            to.addArray()
                    .add(rounded(point.step(), 10))
                    .add(rounded(point.seconds(), 100))
                    .add(rounded(point.bpc(), 1e5));
        }
    }

    private static double rounded(double value, double per) {
        return Math.round(value * per) / per;
    }

    // --- files of the class path ------------------------------------------------------------------------------------

    private static Reader resource(String name) {
        return new InputStreamReader(found(Report.class.getResourceAsStream(name), name), StandardCharsets.UTF_8);
    }

    /** Chart.js, whose folder bears its version. */
    private static String chartJs() {
        try (var properties = library("META-INF/maven/org.webjars.npm/chart.js/pom.properties")) {
            var pom = new Properties();
            pom.load(properties);
            try (var script = library(CHART_JS.formatted(pom.getProperty("version")))) {
                // Browsers' tools would ask for the map, which is not there.
                return new String(script.readAllBytes(), StandardCharsets.UTF_8)
                        .replaceAll("(?m)^//# sourceMappingURL=.*$", "")
                        .strip();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Of another module, which a class loader reaches and a class does not. */
    private static InputStream library(String name) {
        return found(Report.class.getClassLoader().getResourceAsStream(name), name);
    }

    private static InputStream found(InputStream resource, String name) {
        return Objects.requireNonNull(resource, name);
    }
}
