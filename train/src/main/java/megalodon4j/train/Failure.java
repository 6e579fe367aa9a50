package megalodon4j.train;

import java.io.EOFException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;
import megalodon4j.tensor.CudaException;

/** An end that is explained to the user in one line: what was wrong, what was found, what is allowed. */
final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int exitCode;

    private Failure(int exitCode, String message, Throwable cause) {
        super(message.strip().replaceAll("\\s*\\R\\s*", " "), cause);
        this.exitCode = exitCode;
    }

    /** The command line, the config or a file that they name is wrong: exit code 2. */
    static Failure usage(String format, Object... arguments) {
        return new Failure(2, String.format(Locale.ROOT, format, arguments), null);
    }

    /** The job itself failed: exit code 1. */
    static Failure job(String format, Object... arguments) {
        return new Failure(1, String.format(Locale.ROOT, format, arguments), null);
    }

    /**
     * The job failed for lack of memory.
     *
     * @param e an {@link OutOfMemoryError} or a {@link CudaException.OutOfMemory}
     * @param least bytes that are known to be needed
     * @param less what would need less of the heap, or of the GPU's memory
     */
    static Failure outOfMemory(Throwable e, long least, String less) {
        if (e instanceof CudaException) {
            return job("%s; a larger GPU is needed, or %s", e.getMessage(), less)
                    .causedBy(e);
        }
        long heap = Runtime.getRuntime().maxMemory();
        return job(
                        "out of memory (%,d MB of heap): more of it with MEGALODON_JVM=-Xmx%dg, or %s",
                        heap >> 20, Math.max(8, 2 * Math.max(heap, least) >> 30), less)
                .causedBy(e);
    }

    /** A model computes no numbers: {@code sign} says where that shows. */
    static Failure weights(String sign) {
        return job("%s: the weights are not those of a trained model, or not finite", sign);
    }

    /** What is wrong with a file that the user named. */
    static Failure of(Path file, Exception e) {
        var reason = reason(e);
        return usage("%s%s", reason.startsWith(file.toString()) ? "" : file + ": ", reason)
                .causedBy(e);
    }

    Failure causedBy(Throwable cause) {
        return new Failure(exitCode, getMessage(), cause);
    }

    int exitCode() {
        return exitCode;
    }

    /** What went wrong with a file, without the file's name in front. */
    static String reason(Throwable e) {
        return switch (e) {
            case NoSuchFileException _ -> "no such file";
            case FileAlreadyExistsException _ -> "is there already";
            case AccessDeniedException _ -> "permission denied";
            case EOFException _ -> "it ends too early";
            case FileSystemException f when f.getReason() != null -> f.getReason();
            case IOException _ when e.getMessage() != null -> e.getMessage();
            default -> e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        };
    }
}
