package megalodon4j.train;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBarBuilder;

/** How much of so many bytes has been read, on stderr. */
final class ByteProgress implements AutoCloseable {
    private static final int MEGA = 1_000_000;

    private final String task;
    private final long total;
    private final Bar bar;
    private long done;

    /**
     * @param task a verb
     * @param first bytes that are done already
     * @param total -1 if nobody knows
     */
    ByteProgress(PrintWriter err, String task, long first, long total) {
        this.task = task;
        this.total = total;
        done = first;
        bar = new Bar(
                err,
                Terminal.isStderr(),
                new ProgressBarBuilder()
                        .setTaskName(task)
                        .setUnit(" MB", MEGA)
                        .setInitialMax(total)
                        .startsFrom(first, Duration.ZERO)
                        .showSpeed());
    }

    /** Reads to the end; returns the number of bytes done, the first ones included. */
    long copy(InputStream in, OutputStream out) throws IOException {
        var buffer = new byte[1 << 16];
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            out.write(buffer, 0, n);
            done += n;
            bar.show(done, () -> "", this::line, done == total);
        }
        return done;
    }

    private String line() {
        var of = total < 0 ? "" : String.format(Locale.ROOT, " of %.1f", (double) total / MEGA);
        return String.format(Locale.ROOT, "%s: %.1f%s MB", task, (double) done / MEGA, of);
    }

    @Override
    public void close() {
        bar.close();
    }
}
