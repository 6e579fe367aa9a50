package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DurableFilesTest {
    @TempDir
    Path parent;

    /** The two renames of a replacement: a folder that was killed between them holds both, under other names. */
    @Test
    void sweepEndsAReplacementThatWasCutShort() throws IOException {
        write(".tmp-old-checkpoint_final", "old");
        write(".tmp-checkpoint_final", "new");
        write(".tmp-checkpoint_8", "half");
        DurableFiles.sweep(parent);
        assertEquals("new", Files.readString(parent.resolve("checkpoint_final/state")));
        assertOnlyFolderIs("checkpoint_final");
    }

    @Test
    void sweepKeepsWhatHasTakenItsPlace() throws IOException {
        write("checkpoint_final", "new");
        write(".tmp-old-checkpoint_final", "old");
        DurableFiles.sweep(parent);
        assertEquals("new", Files.readString(parent.resolve("checkpoint_final/state")));
        assertOnlyFolderIs("checkpoint_final");
    }

    @Test
    void aFolderTakesThePlaceOfAnother() throws IOException {
        write("checkpoint_final", "old");
        DurableFiles.writeFolder(
                parent.resolve("checkpoint_final"), aside -> Files.writeString(aside.resolve("state"), "new"));
        assertEquals("new", Files.readString(parent.resolve("checkpoint_final/state")));
        assertOnlyFolderIs("checkpoint_final");
    }

    private void write(String folder, String contents) throws IOException {
        Files.createDirectory(parent.resolve(folder));
        Files.writeString(parent.resolve(folder).resolve("state"), contents);
    }

    private void assertOnlyFolderIs(String name) throws IOException {
        try (var files = Files.list(parent)) {
            assertFalse(files.anyMatch(file -> !file.getFileName().toString().equals(name)));
        }
    }
}
