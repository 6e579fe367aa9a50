package megalodon4j.train;

import java.io.EOFException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;

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
