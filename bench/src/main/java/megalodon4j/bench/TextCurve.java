package megalodon4j.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.markers.SeriesMarkers;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code megalodon bench curve text}: what a token of a text costs as the text grows. */
@Command(
        name = "text",
        description =
                "Generates long texts; writes time and memory a token as the text grows to runs/bench/text.csv and .png.")
final class TextCurve extends Curve {
    private static final int TENTHS = 10;
    private static final Map<String, Integer> TEXTS = new LinkedHashMap<>();

    static {
        TEXTS.put("megalodon", 100_000);
        TEXTS.put("llama", 16_384);
    }

    @Option(
            names = "--text",
            paramLabel = "MODEL=TOKENS",
            description =
                    "A text: megalodon or llama, and at least 50 tokens. Without one: megalodon=100000 llama=16384.")
    private Map<String, Integer> texts = new LinkedHashMap<>();

    TextCurve(PrintStream out) {
        super(out);
    }

    private Map<String, Integer> wanted() {
        return texts.isEmpty() ? TEXTS : texts;
    }

    @Override
    void check() {
        wanted().forEach((model, tokens) -> {
            requireModel("--text", model);
            require(
                    tokens >= TextPoint.POINTS,
                    "--text " + model + ": at least " + TextPoint.POINTS + " tokens are needed, got " + tokens);
        });
    }

    @Override
    void measure(PrintStream out, int cores) throws IOException {
        var points = new ArrayList<TextPoint>();
        for (var text : wanted().entrySet()) {
            points.addAll(TextPoint.measure(text.getKey(), text.getValue(), cores));
            keep("text", TextPoint.csv(points));
        }
        show("text", table(points), chart(points));
    }

    /** One line for each tenth of each text: the median of its points. */
    private static String table(List<TextPoint> points) {
        var lines = new ArrayList<List<String>>();
        lines.add(List.of("model", "tokens", "ms/token", "tokens/s", "of reading speed", "MB of the text"));
        for (var own : byModel(points, TextPoint::model).values()) {
            int each = own.size() / TENTHS;
            for (int tenth = 0; tenth < TENTHS; tenth++) {
                int from = tenth == 0 ? 0 : own.get(tenth * each - 1).tokens();
                lines.add(line(from, TextPoint.median(own.subList(tenth * each, (tenth + 1) * each))));
            }
        }
        return Table.align(lines);
    }

    private static List<String> line(int from, TextPoint p) {
        return List.of(
                p.model(),
                String.format(Locale.ROOT, "%,d–%,d", from, p.tokens()),
                Table.number(p.milliseconds()),
                Table.number(1e3 / p.milliseconds()),
                String.format(Locale.ROOT, "%.0f %%", 100 * p.readMilliseconds() / p.milliseconds()),
                Table.number(p.megabytes()));
    }

    private static XYChart chart(List<TextPoint> points) {
        var chart = CurvePicture.chart(800, "tokens of the text", "milliseconds a token");
        var curves = byModel(points, TextPoint::model);
        CurvePicture.add(chart, curves, TextPoint::tokens, TextPoint::milliseconds, SeriesMarkers.NONE);
        return chart;
    }
}
