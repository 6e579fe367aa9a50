package megalodon4j.bench;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What was measured, on what. */
final class Machine {
    private Machine() {}

    /** The processor and the JVM, in one line. */
    static String describe() {
        return cpu() + ", " + Runtime.getRuntime().availableProcessors() + " cores, Java " + Runtime.version() + ", "
                + System.getProperty("os.name");
    }

    private static String cpu() {
        try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.filter(line -> line.startsWith("model name"))
                    .findFirst()
                    .map(line -> line.substring(line.indexOf(':') + 2))
                    .orElse(System.getProperty("os.arch"));
        } catch (IOException notLinux) {
            return System.getProperty("os.arch");
        }
    }

    /**
     * The commit of the repository that the classes were built in, with {@code -changed} if files differ from it;
     * {@code unknown} without git.
     */
    static String commit() {
        var commit = git("rev-parse", "--short=8", "HEAD");
        if (commit.isEmpty()) {
            return "unknown";
        }
        return commit + (git("status", "--porcelain", "--untracked-files=no").isEmpty() ? "" : "-changed");
    }

    private static String git(String... arguments) {
        try {
            var jar = Path.of(Machine.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
            var command = new ArrayList<>(List.of("git", "-C", jar.getParent().toString()));
            command.addAll(List.of(arguments));
            var process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            var output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return process.waitFor() == 0 ? output.strip() : "";
        } catch (IOException | URISyntaxException | InterruptedException noGit) {
            return "";
        }
    }
}
