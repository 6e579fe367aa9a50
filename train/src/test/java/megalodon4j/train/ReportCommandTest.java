package megalodon4j.train;

import static megalodon4j.train.Tiny.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

class ReportCommandTest {
    @TempDir
    static Path folder;

    private static Path megalodon;
    private static Path llama;

    @TempDir
    Path scratch;

    @BeforeAll
    static void train() throws IOException {
        megalodon = folder.resolve("megalodon");
        llama = folder.resolve("llama");
        train(Tiny.MEGALODON, megalodon);
        train(Tiny.LLAMA, llama);
    }

    private static void train(String model, Path run) throws IOException {
        var outcome = Tiny.run("train", "--config", Tiny.config(folder, model), "--run-dir", run, "--threads", 1);
        assertEquals(0, outcome.exitCode(), outcome::err);
    }

    @Test
    void runsOfBothModelsStandSideBySide() throws IOException {
        var page = report(megalodon, llama);
        for (var run : List.of(megalodon, llama)) {
            var row = row(page, run.getFileName().toString());
            assertEquals(run.getFileName().toString(), row.get(1)); // each trained the model of its name
            assertEquals(parameters(run), row.get(2));
            assertEquals("10", row.get(3));
            assertEquals("640", row.get(4));
            var last = Files.readAllLines(run.resolve("metrics.jsonl")).getLast();
            var bpc = Json.MAPPER.readTree(last).get("val_bpc").doubleValue();
            assertEquals("%.4f".formatted(bpc), row.get(5));
            assertTrue(row.get(7).matches("\\d+\\.\\d{3}"), row::toString);
            assertTrue(row.get(10).startsWith("cpu (1 thread"), row::toString);
            assertTrue(row.get(10).endsWith("Java " + Runtime.version()), row::toString);
        }
        assertTrue(page.contains("<code>z_dim</code></th><td><code>8</code></td><td><code>–</code></td>"));
        assertTrue(page.contains("<dt><code>seq_len</code></dt><dd><code>16</code></dd>"));
        assertFalse(page.contains("<code>run_dir</code>"));
    }

    private static String parameters(Path run) {
        var total = run("summary", "--config", run.resolve("config.yaml"))
                .out()
                .lines()
                .toList()
                .getLast();
        return total.substring(total.lastIndexOf(' ') + 1);
    }

    @Test
    void curvesAreThoseOfTheMetrics() throws IOException {
        var runs = curves(report(megalodon, llama));
        assertEquals("megalodon", runs.get(0).get("name").stringValue());
        assertEquals("llama", runs.get(1).get("name").stringValue());
        double clock = 0;
        int validations = 0;
        int steps = 0;
        for (var line : Files.readAllLines(megalodon.resolve("metrics.jsonl"))) {
            var json = Json.MAPPER.readTree(line);
            boolean validation = json.has("val_bpc");
            var point = validation
                    ? runs.get(0).get("validation").get(validations++)
                    : runs.get(0).get("training").get(steps++);
            var expected = new double[] {
                json.get("step").doubleValue(),
                clock,
                json.get(validation ? "val_bpc" : "train_bpc").doubleValue()
            };
            var found = IntStream.range(0, 3)
                    .mapToDouble(i -> point.get(i).doubleValue())
                    .toArray();
            assertArrayEquals(expected, found, 0.00501); // seconds are rounded to hundredths
            assertEquals(expected[2], found[2], 1e-5);
            clock += json.path("seconds").asDouble(0);
        }
        assertEquals(validations, runs.get(0).get("validation").size());
        assertEquals(steps, runs.get(0).get("training").size());
    }

    @Test
    void longTrainingCurvesBecomeMeans() {
        var steps = IntStream.range(0, 7)
                .mapToObj(s -> new History.Step(new History.Point(s, 10 * s, s * s), s + 1, 10))
                .toList();
        var means = new History(List.of(), steps, false).trainingMeans(3);
        assertEquals(
                List.of(
                        new History.Point(1, 10, 5 / 3.0),
                        new History.Point(4, 40, 50 / 3.0),
                        new History.Point(6, 60, 36)),
                means);
    }

