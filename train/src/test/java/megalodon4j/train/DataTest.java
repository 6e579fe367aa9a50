package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import megalodon4j.models.MegalodonConfig;
import megalodon4j.models.ModelConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataTest {
    private static final byte[] TEXT = BuiltinText.synthetic(1001);

    @TempDir
    Path folder;

    @Test
    void rawAndPackedFilesAreTheSame() throws IOException {
        var raw = Files.write(folder.resolve("a.txt"), TEXT);
        var gz = folder.resolve("a.gz");
        try (var out = new GZIPOutputStream(Files.newOutputStream(gz))) {
            out.write(TEXT);
        }
        var zip = folder.resolve("a.ZIP");
        try (var out = new ZipOutputStream(Files.newOutputStream(zip))) {
            out.putNextEntry(new ZipEntry("folder/"));
            out.putNextEntry(new ZipEntry("first"));
            out.write(TEXT, 0, 600);
            out.putNextEntry(new ZipEntry("second"));
            out.write(TEXT, 600, 401);
        }
        for (var file : new Path[] {raw, gz, zip}) {
            var corpus = Corpus.load(file.toString());
            assertArrayEquals(TEXT, corpus.bytes());
            assertEquals(900, corpus.trainSize());
            assertEquals(101, corpus.validationSize());
            assertArrayEquals(Arrays.copyOf(TEXT, 700), Corpus.read("--data", file, 700));
        }
    }

    @Test
    void whatUnpacksIsClosed() throws IOException {
        var gz = folder.resolve("a.gz");
        try (var out = new GZIPOutputStream(Files.newOutputStream(gz))) {
            out.write(TEXT);
        }
        var zip = folder.resolve("a.zip");
        try (var out = new ZipOutputStream(Files.newOutputStream(zip))) {
            out.putNextEntry(new ZipEntry("first"));
            out.write(TEXT);
        }
        for (var file : List.of(gz, zip)) {
            var in = Corpus.read("--data", file, stream -> stream);
            assertThrows(IOException.class, in::read);
        }
    }

    @Test
    void unusableFilesAreNamed() throws IOException {
        var broken = Files.write(folder.resolve("broken.gz"), TEXT);
        assertRefused(broken.toString(), "broken.gz: cannot be read: Not in GZIP format");
        Files.write(folder.resolve("broken.zip"), TEXT);
        assertRefused(folder.resolve("broken.zip").toString(), "not a zip file");
        assertRefused(folder.resolve("none").toString(), "no such file");
        assertRefused(folder.toString(), "a folder");
        assertRefused("builtin:wikipedia", "builtin:jdk-src");
    }

    private static void assertRefused(String dataPath, String expected) {
        var e = assertThrows(Failure.class, () -> Corpus.load(dataPath));
        assertEquals(2, e.exitCode());
        assertTrue(e.getMessage().startsWith("data_path: ") && e.getMessage().contains(expected), e.getMessage());
    }

    @Test
    void aTextMustHoldAWindowInBothSplits() {
        var corpus = new Corpus("text", new byte[200]);
        var bytes = MegalodonConfig.enwik8();
        corpus.require(19, bytes);
        assertThrows(Failure.class, () -> corpus.require(20, bytes));
        assertThrows(Failure.class, () -> new Corpus("text", new byte[0]).require(1, bytes));
    }

    @Test
    void theKeyIsNamedThatRulesAByteOut() {
        var model = MegalodonConfig.enwik8().toBuilder();
        assertRuledOut("num_tokens", model.numTokens(100).build());
        assertRuledOut("num_tokens", model.numTokens(100).outputSize(256).build());
        assertRuledOut("output_size", model.numTokens(256).outputSize(100).build());
    }

    private static void assertRuledOut(String key, ModelConfig model) {
        var e = assertThrows(Failure.class, () -> new Corpus("text", TEXT).require(10, model));
        assertTrue(e.getMessage().endsWith("the model's " + key + " allows values below 100"), e.getMessage());
    }

    @Test
    void builtinTextIsAlwaysThere() throws IOException {
        var javaHome = Path.of(System.getProperty("java.home"));
        if (Files.exists(javaHome.resolve("lib/src.zip"))) {
            var sources = BuiltinText.load(javaHome);
            assertEquals(BuiltinText.SIZE, sources.bytes().length);
            assertEquals(sources.checksum(), BuiltinText.load(javaHome).checksum());
            assertTrue(new String(sources.bytes(), 0, 1 << 16, StandardCharsets.UTF_8).contains("package java."));
        }
        var synthetic = BuiltinText.load(folder);
        assertTrue(synthetic.name().contains("synthetic"), synthetic.name());
        assertEquals("The ", new String(synthetic.bytes(), 0, 4, StandardCharsets.US_ASCII));
    }

    @Test
    void builtinTextReadsNoMoreFilesThanItNeeds() throws IOException {
        var text = "x".repeat(BuiltinText.SIZE);
        var sources = Files.createDirectories(folder.resolve("lib")).resolve("src.zip");
        try (var out = new ZipOutputStream(Files.newOutputStream(sources))) {
            for (var name : List.of("b", "a")) { // the order of the names' checksums is a, b
                out.putNextEntry(new ZipEntry("java.base/java/" + name + ".java"));
                out.write(text.getBytes(StandardCharsets.UTF_8));
            }
        }
        var bytes = Files.readAllBytes(sources);
        Arrays.fill(bytes, 100, 1000, (byte) 0xFF); // within the one that is not needed
        Files.write(sources, bytes);
        assertEquals(text, new String(BuiltinText.load(folder).bytes(), StandardCharsets.UTF_8));
    }

    @Test
    void randomStartsAreUniformAndOfASequenceAlone() {
        var sampler = new Sampler.Random(7, 10);
        var counts = new int[10];
        IntStream.range(0, 10_000).forEach(i -> counts[sampler.start(i)]++);
        for (int count : counts) {
            assertEquals(1000, count, 150);
        }
        assertEquals(sampler.start(1234), new Sampler.Random(7, 10).start(1234));
        assertTrue(IntStream.range(0, 100).anyMatch(i -> sampler.start(i) != new Sampler.Random(8, 10).start(i)));
    }

    @Test
    void sequentialStartsFollowEachOtherAndWrap() throws IOException {
        var config = Tiny.read(Tiny.config(folder, Tiny.LLAMA), "sampler=sequential");
        var sampler = Sampler.of(config, 100); // seq_len 16: 83 starts
        assertArrayEquals(
                new int[] {0, 16, 32, 48, 64, 80, 96 - 83, 112 - 83},
                IntStream.range(0, 8).map(sampler::start).toArray());
        assertEquals((int) (16L * 1_000_000_007L % 83), sampler.start(1_000_000_007L));
    }

    @Test
    void validationWindowsSpreadFromEndToEnd() {
        var corpus = new Corpus("text", new byte[1000]); // 900 + 100
        var windows = Windows.validation(corpus, 9, 4);
        assertArrayEquals(
                new int[] {900, 930, 960, 990},
                IntStream.range(0, 4).map(windows.start()).toArray());
        assertEquals(900, Windows.validation(corpus, 9, 1).start().applyAsInt(0));
        var uneven = Windows.validation(corpus, 10, 4).start(); // ⌊i · 89 / 3⌋
        assertArrayEquals(
                new int[] {900, 929, 959, 989},
                IntStream.range(0, 4).map(uneven).toArray());
    }

    @Test
    void consecutiveWindowsDropTheTail() {
        assertEquals(3, Windows.consecutive(new byte[31], 10).count());
        assertEquals(2, Windows.consecutive(new byte[30], 10).count());
        assertEquals(20, Windows.consecutive(new byte[31], 10).start().applyAsInt(2));
    }

    @Test
    void metricsAreCutAtAStepOrATornLine() throws IOException {
        var file = folder.resolve("metrics.jsonl");
        var lines = "{\"step\":0,\"val_loss\":1}\n{\"step\":0}\n{\"step\":1}\n{\"step\":2,\"val_loss\":1}\n";
        assertCut(file, lines + "{\"step\":2}\n", 2, "{\"step\":0,\"val_loss\":1}\n{\"step\":0}\n{\"step\":1}\n");
        assertCut(file, lines + "{\"step\":2,\"tr", 3, lines);
        assertCut(file, lines + "{\"step\":2}", 3, lines);
        assertCut(file, lines + "nonsense\n", 9, lines);
        assertCut(file, lines, 0, "");
        Metrics.cut(folder.resolve("none"), 3);
    }

    private static void assertCut(Path file, String before, long step, String after) throws IOException {
        Files.writeString(file, before);
        Metrics.cut(file, step);
        assertEquals(after, Files.readString(file));
    }

    @Test
    void aFolderIsWrittenAsAWholeOrNotAtAll() throws IOException {
        var target = folder.resolve("checkpoint_1");
        for (var contents : new String[] {"one", "two"}) {
            DurableFiles.writeFolder(target, aside -> Files.writeString(aside.resolve("file"), contents));
            assertEquals(contents, Files.readString(target.resolve("file")));
        }
        assertThrows(
                IOException.class,
                () -> DurableFiles.writeFolder(target, aside -> {
                    Files.writeString(aside.resolve("file"), "three");
                    throw new IOException("disk full");
                }));
        assertEquals("two", Files.readString(target.resolve("file")));
    }
}
