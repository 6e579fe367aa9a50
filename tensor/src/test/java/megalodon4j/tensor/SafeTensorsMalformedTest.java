package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever a SafeTensors file may be, it is read or refused with one line that begins with its name. */
class SafeTensorsMalformedTest {
    @TempDir
    Path folder;

    private Path path;

    @BeforeEach
    void path() {
        path = folder.resolve("model.safetensors");
    }

    private void assertRefused(String message) {
        var error = assertThrows(IOException.class, () -> SafeTensors.read(path));
        assertEquals(path + ": " + message, error.getMessage());
    }

    private void assertRefused(String message, String header, int dataBytes) throws IOException {
        SafeTensorsTest.writeRaw(path, header.replace('\'', '"'), new byte[dataBytes]);
        assertRefused(message);
    }

    @Test
    void files() throws IOException {
        assertRefused("no such file");
        Files.createDirectory(path);
        assertRefused("not a file");
    }

    @Test
    void lengths() throws IOException {
        Files.write(path, new byte[0]);
        assertRefused("0 bytes; a SafeTensors file begins with 8 that say how long its header is");
        Files.write(path, new byte[7]);
        assertRefused("7 bytes; a SafeTensors file begins with 8 that say how long its header is");
        for (long length : new long[] {3, 100_000_001, Long.MAX_VALUE, -1}) {
            var bytes = ByteBuffer.allocate(10)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(length)
                    .put((byte) '{');
            Files.write(path, bytes.array());
            assertRefused("a header of " + Long.toUnsignedString(length)
                    + " bytes in a file of 10; at most 2 are possible: truncated, or no SafeTensors file");
        }
    }

    @Test
    void numbersAreWrittenTheSameInAnyLocale() throws IOException {
        var before = Locale.getDefault();
        Locale.setDefault(Locale.of("ar", "EG"));
        try {
            Files.write(path, new byte[7]);
            assertRefused("7 bytes; a SafeTensors file begins with 8 that say how long its header is");
            assertRefused(
                    "\"a\": data_offsets [0, 9] are not within the 4 bytes of data that the file has",
                    "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,9]}}",
                    4);
            assertEquals("add: 7", Check.error("add", "%d", 7).getMessage());
        } finally {
            Locale.setDefault(before);
        }
    }

    @Test
    void json() throws IOException {
        for (var header : List.of("", " ", "{", "{}{}", "{]", "{\"a\": nul}", "{\"a\":\n\"\u0001\"}", "{'a': 1}")) {
            SafeTensorsTest.writeRaw(path, header, new byte[0]);
            var message = assertThrows(IOException.class, () -> SafeTensors.read(path))
                    .getMessage();
            assertTrue(message.startsWith(path + ": the header is not "), message);
            assertEquals(1, message.lines().count(), message);
        }
        assertRefused("the header is not a JSON object but [1]", "[1]", 0);
        assertRefused("the header is not a JSON object but null", "null", 0);
    }

    @Test
    void duplicateNames() throws IOException {
        var one = "'a': {'dtype': 'F32', 'shape': [], 'data_offsets': [0, 4]}";
        assertRefused("the header is not valid JSON: Duplicate Object property \"a\"", "{" + one + ", " + one + "}", 4);
    }

    @Test
    void metadata() throws IOException {
        assertRefused("\"__metadata__\": must be a JSON object, got \"x\"", "{'__metadata__': 'x'}", 0);
        assertRefused("\"__metadata__\": step must be a string, got 3", "{'__metadata__': {'step': 3}}", 0);
    }

    @Test
    void types() throws IOException {
        var known = Arrays.toString(SafeTensors.DType.values());
        assertRefused(
                "\"a\": unknown dtype \"F33\"; known are " + known,
                "{'a': {'dtype': 'F33', 'shape': [], 'data_offsets': [0, 4]}}",
                4);
        assertRefused(
                "\"a\": unknown dtype nothing; known are " + known, "{'a': {'shape': [], 'data_offsets': [0, 4]}}", 4);
    }

    @Test
    void entries() throws IOException {
        assertRefused("\"a\": must be a JSON object, got 5", "{'a': 5}", 0);
        assertRefused(
                "\"a\": unknown key \"strides\"; dtype, shape and data_offsets are allowed",
                "{'a': {'dtype': 'F32', 'shape': [], 'data_offsets': [0, 4], 'strides': []}}",
                4);
    }

    @Test
    void namesCannotBreakTheLine() throws IOException {
        assertRefused("\"a b\": must be a JSON object, got 5", "{'a\\nb': 5}", 0);
    }

    private static String entry(String shape, String offsets) {
        return "{'a': {'dtype': 'F32', 'shape': " + shape + ", 'data_offsets': " + offsets + "}}";
    }

