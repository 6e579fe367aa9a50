package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CubinCacheTest {
    private static final List<String> KEY = List.of("source", "options");

    @TempDir
    Path folder;

    private int compiled;

    private void get(CubinCache cache) {
        assertArrayEquals(new byte[] {1, 2, 3}, cache.get(KEY, () -> {
            compiled++;
            return new byte[] {1, 2, 3};
        }));
    }

    @Test
    void whatIsKeptIsNotCompiledAgain() {
        get(new CubinCache(folder.resolve("a/b")));
        get(new CubinCache(folder.resolve("a/b")));
        assertEquals(1, compiled);
    }

    @Test
    void aFolderThatCannotBeMadeStopsNothing() throws IOException {
        var cache = new CubinCache(Files.createFile(folder.resolve("file")).resolve("below"));
        get(cache);
        get(cache);
        assertEquals(2, compiled);
    }

    @Test
    void aFileThatCannotBeWrittenLeavesNothing() throws IOException {
        var cache = new CubinCache(folder);
        get(cache);
        var file = list().getFirst();
        Files.delete(file);
        Files.createFile(Files.createDirectory(file).resolve("in the way"));
        get(cache);
        assertEquals(List.of(file), list());
    }

    private List<Path> list() throws IOException {
        try (var files = Files.list(folder)) {
            return files.toList();
        }
    }
}
