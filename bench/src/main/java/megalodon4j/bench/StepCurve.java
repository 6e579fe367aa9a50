package megalodon4j.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.markers.SeriesMarkers;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code megalodon bench curve steps}: what a training step of so many tokens costs as its sequences grow. */
@Command(
        name = "steps",
        description = "Trains a few steps of as many tokens in sequences of each length, each in a process of its own; "
                + "writes the time of a step and the most memory to runs/bench/steps.csv and .png.")
final class StepCurve extends Curve {
    @Option(
            names = "--model",
            paramLabel = "NAME",
            split = ",",
            description = "megalodon, llama or both: ${DEFAULT-VALUE}.")
    private List<String> models = List.of("megalodon", "llama");

    @Option(
            names = "--lengths",
            paramLabel = "N",
            split = ",",
            description = "Tokens of a sequence, divisors of those of a step: ${DEFAULT-VALUE}.")
    private List<Integer> lengths = List.of(512, 1024, 2048, 4096, 8192, 16_384);

    @Option(
            names = "--tokens",
            paramLabel = "N",
            description = "Tokens of a step, all computed at once: ${DEFAULT-VALUE}.")
    private int tokens = 16_384;

    @Option(names = "--steps", paramLabel = "N", description = "Steps of which a time is the median: ${DEFAULT-VALUE}.")
    private int steps = 3;

    StepCurve(PrintStream out) {
        super(out);
    }

    @Override
    void check() {
        models.forEach(model -> requireModel("--model", model));
        require(tokens >= 1, "--tokens must be at least 1, got " + tokens);
        require(steps >= 1, "--steps must be at least 1, got " + steps);
        for (int length : lengths) {
            require(
                    length >= 1 && tokens % length == 0,
                    "--lengths must divide the " + tokens + " --tokens of a step, got " + length);
        }
    }

    @Override
    void measure(PrintStream out, int cores) throws IOException {
        var points = new ArrayList<StepPoint>();
        for (var model : models) {
            for (int length : lengths) {
                points.add(StepProcess.measure(model, tokens / length, length, cores, steps, out));
                keep("steps", StepPoint.csv(points));
            }
        }
        show(
                "steps",
                table(points),
                panel("seconds a step", points, StepPoint::median),
                panel("peak memory (" + PeakMemory.kind() + "), GB", points, StepPoint::gigabytes));
    }

    private static String table(List<StepPoint> points) {
        var lines = new ArrayList<List<String>>();
        lines.add(List.of(
                "model",
                "sequences",
                "s/step",
                "× first",
                "tokens/s",
                "GFLOP/s",
                "GB " + PeakMemory.kind(),
                "× first"));
        for (var own : byModel(points, StepPoint::model).values()) {
            own.forEach(p -> lines.add(line(p, own.getFirst())));
        }
        return Table.align(lines);
    }

    private static List<String> line(StepPoint p, StepPoint first) {
        return List.of(
                p.model(),
                p.sequences() + " × " + String.format(Locale.ROOT, "%,d", p.length()),
                Table.number(p.median()),
                Table.number(p.median() / first.median()),
                Table.number(p.tokens() / p.median()),
                Table.number(p.gigaflops()),
                Table.number(p.gigabytes()),
                Table.number(p.gigabytes() / first.gigabytes()));
    }

    // The axis of lengths is in powers of two: XChart's own logarithmic axis knows those of ten alone.
    private static XYChart panel(String title, List<StepPoint> points, ToDoubleFunction<StepPoint> value) {
        var chart = CurvePicture.chart(480, "tokens of a sequence", title);
        chart.getStyler()
                .setXAxisTickLabelsFormattingFunction(x -> String.format(Locale.ROOT, "%,.0f", Math.pow(2, x)));
        var curves = byModel(points, StepPoint::model);
        CurvePicture.add(chart, curves, p -> Math.log(p.length()) / Math.log(2), value, SeriesMarkers.CIRCLE);
        return chart;
    }
}