    @Test
    void shapes() throws IOException {
        assertRefused("\"a\": shape must be a list of integers, got 4", entry("4", "[0, 4]"), 4);
        for (var size : List.of("-1", "1.5", "\"2\"", "9223372036854775808", "null")) {
            assertRefused(
                    "\"a\": shape must be integers from 0 to 2^63 - 1, got " + size,
                    entry("[" + size + "]", "[0, 4]"),
                    4);
        }
        for (var shape : List.of("[2147483648]", "[65536, 65536]", "[4611686018427387904, 4, 2]", "[0, 2147483648]")) {
            assertRefused(
                    "\"a\": shape " + shape + ": sizes other than 0 multiply to more than 2^31 - 2^16",
                    entry(shape, "[0, 4]"),
                    4);
        }
    }

    @Test
    void offsets() throws IOException {
        assertRefused("\"a\": data_offsets must be [begin, end], got [0]", entry("[]", "[0]"), 4);
        assertRefused("\"a\": data_offsets must be [begin, end], got [0, 4, 8]", entry("[]", "[0, 4, 8]"), 4);
        assertRefused(
                "\"a\": data_offsets must be a list of integers, got nothing",
                "{'a': {'dtype': 'F32', 'shape': []}}",
                4);
        assertRefused(
                "\"a\": data_offsets [4, 0] are not within the 4 bytes of data that the file has",
                entry("[]", "[4, 0]"),
                4);
        assertRefused(
                "\"a\": data_offsets [0, 8] are not within the 7 bytes of data that the file has",
                entry("[2]", "[0, 8]"),
                7);
        assertRefused("\"a\": data_offsets [0, 4] hold 4 bytes; F32 of shape (2) takes 8", entry("[2]", "[0, 4]"), 4);
        assertRefused("1 bytes behind the last tensor; none are allowed", entry("[]", "[0, 4]"), 5);
        assertRefused("4 bytes behind the last tensor; none are allowed", "{}", 4);
    }

    @Test
    void overlapsAndHoles() throws IOException {
        var two = "{'a': {'dtype': 'U8', 'shape': [4], 'data_offsets': [0, 4]},"
                + " 'b': {'dtype': 'U8', 'shape': [4], 'data_offsets': [%d, %d]}}";
        int data = 8 + two.formatted(3, 7).length();
        assertRefused(
                "\"b\": begins at byte %d, but \"a\" ends at %d: overlaps and holes are not allowed"
                        .formatted(data + 3, data + 4),
                two.formatted(3, 7),
                8);
        assertRefused(
                "\"b\": begins at byte %d, but \"a\" ends at %d: overlaps and holes are not allowed"
                        .formatted(data + 5, data + 4),
                two.formatted(5, 9),
                9);
        assertRefused(
                "\"b\": begins at byte %d, but \"a\" ends at %d: overlaps and holes are not allowed"
                        .formatted(data, data + 4),
                two.formatted(0, 4),
                4);
    }

    @Test
    void everyTruncationIsRefused() throws IOException {
        SafeTensors.write(path, Map.of("a", "b"), List.of(SafeTensors.f32("w", Shape.of(5), () -> new float[5])));
        var whole = Files.readAllBytes(path);
        for (int length = 0; length < whole.length; length++) {
            Files.write(path, Arrays.copyOf(whole, length));
            var message = assertThrows(IOException.class, () -> SafeTensors.read(path))
                    .getMessage();
            assertTrue(message.startsWith(path + ": ") && message.lines().count() == 1, message);
        }
    }

    @Test
    void aFileCutAfterItWasReadIsRefused() throws IOException {
        SafeTensors.write(path, Map.of(), List.of(SafeTensors.f32("w", Shape.of(5), () -> new float[5])));
        var file = SafeTensors.read(path);
        long size = Files.size(path);
        Files.write(path, Arrays.copyOf(Files.readAllBytes(path), (int) size - 3));
        var error = assertThrows(IOException.class, () -> file.floats("w"));
        assertEquals(
                path + ": ends at byte " + (size - 3) + ", while 3 more were expected: the file is truncated",
                error.getMessage());
    }

    @Test
    void anyChangedByteIsReadOrRefusedInOneLine() throws IOException {
        SafeTensors.write(
                path,
                Map.of("format", "pt"),
                List.of(
                        SafeTensors.f32("w", Shape.of(2, 3), () -> new float[6]),
                        SafeTensors.i64("n", Shape.of(), () -> new long[1])));
        var whole = Files.readAllBytes(path);
        var random = new Philox(11, 0);
        for (int i = 0; i < 3000; i++) {
            var changed = whole.clone();
            for (int k = random.nextInt(3); k >= 0; k--) {
                changed[random.nextInt(changed.length)] =
                        (byte) (random.nextInt(2) == 0 ? random.nextInt() : 32 + random.nextInt(95));
            }
            Files.write(path, changed);
            try {
                SafeTensors.read(path);
            } catch (IOException e) {
                var message = e.getMessage();
                assertTrue(message.startsWith(path + ": ") && message.lines().count() == 1, message);
            }
        }
    }
}