    @Test
    void whatIsMeasuredLeavesOutTheWarmUp() throws IOException {
        var lines = new StringBuilder("{\"step\":0,\"val_loss\":3,\"val_bpc\":4.5}\n");
        for (int step = 0; step < 12; step++) { // 100 s for each of the first 8, then 4, 2, 8, 6
            lines.append("{\"step\":%d,\"train_bpc\":4.0,\"tokens\":%d,\"seconds\":%d}\n"
                    .formatted(step, 50 * (step + 1), step < 8 ? 100 : new int[] {4, 2, 8, 6}[step - 8]));
        }
        lines.append("{\"step\":8,\"val_bpc\":2.5}\n{\"step\":12,\"val_bpc\":3.5}\n");
        var row = row(report(metrics("alone", lines.toString())), "alone");
        assertEquals(
                List.of("alone", "–", "–", "12", "600", "3.5000", "2.5000 at step 8", "5.000", "10", "0:13:40", "–"),
                row);
    }

    @Test
    void aRunThatGoesOnIsShownAsFarAsItIs() throws IOException {
        var run = Files.createDirectory(scratch.resolve("going"));
        Files.copy(llama.resolve("config.yaml"), run.resolve("config.yaml"));
        var lines = Files.readString(llama.resolve("metrics.jsonl"));
        Files.writeString(run.resolve("metrics.jsonl"), lines.substring(0, lines.indexOf("{\"step\":4,\"train") + 30));
        Files.writeString(run.resolve("samples.txt"), new Sample(2, "a", "b").toText() + "=== step 4, prompt ===\nha");
        var outcome = run("report", run, llama, "--out", scratch.resolve("page"));
        assertEquals(0, outcome.exitCode());
        assertTrue(outcome.err().startsWith("note: " + run + ": the last line"), outcome::err);
        var page = Files.readString(scratch.resolve("page"));
        assertEquals("4 of 10", row(page, "going").get(3));
        assertEquals("–", row(page, "going").get(10));
        assertEquals("10", row(page, "llama").get(3));
        assertTrue(page.contains("<span class=\"prompt\">a</span>b</pre>"));
        assertFalse(page.contains("step 4, prompt"));
    }

    @Test
    void aRunWithoutAStepHasNoNumbers() throws IOException {
        var row = row(report(metrics("new", "")), "new");
        assertEquals(List.of("new", "–", "–", "0", "–", "–", "–", "–", "–", "0:00:00", "–"), row);
    }

    @Test
    void textStaysText() throws IOException {
        var evil = "</script><script>alert('1')</script> & \"<b>\"";
        var run = metrics("a<b> & 'c'", "{\"step\":0,\"val_bpc\":4.5}\n");
        Files.writeString(run.resolve("samples.txt"), new Sample(1, evil, "{{name}}" + evil).toText());
        var page = report(run);
        assertEquals(3, page.split("</script>", -1).length - 1); // data, Chart.js, ours
        assertFalse(page.contains("alert('1')"));
        assertFalse(page.contains("a<b>"));
        assertTrue(page.contains("{{name}}&lt;/script&gt;"));
        assertEquals("a<b> & 'c'", curves(page).get(0).get("name").stringValue());
    }

    @Test
    void thePageNeedsNothingElse() throws IOException {
        var page = report(megalodon);
        assertTrue(page.contains("Chart.js v4"));
        for (var reference :
                List.of("<link", "<img", "<iframe", " src=", " href=", "@import", "url(", "sourceMapping")) {
            assertFalse(page.contains(reference), reference);
        }
    }

    @Test
    void samplesSurviveTheirFile() throws IOException {
        var samples = List.of(
                new Sample(0, "", ""),
                new Sample(100, "one\n\ntwo\n", "three\n\n\n"),
                new Sample(200, "=== step 7, prompt ===", "=== step 7, continuation ===\n"));
        var file = scratch.resolve("samples.txt");
        Files.writeString(
                file, String.join("", samples.stream().map(Sample::toText).toList()));
        assertEquals(samples, Sample.read(file));
    }

    @Test
    void samplesHaveTheSameDigitsInAnyLocale() {
        var before = Locale.getDefault();
        Locale.setDefault(Locale.of("ar", "EG"));
        try {
            assertTrue(new Sample(100, "a", "b").toText().startsWith("=== step 100, prompt ==="));
        } finally {
            Locale.setDefault(before);
        }
    }

