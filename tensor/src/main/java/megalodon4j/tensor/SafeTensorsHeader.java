package megalodon4j.tensor;

import static megalodon4j.tensor.SafeTensors.malformed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import megalodon4j.tensor.SafeTensors.DType;
import megalodon4j.tensor.SafeTensors.Entry;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The JSON in front of a SafeTensors file. Offsets of entries count from the beginning of the file when read, of the
 * data when written.
 */
record SafeTensorsHeader(Map<String, String> metadata, Map<String, Entry> entries) {
    static final String METADATA = "__metadata__";

    /** The limit of the reference implementation. */
    private static final int MAX_LENGTH = 100_000_000;

    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    static SafeTensorsHeader read(Path path, FileChannel channel) throws IOException {
        long size = channel.size();
        if (size < Long.BYTES) {
            throw malformed(path, "%d bytes; a SafeTensors file begins with 8 that say how long its header is", size);
        }
        var prefix = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        SafeTensors.readFully(path, channel, prefix, 0);
        long length = prefix.getLong(0);
        long longest = Math.min(MAX_LENGTH, size - Long.BYTES);
        if (Long.compareUnsigned(length, longest) > 0) {
            throw malformed(
                    path,
                    "a header of %s bytes in a file of %d; at most %d are possible: truncated, or no SafeTensors file",
                    Long.toUnsignedString(length),
                    size,
                    longest);
        }
        var header = ByteBuffer.allocate((int) length);
        SafeTensors.readFully(path, channel, header, Long.BYTES);
        return new Parser(path, Long.BYTES + length, size).parse(header.array());
    }

    /** The checks of one file. */
    private record Parser(Path path, long dataStart, long fileSize) {
        SafeTensorsHeader parse(byte[] header) throws IOException {
            var root = json(header);
            Map<String, String> metadata = new LinkedHashMap<>();
            var entries = new LinkedHashMap<String, Entry>();
            for (var property : root.properties()) {
                var name = property.getKey();
                if (name.equals(METADATA)) {
                    metadata = metadata(property.getValue());
                } else {
                    entries.put(name, entry(name, property.getValue()));
                }
            }
            requireNoHoles(entries);
            return new SafeTensorsHeader(Collections.unmodifiableMap(metadata), Collections.unmodifiableMap(entries));
        }

        private JsonNode json(byte[] header) throws IOException {
            JsonNode root;
            try {
                root = JSON.readTree(header);
            } catch (JacksonException e) {
                throw malformed(path, "the header is not valid JSON: %s", e.getOriginalMessage());
            }
            if (!root.isObject()) {
                throw malformed(path, "the header is not a JSON object but %s", kind(root));
            }
            return root;
        }

        private Map<String, String> metadata(JsonNode node) throws IOException {
            require(node.isObject(), METADATA, "must be a JSON object, got %s", kind(node));
            var metadata = new LinkedHashMap<String, String>();
            for (var property : node.properties()) {
                var value = property.getValue();
                require(value.isString(), METADATA, "%s must be a string, got %s", property.getKey(), kind(value));
                metadata.put(property.getKey(), value.stringValue());
            }
            return metadata;
        }

        private Entry entry(String name, JsonNode node) throws IOException {
            require(node.isObject(), name, "must be a JSON object, got %s", kind(node));
            for (var property : node.properties()) {
                var key = property.getKey();
                require(
                        key.equals("dtype") || key.equals("shape") || key.equals("data_offsets"),
                        name,
                        "unknown key \"%s\"; dtype, shape and data_offsets are allowed",
                        key);
            }
            var dtype = dtype(name, node.path("dtype"));
            var shape = shape(name, integers(name, "shape", node.path("shape")));
            var offsets = integers(name, "data_offsets", node.path("data_offsets"));
            require(offsets.length == 2, name, "data_offsets must be [begin, end], got %s", Arrays.toString(offsets));
            require(
                    offsets[0] <= offsets[1] && offsets[1] <= fileSize - dataStart,
                    name,
                    "data_offsets %s are not within the %d bytes of data that the file has",
                    Arrays.toString(offsets),
                    fileSize - dataStart);
            var entry = new Entry(name, dtype, shape, dataStart + offsets[0]);
            require(
                    offsets[1] - offsets[0] == entry.bytes(),
                    name,
                    "data_offsets %s hold %d bytes; %s of shape %s takes %d",
                    Arrays.toString(offsets),
                    offsets[1] - offsets[0],
                    dtype,
                    shape,
                    entry.bytes());
            return entry;
        }

