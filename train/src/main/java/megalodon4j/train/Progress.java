package megalodon4j.train;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBarBuilder;

/** How far a run is, on stderr. Lines of text, on stdout, appear above the bar. */
final class Progress implements AutoCloseable {
    /** Of the newest step in the running mean of the steps' seconds. */
    private static final double NEWEST = 0.2;

    private final PrintWriter out;
    private final int first;
    private final int total;
    private final int tokensAStep;
    private final Bar bar;
    private double secondsAStep;

    /** @param first steps that are done already */
    Progress(PrintWriter out, PrintWriter err, boolean terminal, int first, int total, int tokensAStep) {
        this.out = out;
        this.first = first;
        this.total = total;
        this.tokensAStep = tokensAStep;
        bar = new Bar(
                err,
                terminal,
                new ProgressBarBuilder()
                        .setTaskName("training")
                        .setInitialMax(total)
                        .startsFrom(first, Duration.ZERO));
    }

    /** A line of text. */
    void say(String text) {
        bar.above(() -> {
            out.println(text);
            out.flush();
        });
    }

    /** {@code done} steps lie behind. */
    void step(int done, double loss, double seconds) {
        boolean warmingUp = done <= first + 2; // the JVM still compiles during the first step
        secondsAStep = warmingUp ? seconds : (1 - NEWEST) * secondsAStep + NEWEST * seconds;
        bar.show(done, () -> state(loss), () -> line(done, loss), done == total);
    }

    private String state(double loss) {
        return String.format(
                Locale.ROOT,
                "loss %.3f, bpc %.3f, %,.0f tokens/s",
                loss,
                Metrics.bpc(loss),
                tokensAStep / secondsAStep);
    }

    private String line(int done, double loss) {
        var left = duration((total - done) * secondsAStep);
        return String.format(Locale.ROOT, "step %,d of %,d: %s, %s left", done, total, state(loss), left);
    }

    static String duration(double seconds) {
        long s = Math.round(seconds);
        return s < 3600
                ? String.format(Locale.ROOT, "%d:%02d", s / 60, s % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    }

    @Override
    public void close() {
        bar.close();
    }
}