    @Test
    void runsOfOneNameAreToldApartByTheirPaths() throws IOException {
        var other = scratch.resolve("llama");
        Files.createDirectory(other);
        Files.copy(llama.resolve("metrics.jsonl"), other.resolve("metrics.jsonl"));
        var names = curves(report(llama, other))
                .valueStream()
                .map(run -> run.get("name").stringValue());
        assertEquals(List.of(llama.toString(), other.toString()), names.toList());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    nonsense            | line 2
                    {"step":1}          | train_bpc
                    {"step":1,"val_bpc":"low"} | line 2
                    [1]                 | line 2
                    {"step":1,"train_bpc":2,"tokens":3} | seconds
                    """)
    void aLineThatIsNoneOfARunsIsNamed(String line, String named) throws IOException {
        var valid = "{\"step\":0,\"val_bpc\":4.5}\n";
        assertRefused(named, "report", metrics("broken", valid + line + "\n" + valid));
    }

    /** Nothing in the folder may be looked at, or its files but not their names. */
    @ParameterizedTest
    @ValueSource(strings = {"---------", "--x--x--x"})
    void aFolderThatMayNotBeReadIsToldAsSuch(String permissions) throws IOException {
        var run = metrics("locked", "{\"step\":0,\"val_bpc\":4.5}\n");
        var before = Files.getPosixFilePermissions(run);
        Files.setPosixFilePermissions(run, PosixFilePermissions.fromString(permissions));
        try {
            assumeFalse(Files.isReadable(run), "the superuser may read all");
            assertRefused(run + ": permission denied", "report", run);
        } finally {
            Files.setPosixFilePermissions(run, before);
        }
    }

    @Test
    void whatIsWrongEndsInOneLine() throws IOException {
        var file = Files.writeString(scratch.resolve("file"), "");
        assertRefused("RUN", "report");
        assertRefused("none: no such folder", "report", scratch.resolve("none"));
        assertRefused("not a run, which holds metrics.jsonl", "report", scratch);
        assertRefused("file: a file; the folder of a run is needed", "report", file);
        assertRefused("given twice", "report", llama, llama.resolve("../llama"));
        assertRefused("--out: " + scratch + ": a folder", "report", llama, "--out", scratch);
        assertRefused("no such folder", "report", llama, "--out", scratch.resolve("none/page.html"));
        assertRefused(
                "metrics.jsonl: not a folder", "report", llama, "--out", llama.resolve("metrics.jsonl/page.html"));
        var socket = scratch.resolve("socket");
        try (var server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
            assertRefused(
                    "--out: " + socket + ": neither a new file nor a regular one", "report", llama, "--out", socket);
            assertFalse(Files.isRegularFile(socket));
        }
        var odd = metrics("odd", "");
        Files.writeString(odd.resolve("config.yaml"), "modle: llama\n");
        assertRefused("config.yaml: \"modle\": unknown key", "report", odd);
    }

    private void assertRefused(String expected, Object... command) {
        var outcome = run(command);
        assertEquals(2, outcome.exitCode(), outcome::err);
        assertTrue(outcome.error().startsWith("megalodon report: "), outcome::err);
        assertTrue(outcome.error().contains(expected), outcome::err);
        assertEquals("", outcome.out());
        assertFalse(Files.exists(Path.of("report.html")));
    }

    // --- helpers ----------------------------------------------------------------------------------------------------

    private Path metrics(String name, String lines) throws IOException {
        var run = Files.createDirectory(scratch.resolve(name));
        Files.writeString(run.resolve("metrics.jsonl"), lines);
        return run;
    }

    private String report(Path... runs) throws IOException {
        var page = scratch.resolve("report.html");
        var command = new ArrayList<Object>(List.of("report", "--out", page));
        command.addAll(List.of(runs));
        var outcome = run(command.toArray());
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertEquals("", outcome.err());
        assertTrue(outcome.out().startsWith(page + ": " + runs.length + " run"), outcome::out);
        return Files.readString(page);
    }

    /** The words of a run's line in the table. */
    private static List<String> row(String page, String name) {
        var line = Pattern.compile(
                        "<tr>\n<th scope=\"row\"><i [^>]*></i>" + Pattern.quote(name) + "</th>.*?</tr>", Pattern.DOTALL)
                .matcher(page);
        assertTrue(line.find(), name);
        return Pattern.compile("<t[hd][^>]*>(.*?)</t[hd]>")
                .matcher(line.group())
                .results()
                .map(cell -> cell.group(1)
                        .replaceAll("<[^>]*>", " ")
                        .replaceAll("\\s+", " ")
                        .strip())
                .toList();
    }

    private static JsonNode curves(String page) {
        var json = Pattern.compile("id=\"curves\">(.*?)</script>").matcher(page);
        assertTrue(json.find());
        return Json.MAPPER.readTree(json.group(1)).get("runs");
    }
}
