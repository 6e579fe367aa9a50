package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import megalodon4j.tensor.SafeTensors.DType;
import megalodon4j.tensor.SafeTensors.Source;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafeTensorsTest {
    @TempDir
    Path folder;

    @Test
    void readsAFileThatPyTorchWrote() throws Exception {
        var url = SafeTensorsTest.class.getResource("reference.safetensors");
        var file = SafeTensors.read(Path.of(url.toURI()));
        assertEquals(Map.of(), file.metadata());
        assertEquals(20, file.names().size());
        assertEquals(
                List.of("cache.0.norm_count", "cache.1.norm_count"),
                file.names().subList(0, 2));
        assertArrayEquals(new long[] {10, 1, 1, 20, 16}, file.longs("pieces"));
        assertEquals(Shape.of(2, 48), file.shape("input_ids"));
        assertEquals(10924, LongStream.of(file.longs("input_ids")).sum());
        assertEquals(DType.F32, file.dtype("logits"));
        assertEquals(Shape.of(2, 48, 256), file.shape("logits"));
        var logits = file.floats("logits");
        assertEquals(-1.8341936f, logits[0]);
        assertEquals(3.0814362f, logits[1]);
        assertEquals(
                -12116.607353028958,
                IntStream.range(0, logits.length).mapToDouble(i -> logits[i]).sum(),
                1e-6);
    }

    @Test
    void randomTensorsComeBackAsTheyWere() throws IOException {
        var random = new Philox(1, 0);
        for (int trial = 0; trial < 100; trial++) {
            var floats = new LinkedHashMap<String, float[]>();
            var longs = new LinkedHashMap<String, long[]>();
            var shapes = new LinkedHashMap<String, Shape>();
            var sources = new ArrayList<Source>();
            int count = random.nextInt(6);
            for (int i = 0; i < count; i++) {
                var name = "τ\"\\\n" + Integer.toString(random.nextInt(1 << 20), 36) + "." + i;
                var shape = randomShape(random);
                shapes.put(name, shape);
                if (random.nextInt(4) == 0) {
                    longs.put(
                            name,
                            LongStream.range(0, shape.elements())
                                    .map(j -> random.nextLong())
                                    .toArray());
                    sources.add(SafeTensors.i64(name, shape, () -> longs.get(name)));
                } else {
                    floats.put(name, anyFloats(random, shape.elements()));
                    sources.add(SafeTensors.f32(name, shape, () -> floats.get(name)));
                }
            }
            var metadata = trial % 2 == 0 ? Map.<String, String>of() : Map.of("format", "pt", "a\tb", "ü€𝄞");
            var path = folder.resolve(trial + ".safetensors");
            SafeTensors.write(path, metadata, sources);

            var file = SafeTensors.read(path);
            assertEquals(metadata, file.metadata());
            assertEquals(List.copyOf(shapes.keySet()), file.names());
            for (var name : file.names()) {
                assertEquals(shapes.get(name), file.shape(name));
                if (longs.containsKey(name)) {
                    assertArrayEquals(longs.get(name), file.longs(name));
                } else {
                    assertArrayEquals(bits(floats.get(name)), bits(file.floats(name)));
                }
            }
        }
    }

    private static Shape randomShape(Philox random) {
        var sizes = new int[random.nextInt(4)]; // a scalar has none
        for (int i = 0; i < sizes.length; i++) {
            sizes[i] = random.nextInt(10); // 0 among them
        }
        return Shape.of(sizes);
    }

    private static float[] anyFloats(Philox random, int count) {
        var floats = new float[count];
        for (int i = 0; i < count; i++) {
            floats[i] = Float.intBitsToFloat(random.nextInt());
        }
        return floats;
    }

    private static int[] bits(float[] floats) {
        return IntStream.range(0, floats.length)
                .map(i -> Float.floatToRawIntBits(floats[i]))
                .toArray();
    }

    @Test
    void tensorsGreaterThanTheBufferComeBack() throws IOException {
        int n = 1_000_003;
        var random = new Philox(2, 0);
        var floats = new float[n];
        var longs = new long[n];
        for (int i = 0; i < n; i++) {
            floats[i] = random.nextFloat();
            longs[i] = random.nextInt();
        }
        var path = folder.resolve("big");
        SafeTensors.write(
                path,
                Map.of(),
                List.of(
                        SafeTensors.f32("f", Shape.of(n), () -> floats),
                        SafeTensors.i64("l", Shape.of(n), () -> longs),
                        SafeTensors.bf16("b", Shape.of(n), () -> floats)));
        var file = SafeTensors.read(path);
        assertArrayEquals(floats, file.floats("f"));
        assertArrayEquals(longs, file.longs("l"));
        var rounded = file.floats("b");
        for (int i = 0; i < n; i++) {
            assertEquals(floats[i], rounded[i], floats[i] * 0x1p-8f);
        }
    }

    @Test
    void theBytesAreThoseOfTheFormat() throws IOException {
        var path = folder.resolve("bytes");
        SafeTensors.write(
                path,
                Map.of("b", "2", "a", "1"),
                List.of(
                        SafeTensors.f32("w", Shape.of(1, 2), () -> new float[] {1, -2}),
                        SafeTensors.i64("n", Shape.of(), () -> new long[] {258})));
        var json = "{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\"},"
                + "\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                + "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]}}";
        var header = (json + " ".repeat(-json.length() & 7)).getBytes(StandardCharsets.UTF_8);
        var expected = ByteBuffer.allocate(8 + header.length + 16).order(ByteOrder.LITTLE_ENDIAN);
        expected.putLong(header.length).put(header).putFloat(1).putFloat(-2).putLong(258);
        assertArrayEquals(expected.array(), Files.readAllBytes(path));
        assertEquals(8 + header.length, SafeTensors.read(path).entry("w").offset());
        assertEquals(0, SafeTensors.read(path).entry("w").offset() % 8);
    }

    @Test
    void anotherFileIsReplacedAltogether() throws IOException {
        var path = folder.resolve("again");
        SafeTensors.write(path, Map.of(), List.of(SafeTensors.f32("a", Shape.of(100), () -> new float[100])));
        SafeTensors.write(path, Map.of(), List.of());
        assertEquals(List.of(), SafeTensors.read(path).names());
    }

    @Test
    void theSmallTypesAreRead() throws IOException {
        var path = folder.resolve("small");
        var data = ByteBuffer.allocate(18).order(ByteOrder.LITTLE_ENDIAN);
        data.putInt(-5).putInt(7).putShort(Float.floatToFloat16(0.333f)).putShort((short) 0xFC00);
        data.putShort((short) 0x3FC0)
                .put((byte) 0)
                .put((byte) 1)
                .put((byte) 200)
                .put((byte) 3);
        writeRaw(path, """
            {"i": {"dtype": "I32", "shape": [2], "data_offsets": [0, 8]},
             "h": {"dtype": "F16", "shape": [2], "data_offsets": [8, 12]},
             "b": {"dtype": "BF16", "shape": [], "data_offsets": [12, 14]},
             "t": {"dtype": "BOOL", "shape": [2], "data_offsets": [14, 16]},
             "u": {"dtype": "U8", "shape": [2, 1], "data_offsets": [16, 18]}}
            """, data.array());
        var file = SafeTensors.read(path);
        assertEquals(List.of("i", "h", "b", "t", "u"), file.names());
        assertArrayEquals(new long[] {-5, 7}, file.longs("i"));
        assertArrayEquals(new float[] {0.33300781f, Float.NEGATIVE_INFINITY}, file.floats("h"));
        assertArrayEquals(new float[] {1.5f}, file.floats("b"));
        assertArrayEquals(new long[] {0, 1}, file.longs("t"));
        assertArrayEquals(new long[] {200, 3}, file.longs("u"));
        var floats = assertThrows(IOException.class, () -> file.floats("i"));
        assertEquals(path + ": \"i\" is I32; F32, BF16 or F16 can be read here", floats.getMessage());
        var longs = assertThrows(IOException.class, () -> file.longs("h"));
        assertEquals(path + ": \"h\" is F16; I64, I32, U8 or BOOL can be read here", longs.getMessage());
        var absent = assertThrows(IOException.class, () -> file.floats("x"));
        assertEquals(path + ": no tensor \"x\" among its 5, which begin with [i, h, b, t, u]", absent.getMessage());
        assertTrue(file.has("i"));
        assertFalse(file.has("x"));
    }

    static void writeRaw(Path path, String header, byte[] data) throws IOException {
        var json = header.getBytes(StandardCharsets.UTF_8);
        var bytes = ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
        Files.write(path, bytes.putLong(json.length).put(json).put(data).array());
    }

    @Test
    void bfloat16RoundsToTheNearestAndTiesToEven() {
        assertEquals(0x3F80, SafeTensors.toBfloat16(1));
        assertEquals(0x3F80, SafeTensors.toBfloat16(1 + 0x1p-8f), "tie, down to even");
        assertEquals(0x3F82, SafeTensors.toBfloat16(1 + 0x3p-8f), "tie, up to even");
        assertEquals(0x3F81, SafeTensors.toBfloat16(1 + 0x1.0002p-8f));
        assertEquals((short) 0x8000, SafeTensors.toBfloat16(-0f));
        assertEquals(0x7F80, SafeTensors.toBfloat16(Float.MAX_VALUE));
        assertEquals(0x7F80, SafeTensors.toBfloat16(Float.POSITIVE_INFINITY));
        assertEquals((short) 0xFF80, SafeTensors.toBfloat16(Float.NEGATIVE_INFINITY));
        for (int nan : new int[] {0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF, 0x7FC00000}) {
            short bits = SafeTensors.toBfloat16(Float.intBitsToFloat(nan));
            assertTrue(Float.isNaN(SafeTensors.fromBfloat16(bits)));
            assertEquals(nan < 0, bits < 0);
        }
    }

    @Test
    void bfloat16AgreesWithDecimalArithmetic() {
        var random = new Philox(4, 0);
        for (int i = 0; i < 20_000; i++) {
            int word = random.nextInt();
            int bits = (i & 7) == 0 ? word & 0xFFFF0000 | 0x8000 : word; // every eighth a tie
            float x = Float.intBitsToFloat(bits);
            if (!Float.isFinite(x) || Math.abs(x) >= 0x1.FFp127f || Math.abs(x) < Float.MIN_NORMAL) {
                continue;
            }
            var ulp = new BigDecimal(Math.ulp(x)).multiply(BigDecimal.valueOf(1 << 16));
            var nearest = new BigDecimal(x)
                    .divide(ulp)
                    .setScale(0, RoundingMode.HALF_EVEN)
                    .multiply(ulp);
            assertEquals(nearest.floatValue(), SafeTensors.fromBfloat16(SafeTensors.toBfloat16(x)), "of " + x);
        }
        for (int bits = 0; bits < 1 << 16; bits++) {
            float x = SafeTensors.fromBfloat16((short) bits);
            if (!Float.isNaN(x)) {
                assertEquals((short) bits, SafeTensors.toBfloat16(x));
            }
        }
    }

    @Test
    void refusesToWriteWhatCouldNotBeRead() {
        var path = folder.resolve("wrong");
        var one = SafeTensors.f32("a", Shape.of(1), () -> new float[1]);
        assertThrows(IllegalArgumentException.class, () -> SafeTensors.write(path, Map.of(), List.of(one, one)));
        var reserved = SafeTensors.f32("__metadata__", Shape.of(1), () -> new float[1]);
        assertThrows(IllegalArgumentException.class, () -> SafeTensors.write(path, Map.of(), List.of(reserved)));
        for (var metadata :
                List.of(Collections.singletonMap("a", (String) null), Collections.singletonMap((String) null, "b"))) {
            var error =
                    assertThrows(IllegalArgumentException.class, () -> SafeTensors.write(path, metadata, List.of(one)));
            assertTrue(
                    error.getMessage()
                            .startsWith("metadata: " + metadata.toString().replaceAll("[{}]", "")),
                    error.getMessage());
        }
        assertFalse(Files.exists(path));
        var tooLong = SafeTensors.f32("a", Shape.of(2, 1), () -> new float[3]);
        var error =
                assertThrows(IllegalArgumentException.class, () -> SafeTensors.write(path, Map.of(), List.of(tooLong)));
        assertEquals("\"a\" (2, 1) has 2 elements, its data 3", error.getMessage());
        assertFalse(Files.exists(path));
    }

    /** Who saves over the file that was loaded has one of the two, whatever happens. */
    @Test
    void aWriteThatFailsLeavesWhatWasThere() throws IOException {
        var path = folder.resolve("weights");
        SafeTensors.write(path, Map.of(), List.of(SafeTensors.f32("a", Shape.of(2), () -> new float[] {1, 2})));
        var before = Files.readAllBytes(path);
        var large = SafeTensors.f32("a", Shape.of(1 << 20), () -> new float[1 << 20]);
        Thread.currentThread().interrupt();
        assertThrows(IOException.class, () -> SafeTensors.write(path, Map.of(), List.of(large)));
        assertTrue(Thread.interrupted());
        assertArrayEquals(before, Files.readAllBytes(path));
        try (var files = Files.list(folder)) {
            assertEquals(List.of(path), files.toList());
        }
    }
}
