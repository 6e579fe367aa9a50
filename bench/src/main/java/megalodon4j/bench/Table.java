package megalodon4j.bench;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.StringJoiner;
import org.openjdk.jmh.results.RunResult;

/** Results as text, one line each: the median of all iterations, how far they spread, and what that means as a rate. */
final class Table {
    private static final List<String> HEAD = List.of("benchmark", "parameters", "ms", "min … max", "± of mean", "rate");

    private Table() {}

    static String of(Collection<RunResult> results) {
        var lines = new ArrayList<List<String>>();
        lines.add(HEAD);
        for (var result : results) {
            lines.add(line(result));
        }
        return align(lines);
    }

    private static List<String> line(RunResult result) {
        var primary = result.getPrimaryResult();
        double least = seconds(result, primary.getStatistics().getMin());
        double most = seconds(result, primary.getStatistics().getMax());
        double error = primary.getScoreError() / primary.getScore();
        return List.of(
                name(result.getParams().getBenchmark()),
                parameters(result),
                number(1e3 * seconds(result)),
                number(1e3 * least) + " … " + number(1e3 * most),
                Double.isNaN(error) ? "–" : String.format(Locale.ROOT, "%.1f %%", 100 * error),
                rates(result));
    }

    /** {@code megalodon4j.bench.AdamBench.copy} → {@code AdamBench.copy}. */
    static String name(String benchmark) {
        return benchmark.substring(Bench.class.getPackageName().length() + 1);
    }

    private static String parameters(RunResult result) {
        var joined = new StringJoiner(" ");
        for (var key : result.getParams().getParamsKeys()) {
            joined.add(key + "=" + result.getParams().getParam(key));
        }
        return joined.toString();
    }

    private static String rates(RunResult result) {
        var joined = new StringJoiner(", ");
        for (var work : Bench.work(result.getParams())) {
            joined.add(number(work.amount() / work.unit().scale / seconds(result)) + " " + work.unit().rate);
        }
        return joined.toString();
    }

    /** The median time of a call. */
    static double seconds(RunResult result) {
        return seconds(result, result.getPrimaryResult().getStatistics().getPercentile(50));
    }

    /** The shortest time of a call, averaged over an iteration. */
    static double bestSeconds(RunResult result) {
        var statistics = result.getPrimaryResult().getStatistics();
        return Math.min(seconds(result, statistics.getMin()), seconds(result, statistics.getMax()));
    }

    private static double seconds(RunResult result, double score) {
        double scale = result.getParams().getTimeUnit().toNanos(1) * 1e-9;
        return result.getPrimaryResult().getScoreUnit().startsWith("ops/") ? scale / score : scale * score;
    }

    /** Three or four figures. */
    static String number(double x) {
        int decimals = x >= 100 ? 0 : x >= 10 ? 1 : x >= 1 ? 2 : 3;
        return String.format(Locale.ROOT, "%,." + decimals + "f", x);
    }

    /** Pads columns: the first two are words, the others numbers. */
    static String align(List<List<String>> lines) {
        var widths = new int[lines.getFirst().size()];
        for (var line : lines) {
            for (int column = 0; column < widths.length; column++) {
                widths[column] = Math.max(widths[column], line.get(column).length());
            }
        }
        var text = new StringBuilder();
        for (var line : lines) {
            for (int column = 0; column < widths.length; column++) {
                var padding = " ".repeat(widths[column] - line.get(column).length());
                text.append(column < 2 ? line.get(column) + padding : padding + line.get(column))
                        .append(column == widths.length - 1 ? "\n" : "  ");
            }
        }
        return text.toString();
    }
}
