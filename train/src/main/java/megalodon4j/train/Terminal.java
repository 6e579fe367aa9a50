package megalodon4j.train;

import java.io.File;
import java.io.FileDescriptor;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** What stands behind stderr. */
final class Terminal {
    private static final int DEFAULT_COLUMNS = 100;

    /**
     * The launcher's stderr. The JVM prints a warning about incubating modules to its own before any code of ours runs; the
     * launcher filters that, and hands the real one over as another descriptor.
     */
    private static final String STDERR = System.getenv().getOrDefault("MEGALODON_STDERR", "2");

    private Terminal() {}

    /**
     * Whether stderr is a terminal that can redraw a line. Java does not say, so Linux is asked; elsewhere stdin and
     * stdout stand for it.
     */
    static boolean isStderr() {
        if ("dumb".equals(System.getenv("TERM"))) {
            return false;
        }
        var stderr = Path.of("/proc/self/fd/" + STDERR);
        try {
            if (Files.isSymbolicLink(stderr)) {
                return Files.readSymbolicLink(stderr).toString().matches("/dev/(pts/\\d+|tty\\w*|console)");
            }
        } catch (IOException e) {
            return false;
        }
        return System.console() != null && System.console().isTerminal();
    }

    /** A stream to stderr, past the launcher's filter. */
    static OutputStream openStderr() {
        try {
            if (!STDERR.equals("2")) {
                return new FileOutputStream("/dev/fd/" + STDERR, true);
            }
        } catch (FileNotFoundException e) {
            // A descriptor that cannot be opened again, such as a socket: the filtered stream serves as well.
            return new FileOutputStream(FileDescriptor.err);
        }
        return new FileOutputStream(FileDescriptor.err);
    }

    /** How many characters fit a line. */
    static int columns() {
        try {
            var stty = new ProcessBuilder("stty", "size")
                    .redirectInput(new File("/dev/tty"))
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            var size = new String(stty.getInputStream().readAllBytes(), StandardCharsets.US_ASCII)
                    .strip()
                    .split(" ");
            if (stty.waitFor(1, TimeUnit.SECONDS) && stty.exitValue() == 0 && size.length == 2) {
                int columns = Integer.parseInt(size[1]);
                return columns < 20 ? DEFAULT_COLUMNS : columns;
            }
        } catch (IOException | NumberFormatException e) {
            return DEFAULT_COLUMNS;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return DEFAULT_COLUMNS;
    }
}
