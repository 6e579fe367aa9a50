package megalodon4j.train;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * What a run's metrics.jsonl tells.
 *
 * @param torn whether the last line broke off and was left out
 */
record History(List<Point> validation, List<Step> training, boolean torn) {
    /** Steps in which the JVM still compiles; what is measured starts behind them. */
    static final int WARM_UP = 8;

    /**
     * Bits per character of the weights after {@code step} steps.
     *
     * @param seconds that those steps took, one after another, as far as the file tells
     */
    record Point(double step, double seconds, double bpc) {}

    /**
     * A training step.
     *
     * @param point where it started, and its own bits per character
     * @param tokens trained on at its end
     * @param seconds that it took
     */
    record Step(Point point, long tokens, double seconds) {}

    /** @throws Failure if a line is none of a run's, other than a last one that broke off */
    static History read(Path file) throws IOException {
        var lines = new String(Files.readAllBytes(file), StandardCharsets.UTF_8)
                .lines()
                .toList();
        var validation = new ArrayList<Point>();
        var training = new ArrayList<Step>();
        double clock = 0;
        for (int i = 0; i < lines.size(); i++) {
            try {
                var line = Json.MAPPER.readTree(lines.get(i));
                if (line.has("val_bpc")) {
                    validation.add(point(line, "val_bpc", clock));
                } else {
                    var point = point(line, "train_bpc", clock);
                    training.add(new Step(point, (long) number(line, "tokens"), number(line, "seconds")));
                    clock += training.getLast().seconds();
                }
            } catch (JacksonException e) {
                if (i == lines.size() - 1) {
                    return new History(validation, training, true);
                }
                throw Failure.usage("%s: line %d: %s", file, i + 1, e.getOriginalMessage())
                        .causedBy(e);
            }
        }
        return new History(validation, training, false);
    }

    private static Point point(JsonNode line, String bpc, double clock) {
        return new Point(number(line, "step"), clock, number(line, bpc));
    }

    private static double number(JsonNode line, String key) {
        return line.required(key).doubleValue();
    }

    /** How many steps were done. */
    long steps() {
        return training.isEmpty() ? 0 : (long) training.getLast().point().step() + 1;
    }

    Optional<Point> lastValidation() {
        return validation.isEmpty() ? Optional.empty() : Optional.of(validation.getLast());
    }

    Optional<Point> bestValidation() {
        return validation.stream().min(Comparator.comparingDouble(Point::bpc));
    }

    /** All steps together. */
    double seconds() {
        return training.stream().mapToDouble(Step::seconds).sum();
    }

    /** Of a step, the first {@value #WARM_UP} left out; none if there are no more than those. */
    Optional<Double> medianSeconds() {
        var sorted = training.stream().skip(WARM_UP).map(Step::seconds).sorted().toList();
        int n = sorted.size();
        return n == 0 ? Optional.empty() : Optional.of((sorted.get((n - 1) / 2) + sorted.get(n / 2)) / 2);
    }

    /** At the median step's speed. */
    Optional<Double> tokensPerSecond() {
        return medianSeconds().map(seconds -> training.getLast().tokens() / (steps() * seconds));
    }

    /** The training curve, each point the mean of {@code width} steps one after another (the last one of the rest). */
    List<Point> trainingMeans(int width) {
        var means = new ArrayList<Point>();
        for (int from = 0; from < training.size(); from += width) {
            means.add(mean(training.subList(from, Math.min(from + width, training.size()))));
        }
        return means;
    }

    private static Point mean(List<Step> steps) {
        double step = 0;
        double seconds = 0;
        double bpc = 0;
        for (var one : steps) {
            step += one.point().step();
            seconds += one.point().seconds();
            bpc += one.point().bpc();
        }
        return new Point(step / steps.size(), seconds / steps.size(), bpc / steps.size());
    }
}
