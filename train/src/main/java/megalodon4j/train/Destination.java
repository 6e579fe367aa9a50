package megalodon4j.train;

import java.nio.file.Files;
import java.nio.file.Path;

/** Where a command is to write: checked before it does any work. */
final class Destination {
    private Destination() {}

    /** Refuses what is there and no regular file: a device would be replaced by one. */
    static void requireFile(String option, Path file) {
        if (Files.isDirectory(file)) {
            throw Failure.usage("%s: %s: a folder; the name of a file is needed", option, file);
        }
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw Failure.usage("%s: %s: neither a new file nor a regular one, which alone is replaced", option, file);
        }
    }

    /** Refuses a folder that neither is there nor can be made, since something else stands in its place or on the way. */
    static void requireFolder(String option, Path folder) {
        var there = folder.toAbsolutePath();
        while (!Files.exists(there)) {
            there = there.getParent();
        }
        if (!Files.isDirectory(there)) {
            throw Failure.usage("%s: %s: %s is not a folder", option, folder, there);
        }
    }
}
