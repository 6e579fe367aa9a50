package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** data fetch, from a server of this process. */
class FetchCommandTest {
    private static final byte[] TEXT = BuiltinText.synthetic(300_000);

    private static final Duration PATIENCE = Duration.ofSeconds(2);

    @TempDir
    Path folder;

    private Path out;
    private Path partial;
    private HttpServer server;

    /** What the server sends, and how. */
    private volatile byte[] file;

    private volatile boolean ranges = true;
    private volatile int breaksOffAfter = Integer.MAX_VALUE;
    private final CountDownLatch end = new CountDownLatch(1);

    /** The ranges that were asked for. */
    private final List<String> asked = new ArrayList<>();

    @BeforeEach
    void serve() throws IOException {
        out = folder.resolve("data/enwik8.gz");
        partial = folder.resolve("data/.tmp-enwik8.gz.part");
        file = zip(TEXT);
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/enwik8", this::answer);
        server.createContext("/moved", exchange -> {
            exchange.getResponseHeaders().set("Location", "/enwik8");
            exchange.sendResponseHeaders(302, -1);
            exchange.close();
        });
        server.createContext("/silent", exchange -> await(end));
        server.createContext("/stalls", exchange -> {
            exchange.sendResponseHeaders(200, TEXT.length);
            exchange.getResponseBody().write(TEXT, 0, 1000);
            exchange.getResponseBody().flush();
            await(end);
        });
        server.createContext("/slow", exchange -> {
            exchange.sendResponseHeaders(200, TEXT.length);
            for (int i = 0; i < 3; i++) {
                exchange.getResponseBody().write(TEXT, i * 100_000, 100_000);
                exchange.getResponseBody().flush();
                await(new CountDownLatch(1), PATIENCE.dividedBy(2));
            }
            exchange.close();
        });
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.start();
    }

    @AfterEach
    void stop() {
        end.countDown();
        server.stop(0);
    }

    private void answer(HttpExchange exchange) throws IOException {
        var range = exchange.getRequestHeaders().getFirst("Range");
        asked.add(String.valueOf(range));
        try (exchange) {
            int start = range == null || !ranges ? 0 : Integer.parseInt(range.replaceAll("\\D", ""));
            if (start >= file.length) {
                exchange.getResponseHeaders().set("Content-Range", "bytes */" + file.length);
                exchange.sendResponseHeaders(416, -1);
                return;
            }
            if (start > 0) {
                exchange.getResponseHeaders()
                        .set("Content-Range", "bytes %d-%d/%d".formatted(start, file.length - 1, file.length));
            }
            exchange.sendResponseHeaders(start > 0 ? 206 : 200, file.length - start);
            var body = exchange.getResponseBody();
            body.write(file, start, Math.min(breaksOffAfter, file.length - start));
            body.flush();
        }
    }

    private static void await(CountDownLatch latch) {
        await(latch, Duration.ofMinutes(1));
    }

