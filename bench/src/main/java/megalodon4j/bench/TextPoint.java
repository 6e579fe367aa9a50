package megalodon4j.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.Sampling;
import megalodon4j.models.Session;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Philox;
import megalodon4j.tensor.Tensor;

/**
 * What generating a token costs, the text being so long.
 *
 * @param tokens of the text at the end of the stretch that was measured
 * @param milliseconds the median of its tokens: feeding one and drawing the next
 * @param readMilliseconds the median of passes over as much memory as the weights take, among them
 * @param megabytes of live heap beyond what there was before the text began
 */
record TextPoint(String model, int tokens, double milliseconds, double readMilliseconds, double megabytes) {
    /** Points of a text. */
    static final int POINTS = 50;

    private static final Sampling SAMPLING = Sampling.minP(0.1f).temperature(0.8f);

    /** Tokens of another text that goes ahead, until the code is compiled. */
    private static final int WARM_UP = 1500;

    /** Tokens between two passes over memory. */
    private static final int READ_EVERY = 50;

    /** Generates a text, weights being random. */
    static List<TextPoint> measure(String model, int tokens, int cores) {
        try (var backend = Backend.cpu(cores)) {
            var text = new Text(backend, model);
            text.begin();
            text.stretch(Math.min(WARM_UP, tokens));
            text.begin();
            double before = liveMegabytes();
            var points = new ArrayList<TextPoint>();
            for (int i = 1, done = 0; i <= POINTS; i++) {
                int end = (int) ((long) tokens * i / POINTS);
                var times = text.stretch(end - done);
                done = end;
                points.add(new TextPoint(model, end, times.token, times.read, liveMegabytes() - before));
            }
            return points;
        }
    }

    /** Medians of a stretch, in milliseconds. */
    private record Times(double token, double read) {}

    private static final class Text {
        private final Backend backend;
        private final LanguageModel speaker;
        private final Tensor asManyFloats;
        private Session session;
        private Philox random;
        private int last;

        Text(Backend backend, String model) {
            this.backend = backend;
            speaker = Models.config(model).create(backend, 1);
            var ones = new float[Math.toIntExact(Models.parameters(model))];
            Arrays.fill(ones, 1);
            asManyFloats = backend.tensor(ones.length).set(ones);
        }

        void begin() {
            session = speaker.session();
            random = new Philox(1, 0);
            last = 0;
        }

        Times stretch(int tokens) {
            var token = new double[tokens];
            var read = new double[(tokens + READ_EVERY - 1) / READ_EVERY];
            for (int i = 0; i < tokens; i++) {
                if (i % READ_EVERY == 0) {
                    long start = System.nanoTime();
                    backend.sumOfSquares(asManyFloats);
                    read[i / READ_EVERY] = System.nanoTime() - start;
                }
                long start = System.nanoTime();
                last = SAMPLING.sample(session.feed(last), random);
                token[i] = System.nanoTime() - start;
            }
            return new Times(1e-6 * Median.of(token), 1e-6 * Median.of(read));
        }
    }

    private static double liveMegabytes() {
        System.gc();
        var runtime = Runtime.getRuntime();
        return 1e-6 * (runtime.totalMemory() - runtime.freeMemory());
    }

    /** The medians of neighbours, at the last one's length. */
    static TextPoint median(List<TextPoint> points) {
        return new TextPoint(
                points.getFirst().model,
                points.getLast().tokens,
                median(points, TextPoint::milliseconds),
                median(points, TextPoint::readMilliseconds),
                median(points, TextPoint::megabytes));
    }

    private static double median(List<TextPoint> points, ToDoubleFunction<TextPoint> value) {
        return Median.of(points.stream().mapToDouble(value).toArray());
    }

    /** A line for each point, behind one of names. */
    static List<String> csv(List<TextPoint> points) {
        var lines = new ArrayList<>(List.of("model,tokens,ms_per_token,read_ms,text_mb"));
        for (var p : points) {
            lines.add(String.format(
                    Locale.ROOT,
                    "%s,%d,%.4f,%.4f,%.2f",
                    p.model,
                    p.tokens,
                    p.milliseconds,
                    p.readMilliseconds,
                    p.megabytes));
        }
        return lines;
    }
}
