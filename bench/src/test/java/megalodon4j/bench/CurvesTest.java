package megalodon4j.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Curves of tiny models: files, tables, pictures, and what is refused. */
class CurvesTest {
    @TempDir
    private Path folder;

    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();

    @Test
    void ofTextsAreATableAFileAndAPicture() throws IOException {
        assertEquals(0, curve("text", "--text", "tiny-llama=100", "--text", "tiny-megalodon=61"), printed.toString());
        var lines = Files.readAllLines(folder.resolve("text.csv"));
        assertEquals(1 + 2 * TextPoint.POINTS, lines.size());
        assertTrue(lines.get(TextPoint.POINTS).startsWith("tiny-llama,100,"), lines.get(TextPoint.POINTS));
        assertTrue(lines.getLast().startsWith("tiny-megalodon,61,"), lines.getLast());
        assertTrue(printed.toString().contains("tiny-llama"), printed.toString());
        assertIsPicture("text.png");
    }

    private void assertIsPicture(String name) throws IOException {
        var picture = ImageIO.read(folder.resolve(name).toFile());
        assertTrue(picture.getWidth() > picture.getHeight(), picture.toString());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "words",
                "text --text gpt=100",
                "text --text tiny-llama=49",
                "text --text tiny-llama=some",
                "text --cores 0",
            })
    void refuseWhatCannotBeMeasured(String line) {
        var arguments = line.isEmpty() ? new String[0] : line.split(" ");
        assertEquals(2, BenchMain.curve(new PrintStream(printed, true, StandardCharsets.UTF_8), arguments), line);
        assertEquals("", printed.toString());
    }

    private int curve(String... args) {
        var all = new ArrayList<>(List.of(args));
        all.addAll(List.of("--out", folder.toString()));
        return BenchMain.curve(new PrintStream(printed, true, StandardCharsets.UTF_8), all.toArray(String[]::new));
    }
}
