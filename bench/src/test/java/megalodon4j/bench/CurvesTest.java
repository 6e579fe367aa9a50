package megalodon4j.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
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

    @Test
    void ofStepsAreATableAFileAndAPicture() throws IOException {
        assertEquals(
                0,
                curve(
                        "steps",
                        "--model",
                        "tiny-megalodon,tiny-llama",
                        "--lengths",
                        "8,32",
                        "--tokens",
                        "64",
                        "--steps",
                        "1"),
                printed.toString());
        var lines = Files.readAllLines(folder.resolve("steps.csv"));
        assertEquals(5, lines.size());
        var rows = List.of("tiny-megalodon,8,8,", "tiny-megalodon,32,2,", "tiny-llama,8,8,", "tiny-llama,32,2,");
        for (int i = 0; i < rows.size(); i++) {
            assertTrue(lines.get(1 + i).startsWith(rows.get(i)), lines.get(1 + i));
            var cells = lines.get(1 + i).split(",");
            assertTrue(Double.parseDouble(cells[3]) > 0, lines.get(1 + i));
            assertTrue(Long.parseLong(cells[4]) > 1_000_000, lines.get(1 + i));
        }
        assertTrue(printed.toString().contains("tiny-llama, 2 × 32: ("), printed.toString());
        assertIsPicture("steps.png");
    }

    private void assertIsPicture(String name) throws IOException {
        var picture = ImageIO.read(folder.resolve(name).toFile());
        assertTrue(picture.getWidth() > picture.getHeight(), picture.toString());
    }

    @Test
    void stepsThatCannotBeDoneSayWhy() {
        var out = new PrintStream(printed, true, StandardCharsets.UTF_8);
        var failure = assertThrows(IOException.class, () -> StepProcess.measure("gpt", 1, 8, 1, 1, out));
        assertTrue(failure.getMessage().contains("must be llama or megalodon, got gpt"), failure.getMessage());
    }

    /** A process knows what it has had: what an array adds to it is there. */
    @Test
    void thePeakOfMemoryRises() {
        long before = PeakMemory.bytes();
        int held = 0;
        var arrays = new ArrayList<byte[]>();
        while (PeakMemory.bytes() < before + 100_000_000 && held < 3000) {
            var array = new byte[1_000_000];
            Arrays.fill(array, (byte) 1);
            arrays.add(array);
            held++;
        }
        assertTrue(PeakMemory.bytes() >= before + 100_000_000, held + " MB held, the peak rose from " + before);
    }

    @Test
    void argumentsDoNotComeFromFiles() throws IOException {
        var file = Files.writeString(folder.resolve("arguments"), "--help");
        assertEquals(2, curve("@" + file), printed.toString());
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
                "steps --model gpt",
                "steps --lengths 48 --tokens 64",
                "steps --lengths 0",
                "steps --lengths many",
                "steps --tokens 0",
                "steps --steps 0",
                "steps --cores 0",
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
