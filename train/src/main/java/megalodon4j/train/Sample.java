package megalodon4j.train;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

/**
 * An entry of a run's samples.txt.
 *
 * @param step after which the model wrote it
 * @param prompt what it was given
 * @param continuation how it went on
 */
record Sample(long step, String prompt, String continuation) {
    private static final Pattern ENTRY = Pattern.compile(
            "=== step (\\d{1,18}), prompt ===\n(.*?)\n=== step \\1, continuation ===\n(.*?)\n\n(?==== step \\d+, prompt|\\z)",
            Pattern.DOTALL);

    String toText() {
        return "=== step " + step + ", prompt ===\n" + prompt + "\n=== step " + step + ", continuation ===\n"
                + continuation + "\n\n";
    }

    /** The whole entries of a file, in its order; none if there is no such file. */
    static List<Sample> read(Path file) throws IOException {
        if (!Files.exists(file)) {
            return List.of();
        }
        var text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        return ENTRY.matcher(text)
                .results()
                .map(entry -> new Sample(Long.parseLong(entry.group(1)), entry.group(2), entry.group(3)))
                .toList();
    }
}
