package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
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

    @Test
    void whatCannotBeWrittenIsNamedAndLeavesNothing() throws IOException {
        write("checkpoint_final", "old");
        var folder = parent.resolve("checkpoint_final");
        var error = assertThrows(
                FileSystemException.class,
                () -> DurableFiles.writeFolder(folder, aside -> {
                    Files.writeString(aside.resolve("state"), "half");
                    throw new IOException("No space left on device");
                }));
        assertEquals(folder.toString(), error.getFile());
        assertEquals("No space left on device", error.getReason());
        assertEquals("old", Files.readString(folder.resolve("state")));
        assertOnlyFolderIs("checkpoint_final");
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void aFullDiskIsNamedByWhatWasToBeWritten() throws IOException {
        var run = new RunFolder(parent);
        for (var file : List.of(run.samples(), run.metrics())) {
            Files.createSymbolicLink(file, Path.of("/dev/full"));
        }
        var sample = assertThrows(FileSystemException.class, () -> run.add(new Sample(1, "a", "b")));
        assertEquals(run.samples().toString(), sample.getFile());
        try (var metrics = new Metrics(run.metrics())) {
            var line = assertThrows(FileSystemException.class, () -> metrics.validation(1, 2));
            assertEquals(run.metrics().toString(), line.getFile());
        }
        Files.delete(run.samples()); // JUnit warns of links that lead out of its folder
        Files.delete(run.metrics());
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
