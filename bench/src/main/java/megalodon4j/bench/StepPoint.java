package megalodon4j.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What training steps cost, the sequences being so long.
 *
 * @param length of a sequence, in tokens
 * @param sequences of a step, all of them computed at once
 * @param seconds of each step
 * @param peakBytes of memory in the process that did these steps and nothing else
 */
record StepPoint(String model, int length, int sequences, List<Double> seconds, long peakBytes) {
    /** The median of the steps. */
    double median() {
        return Median.of(seconds.stream().mapToDouble(s -> s).toArray());
    }

    double gigabytes() {
        return 1e-9 * peakBytes;
    }

    int tokens() {
        return sequences * length;
    }

    /** In matrix products and attention, 10⁹ a second. */
    double gigaflops() {
        return 2e-9 * tokens() * Models.multiplyAdds(Models.config(model), length) / median();
    }

    /** A line for each point, behind one of names. */
    static List<String> csv(List<StepPoint> points) {
        var lines = new ArrayList<>(List.of("model,length,sequences,seconds,peak_bytes"));
        for (var p : points) {
            lines.add(String.format(
                    Locale.ROOT, "%s,%d,%d,%.4f,%d", p.model, p.length, p.sequences, p.median(), p.peakBytes));
        }
        return lines;
    }
}
