package megalodon4j.train;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * How far a run is, on stderr: a bar at the bottom of a terminal, or a line now and then where there is none. Lines of
 * text, on stdout, appear above the bar.
 */
final class Progress implements AutoCloseable {
    private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;

    /** Of the newest step in the running mean of the steps' seconds. */
    private static final double NEWEST = 0.2;

    private final PrintWriter out;
    private final PrintWriter err;
    private final int first;
    private final int total;
    private final int tokensAStep;
    private final ProgressBar bar;
    private String drawn = "";
    private double secondsAStep;
    private long lastLine = System.nanoTime() - NANOS_BETWEEN_LINES;

    /** @param first steps that are done already */
    Progress(PrintWriter out, PrintWriter err, boolean terminal, int first, int total, int tokensAStep) {
        this.out = out;
        this.err = err;
        this.first = first;
        this.total = total;
        this.tokensAStep = tokensAStep;
        bar = terminal ? bar() : null;
    }

    private ProgressBar bar() {
        return new ProgressBarBuilder()
                .setTaskName("training")
                .setInitialMax(total)
                .startsFrom(first, Duration.ZERO)
                .setStyle(ProgressBarStyle.UNICODE_BLOCK)
                .setUpdateIntervalMillis(500)
                .setConsumer(new DelegatingProgressBarConsumer(this::draw, Terminal.columns() - 1))
                .build();
    }

    private synchronized void draw(String line) {
        drawn = line;
        err.print("\r" + line + "\033[K");
        err.flush();
    }

    /** A line of text. */
    synchronized void say(String text) {
        if (bar != null) {
            err.print("\r\033[K");
            err.flush();
        }
        out.println(text);
        out.flush();
        if (bar != null) {
            err.print(drawn);
            err.flush();
        }
    }

    /** {@code done} steps lie behind. */
    void step(int done, double loss, double seconds) {
        boolean warmingUp = done <= first + 2; // the JVM still compiles during the first step
        secondsAStep = warmingUp ? seconds : (1 - NEWEST) * secondsAStep + NEWEST * seconds;
        var state = String.format(
                Locale.ROOT,
                "loss %.3f, bpc %.3f, %,.0f tokens/s",
                loss,
                Metrics.bpc(loss),
                tokensAStep / secondsAStep);
        if (bar != null) {
            bar.setExtraMessage(state);
            bar.stepTo(done);
            return;
        }
        long now = System.nanoTime();
        if (now - lastLine >= NANOS_BETWEEN_LINES || done == total) {
            lastLine = now;
            err.printf("step %,d of %,d: %s, %s left%n", done, total, state, duration((total - done) * secondsAStep));
            err.flush();
        }
    }

    static String duration(double seconds) {
        long s = Math.round(seconds);
        return s < 3600
                ? String.format(Locale.ROOT, "%d:%02d", s / 60, s % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
            synchronized (this) {
                err.println();
                err.flush();
            }
        }
    }
}