    private static void await(CountDownLatch latch, Duration most) {
        try {
            latch.await(most.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private Tiny.Outcome fetch() {
        return fetch(url("/enwik8"));
    }

    private Tiny.Outcome fetch(String url) {
        return fetch(new FetchCommand(TEXT.length, md5(TEXT), PATIENCE), url, out);
    }

    private static Tiny.Outcome fetch(FetchCommand command, String url, Path out) {
        var main = Main.commandLine();
        var data = main.getSubcommands().get("data");
        data.getCommandSpec().removeSubcommand("fetch");
        data.addSubcommand("fetch", command);
        return Tiny.run(main, "data", "fetch", "--url", url, "--out", out);
    }

    private String url(String path) {
        var address = server.getAddress();
        return "http://" + address.getAddress().getHostAddress() + ":" + address.getPort() + path;
    }

    private void assertFetched(Tiny.Outcome outcome) throws IOException {
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertEquals(out + ": 300,000 bytes, MD5 " + md5(TEXT), outcome.out().strip());
        assertArrayEquals(TEXT, Corpus.gunzip("", out, Integer.MAX_VALUE));
        assertOnly("enwik8.gz");
    }

    private void assertOnly(String... names) throws IOException {
        try (var files = Files.list(out.getParent())) {
            assertEquals(
                    List.of(names),
                    files.map(path -> path.getFileName().toString()).sorted().toList());
        }
    }

    private void assertFailed(int exitCode, String expected, Tiny.Outcome outcome) {
        assertEquals(exitCode, outcome.exitCode(), outcome::err);
        var error = outcome.err().lines().toList().getLast();
        assertTrue(error.startsWith("megalodon data fetch: "), error);
        assertTrue(error.contains(expected), error);
        assertTrue(outcome.err()
                .lines()
                .allMatch(line -> line.equals(error) || line.matches("(downloading|checking): .*MB")));
        assertEquals("", outcome.out());
    }

    // --- what comes -------------------------------------------------------------------------------------------------

    @Test
    void aZipFileBecomesAGzipFile() throws IOException {
        assertFetched(fetch());
        assertEquals(List.of("null"), asked);
    }

    @Test
    void gzipAndRawFilesDoAsWell() throws IOException {
        file = gzip(TEXT);
        assertFetched(fetch());
        Files.delete(out);
        file = TEXT;
        assertFetched(fetch());
    }

    @Test
    void redirectsAreFollowed() throws IOException {
        assertFetched(fetch(url("/moved")));
    }

    @Test
    void whatIsThereIsNotFetchedAgain() throws IOException {
        assertFetched(fetch());
        assertFetched(fetch());
        assertEquals(1, asked.size());
    }

    @Test
    void anotherFileIsLeftAsItIs() throws IOException {
        Files.createDirectories(out.getParent());
        var other = gzip("mine".getBytes());
        Files.write(out, other);
        assertFailed(2, "there already, and has 4 bytes instead of 300,000; it is left as it is", fetch());
        assertArrayEquals(other, Files.readAllBytes(out));
        assertEquals(List.of(), asked);
    }

    // --- what breaks off --------------------------------------------------------------------------------------------

    @Test
    void aDownloadThatBrokeOffGoesOn() throws IOException {
        file = TEXT;
        breaksOffAfter = 100_000;
        long first = breakOff(), second = breakOff();
        assertTrue(0 < first && first < second && second <= 200_000, first + ", " + second);
        breaksOffAfter = Integer.MAX_VALUE;
        assertFetched(fetch());
        assertEquals(List.of("null", "bytes=" + first + "-", "bytes=" + second + "-"), asked);
    }

    @Test
    void aServerThatFallsSilentIsGivenUp() throws IOException {
        file = TEXT;
        assertFailed(
                1,
                url("/stalls")
                        + ": broke off after 1,000 bytes: nothing came for 2 s; the same command goes on from there",
                fetch(url("/stalls")));
        assertFailed(1, url("/silent") + ": no answer for 2 s", fetch(url("/silent")));
        assertFetched(fetch());
        assertEquals(List.of("bytes=1000-"), asked);
    }

    @Test
    void aSlowServerIsWaitedFor() throws IOException {
        assertFetched(fetch(url("/slow")));
    }

    // What is kept: a connection that breaks may take the last bytes with it.
    private long breakOff() throws IOException {
        var outcome = fetch();
        assertOnly(partial.getFileName().toString());
        assertFailed(1, "broke off after %,d bytes".formatted(Files.size(partial)), outcome);
        return Files.size(partial);
    }

    @Test
    void aServerWithoutRangesStartsAgain() throws IOException {
        ranges = false;
        breaksOffAfter = 1000;
        assertFailed(1, "broke off after ", fetch());
        breaksOffAfter = Integer.MAX_VALUE;
        assertFetched(fetch());
        assertEquals(List.of("null", "bytes=1000-"), asked);
    }

    @Test
    void aWholeDownloadIsNotFetchedAgain() throws IOException {
        havePartial(file);
        assertFetched(fetch());
        assertEquals(List.of("bytes=" + file.length + "-"), asked);
    }

    @Test
    void aPartLongerThanTheWholeIsAnotherFiles() throws IOException {
        havePartial(new byte[file.length + 1]);
        assertFetched(fetch());
        assertEquals(List.of("bytes=" + (file.length + 1) + "-", "null"), asked);
    }

    @Test
    void aPartOfAnotherFileIsFoundOut() throws IOException {
        file = TEXT;
        havePartial(new byte[1000]);
        assertFailed(1, "has the MD5", fetch());
        assertFetched(fetch());
    }

    private void havePartial(byte[] bytes) throws IOException {
        Files.createDirectories(out.getParent());
        Files.write(partial, bytes);
    }

    @Test
    void otherBytesThanAskedForAreRefused() throws IOException {
        havePartial(new byte[1000]);
        server.createContext("/other", exchange -> {
            exchange.getResponseHeaders().set("Content-Range", "bytes 7-9/10");
            exchange.sendResponseHeaders(206, 3);
            exchange.getResponseBody().write(new byte[3]);
            exchange.close();
        });
        assertFailed(1, "answers 206 with bytes 7-9/10", fetch(url("/other")));
        assertArrayEquals(new byte[1000], Files.readAllBytes(partial));
    }

    @Test
    void aThreadCanBeInterrupted() {
        Thread.currentThread().interrupt();
        assertFailed(1, "interrupted", fetch());
        assertTrue(Thread.interrupted());
    }

    // --- what is wrong ----------------------------------------------------------------------------------------------

    @Test
    void whatHasAnotherLengthIsRemoved() throws IOException {
        assertFailed(
                1,
                "what came has 300,000 bytes instead of 300,001; it has been removed",
                fetch(new FetchCommand(TEXT.length + 1, md5(TEXT), PATIENCE), url("/enwik8"), out));
        assertOnly();
    }

    @Test
    void whatHasAnotherChecksumIsRemoved() throws IOException {
        var other = TEXT.clone();
        other[12345] ^= 1;
        file = zip(other);
        assertFailed(1, "has the MD5 " + md5(other) + " instead of " + md5(TEXT), fetch());
        assertOnly();
    }

    @Test
    void damagedArchivesAreRemoved() throws IOException {
        for (var whole : List.of(zip(TEXT), gzip(TEXT))) {
            file = Arrays.copyOf(whole, whole.length / 2);
            assertFailed(1, "is a damaged archive: ", fetch());
            file = whole.clone();
            Arrays.fill(file, 1000, 2000, (byte) 0xFF);
            assertFailed(1, "is a damaged archive: ", fetch());
            assertOnly();
        }
    }

    @Test
    void theServersRefusalIsPassedOn() throws IOException {
        assertFailed(1, url("/none") + ": the server answers 404", fetch(url("/none")));
        assertOnly();
    }

    @Test
    void noServerIsNoAnswer() throws IOException {
        var url = url("/enwik8");
        server.stop(0);
        assertFailed(1, url + ": no answer: connection refused", fetch(url));
        assertFailed(1, "unknown host", fetch("http://" + "x".repeat(64) + "/")); // longer than any name can be
        assertOnly();
    }

    @Test
    void whatIsWrongWithTheFileIsNotBlamedOnTheServer() throws IOException {
        var partial = Files.createDirectories(out.resolveSibling(".tmp-" + out.getFileName() + ".part"));
        assertFailed(1, "megalodon data fetch: " + partial + ": ", fetch());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"ftp://host/file", "enwik8.zip", "http:///file", "http://127.0.0.1:65536/file", "http://a b", ""
            })
    void otherUrlsAreRefused(String url) {
        assertFailed(2, "allowed: http://… or https://…", fetch(url));
        assertFalse(Files.exists(out.getParent()));
    }

    @Test
    void whatIsWrongWithTheCommandLineEndsInOneLine() throws IOException {
        assertFailed(2, "a folder", fetch(new FetchCommand(), url("/enwik8"), folder));
        var file = Files.createFile(folder.resolve("file"));
        for (var below : List.of("x.gz", "x/y.gz")) {
            assertFailed(2, file + " is not a folder", fetch(new FetchCommand(), url("/enwik8"), file.resolve(below)));
        }
        assertFailed(2, "ends in .gz", fetch(new FetchCommand(), url("/enwik8"), folder.resolve("enwik8")));
        var outcome = Tiny.run("data");
        assertEquals(2, outcome.exitCode());
        assertEquals("megalodon data: a command is missing; allowed: fetch", outcome.error());
    }

    // --- archives ---------------------------------------------------------------------------------------------------

    private static byte[] zip(byte[] text) throws IOException {
        var bytes = new ByteArrayOutputStream();
        try (var zip = new ZipOutputStream(bytes)) {
            zip.putNextEntry(new ZipEntry("enwik8"));
            zip.write(text);
        }
        return bytes.toByteArray();
    }

    private static byte[] gzip(byte[] text) throws IOException {
        var bytes = new ByteArrayOutputStream();
        try (OutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write(text);
        }
        return bytes.toByteArray();
    }

    private static String md5(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }
}