        private DType dtype(String name, JsonNode node) throws IOException {
            for (var dtype : DType.values()) {
                if (node.isString() && node.stringValue().equals(dtype.name())) {
                    return dtype;
                }
            }
            throw malformed(
                    path, "\"%s\": unknown dtype %s; known are %s", name, kind(node), Arrays.toString(DType.values()));
        }

        private Shape shape(String name, long[] sizes) throws IOException {
            try {
                return Shape.of(Arrays.stream(sizes).mapToInt(Math::toIntExact).toArray());
            } catch (ArithmeticException | IllegalArgumentException e) {
                throw malformed(path, "\"%s\": shape %s: %s", name, Arrays.toString(sizes), Shape.TOO_LARGE);
            }
        }

        private long[] integers(String name, String key, JsonNode node) throws IOException {
            require(node.isArray(), name, "%s must be a list of integers, got %s", key, kind(node));
            var integers = new long[node.size()];
            for (int i = 0; i < integers.length; i++) {
                var item = node.get(i);
                boolean fits = item.isIntegralNumber() && item.canConvertToLong() && item.longValue() >= 0;
                require(fits, name, "%s must be integers from 0 to 2^63 - 1, got %s", key, kind(item));
                integers[i] = item.longValue();
            }
            return integers;
        }

        private void requireNoHoles(Map<String, Entry> entries) throws IOException {
            long end = dataStart;
            String before = "the header";
            var byOffset = Comparator.comparingLong(Entry::offset).thenComparingLong(Entry::bytes);
            for (var entry : entries.values().stream().sorted(byOffset).toList()) {
                require(
                        entry.offset() == end,
                        entry.name(),
                        "begins at byte %d, but %s ends at %d: overlaps and holes are not allowed",
                        entry.offset(),
                        before,
                        end);
                end += entry.bytes();
                before = "\"" + entry.name() + "\"";
            }
            if (end != fileSize) {
                throw malformed(path, "%d bytes behind the last tensor; none are allowed", fileSize - end);
            }
        }

        private void require(boolean condition, String name, String format, Object... arguments) throws IOException {
            if (!condition) {
                throw malformed(path, "\"%s\": %s", name, String.format(Locale.ROOT, format, arguments));
            }
        }

        private static String kind(JsonNode node) {
            var text = node.isMissingNode() ? "nothing" : node.toString();
            return text.length() <= 80 ? text : text.substring(0, 80) + "…";
        }
    }

    /** Length and JSON, filled up with spaces to a multiple of 8 bytes. */
    ByteBuffer toBytes() {
        var root = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            new TreeMap<>(metadata).forEach(root.putObject(METADATA)::put);
        }
        for (var entry : entries.values()) {
            var node = root.putObject(entry.name()).put("dtype", entry.dtype().name());
            var shape = node.putArray("shape");
            for (int size : entry.shape().toArray()) {
                shape.add(size);
            }
            node.putArray("data_offsets").add(entry.offset()).add(entry.offset() + entry.bytes());
        }
        var json = JSON.writeValueAsBytes(root);
        int length = (json.length + 7) / 8 * 8;
        var bytes = ByteBuffer.allocate(Long.BYTES + length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(length).put(json);
        while (bytes.hasRemaining()) {
            bytes.put((byte) ' ');
        }
        return bytes.flip();
    }
}
