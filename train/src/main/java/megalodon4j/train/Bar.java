package megalodon4j.train;

import java.io.PrintWriter;
import java.util.function.Supplier;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** How far a job is, on stderr: a bar at the bottom of a terminal, or a line now and then where there is none. */
final class Bar implements AutoCloseable {
    private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;

    private final PrintWriter err;
    private final ProgressBar bar;
    private String drawn = "";
    private long lastLine = System.nanoTime() - NANOS_BETWEEN_LINES;

    /** @param bar what it counts, and from where to where */
    Bar(PrintWriter err, boolean terminal, ProgressBarBuilder bar) {
        this.err = err;
        this.bar = terminal ? start(bar) : null;
    }

    private ProgressBar start(ProgressBarBuilder builder) {
        return builder.setStyle(ProgressBarStyle.UNICODE_BLOCK)
                .setUpdateIntervalMillis(500)
                .setConsumer(new DelegatingProgressBarConsumer(this::draw, Terminal.columns() - 1))
                .build();
    }

    private synchronized void draw(String line) {
        drawn = line;
        err.print("\r" + line + "\033[K");
        err.flush();
    }

    /**
     * So much is done.
     *
     * @param state what stands beside the bar; asked for only where there is one
     * @param line what stands on a line of its own where there is no bar; asked for only when it is time for one
     * @param last whether nothing will follow
     */
    void show(long done, Supplier<String> state, Supplier<String> line, boolean last) {
        if (bar != null) {
            bar.setExtraMessage(state.get());
            bar.stepTo(done);
            return;
        }
        long now = System.nanoTime();
        if (now - lastLine >= NANOS_BETWEEN_LINES || last) {
            lastLine = now;
            err.println(line.get());
            err.flush();
        }
    }

    /** Does what prints lines to the same terminal: they appear above the bar. */
    synchronized void above(Runnable printing) {
        if (bar != null) {
            err.print("\r\033[K");
            err.flush();
        }
        printing.run();
        if (bar != null) {
            err.print(drawn);
            err.flush();
        }
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
