package megalodon4j.tensor;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

/**
 * A file of named tensors in the SafeTensors format (https://github.com/huggingface/safetensors): the length of a JSON
 * header as a little-endian u64, the header, and the tensors' bytes without holes.
 *
 * <p>{@link #read} takes and checks the header alone; a tensor's elements come from the file each time they are asked
 * for, straight into the array that is returned, and nothing stays open. {@link #write} asks for one tensor after the
 * other.
 *
 * <p>A file that is not as it must be is an {@link IOException} of one line: which file, what was found, what is
 * allowed.
 */
public final class SafeTensors {
    private static final int CHUNK = 1 << 18;

    private final Path path;
    private final Map<String, String> metadata;
    private final Map<String, Entry> entries;

    private SafeTensors(Path path, Map<String, String> metadata, Map<String, Entry> entries) {
        this.path = path;
        this.metadata = metadata;
        this.entries = entries;
    }

    /** The types of elements that the format knows and that fill whole bytes. */
    public enum DType {
        BOOL(1),
        U8(1),
        I8(1),
        F8_E5M2(1),
        F8_E4M3(1),
        F8_E8M0(1),
        I16(2),
        U16(2),
        F16(2),
        BF16(2),
        I32(4),
        U32(4),
        F32(4),
        F64(8),
        I64(8),
        U64(8),
        C64(8);

        private final int bytes;

        DType(int bytes) {
            this.bytes = bytes;
        }

        /** The size of one element. */
        public int bytes() {
            return bytes;
        }
    }

    /** Where a tensor lies: its first byte is at {@code offset} from the beginning of the file. */
    public record Entry(String name, DType dtype, Shape shape, long offset) {
        /** The size of all elements. */
        public long bytes() {
            return (long) shape.elements() * dtype.bytes();
        }
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /**
     * Reads and checks the header of a file.
     *
     * @throws IOException if the file cannot be read or is malformed: too short, a header longer than the file, no
     *     JSON, a name twice, an unknown type, an impossible shape, offsets that overlap, leave holes, leave the file
     *     or do not fit shape and type
     */
    public static SafeTensors read(Path path) throws IOException {
        if (!Files.isRegularFile(path)) {
            throw new FileSystemException(path.toString(), null, Files.exists(path) ? "not a file" : "no such file");
        }
        try (var channel = FileChannel.open(path)) {
            var header = SafeTensorsHeader.read(path, channel);
            return new SafeTensors(path, header.metadata(), header.entries());
        }
    }

    public Path path() {
        return path;
    }

    /** The header's {@code __metadata__}, in the file's order; empty if there is none. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /** The tensors' names, in the order of the header. */
    public List<String> names() {
        return List.copyOf(entries.keySet());
    }

    public boolean has(String name) {
        return entries.containsKey(name);
    }

    /**
     * Type, shape and place of a tensor.
     *
     * @throws IOException if the file has no tensor of that name
     */
    public Entry entry(String name) throws IOException {
        var entry = entries.get(name);
        if (entry == null) {
            var some = entries.keySet().stream().limit(5).toList();
            throw wrong("no tensor \"%s\" among its %d, which begin with %s", name, entries.size(), some);
        }
        return entry;
    }

    /** {@link Entry#dtype} of {@link #entry}. */
    public DType dtype(String name) throws IOException {
        return entry(name).dtype();
    }

    /** {@link Entry#shape} of {@link #entry}. */
    public Shape shape(String name) throws IOException {
        return entry(name).shape();
    }

    /**
     * The elements of a tensor of F32, BF16 or F16, row by row.
     *
     * @throws IOException if there is no such tensor, its type is another, or the file has been cut since
     */
    public float[] floats(String name) throws IOException {
        var entry = entry(name);
        var to = new float[entry.shape().elements()];
        readInto(
                entry,
                switch (entry.dtype()) {
                    case F32 -> (bytes, at, n) -> bytes.asFloatBuffer().get(to, at, n);
                    case BF16 ->
                        (bytes, at, n) -> {
                            for (int i = at; i < at + n; i++) {
                                to[i] = fromBfloat16(bytes.getShort());
                            }
                        };
                    case F16 ->
                        (bytes, at, n) -> {
                            for (int i = at; i < at + n; i++) {
                                to[i] = Float.float16ToFloat(bytes.getShort());
                            }
                        };
                    default -> throw wrongType(entry, "F32, BF16 or F16");
                });
        return to;
    }

    /**
     * The elements of a tensor of I64, I32, U8 or BOOL, row by row.
     *
     * @throws IOException if there is no such tensor, its type is another, or the file has been cut since
     */
    public long[] longs(String name) throws IOException {
        var entry = entry(name);
        var to = new long[entry.shape().elements()];
        readInto(
                entry,
                switch (entry.dtype()) {
                    case I64 -> (bytes, at, n) -> bytes.asLongBuffer().get(to, at, n);
                    case I32 ->
                        (bytes, at, n) -> {
                            for (int i = at; i < at + n; i++) {
                                to[i] = bytes.getInt();
                            }
                        };
                    case U8, BOOL ->
                        (bytes, at, n) -> {
                            for (int i = at; i < at + n; i++) {
                                to[i] = Byte.toUnsignedLong(bytes.get());
                            }
                        };
                    default -> throw wrongType(entry, "I64, I32, U8 or BOOL");
                });
        return to;
    }

    private void readInto(Entry entry, Piece decoder) throws IOException {
        int size = entry.dtype().bytes();
        int elements = entry.shape().elements();
        try (var channel = FileChannel.open(path)) {
            var buffer = ByteBuffer.allocate(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
            for (int at = 0, n; at < elements; at += n) {
                n = Math.min(elements - at, CHUNK / size);
                readFully(path, channel, buffer.clear().limit(n * size), entry.offset() + (long) at * size);
                decoder.apply(buffer.flip(), at, n);
            }
        }
    }

    /** Fills the buffer up to its limit from that position of the file on. */
    static void readFully(Path path, FileChannel channel, ByteBuffer buffer, long position) throws IOException {
        while (buffer.hasRemaining()) {
            int count = channel.read(buffer, position);
            if (count < 0) {
                throw new EOFException(path + ": ends at byte " + position + ", while " + buffer.remaining()
                        + " more were expected: the file is truncated");
            }
            position += count;
        }
    }

    // --- writing ----------------------------------------------------------------------------------------------------

    /**
     * A tensor to be written. Its elements are asked for when its turn comes, so that one at a time needs to be in
     * memory.
     */
    public static final class Source {
        private final String name;
        private final DType dtype;
        private final Shape shape;
        private final Supplier<Piece> encoder;

        private Source(String name, DType dtype, Shape shape, Supplier<Piece> encoder) {
            this.name = name;
            this.dtype = dtype;
            this.shape = shape;
            this.encoder = encoder;
        }
    }

    /** A tensor to be written as it is. */
    public static Source f32(String name, Tensor tensor) {
        return f32(name, tensor.shape(), tensor::toArray);
    }

    /** Elements to be written as they are. */
    public static Source f32(String name, Shape shape, Supplier<float[]> data) {
        return new Source(name, DType.F32, shape, () -> {
            var from = data.get();
            require(name, shape, from.length);
            return (bytes, at, n) -> bytes.asFloatBuffer().put(from, at, n);
        });
    }

    /** Elements to be rounded to the nearest bfloat16, ties to even. */
    public static Source bf16(String name, Shape shape, Supplier<float[]> data) {
        return new Source(name, DType.BF16, shape, () -> {
            var from = data.get();
            require(name, shape, from.length);
            return (bytes, at, n) -> {
                for (int i = at; i < at + n; i++) {
                    bytes.putShort(toBfloat16(from[i]));
                }
            };
        });
    }

    /** Integers to be written as they are. */
    public static Source i64(String name, Shape shape, Supplier<long[]> data) {
        return new Source(name, DType.I64, shape, () -> {
            var from = data.get();
            require(name, shape, from.length);
            return (bytes, at, n) -> bytes.asLongBuffer().put(from, at, n);
        });
    }

    private static void require(String name, Shape shape, int length) {
        if (length != shape.elements()) {
            throw new IllegalArgumentException(
                    "\"" + name + "\" " + shape + " has " + shape.elements() + " elements, its data " + length);
        }
    }

    /**
     * Writes a file, replacing what is there: the tensors in the given order, the metadata ordered by key, the data
     * aligned to 8 bytes. The same contents give the same bytes. The file appears as a whole or not at all: a write that fails leaves what was
     * there.
     *
     * @throws IllegalArgumentException if a name comes twice or is {@code __metadata__}, a key or value of the metadata is null, or data do not
     *     fit their shape
     */
    public static void write(Path path, Map<String, String> metadata, List<Source> tensors) throws IOException {
        var entries = new LinkedHashMap<String, Entry>();
        long offset = 0;
        for (var source : tensors) {
            var entry = new Entry(source.name, source.dtype, source.shape, offset);
            offset += entry.bytes();
            if (source.name.equals(SafeTensorsHeader.METADATA) || entries.put(source.name, entry) != null) {
                throw new IllegalArgumentException("the name \"" + source.name + "\" is taken");
            }
        }
        metadata.forEach((key, value) -> {
            if (key == null || value == null) {
                throw new IllegalArgumentException("metadata: " + key + "=" + value + "; neither may be null");
            }
        });
        var aside = path.resolveSibling(".tmp-" + path.getFileName());
        try {
            write(aside, new SafeTensorsHeader(metadata, entries).toBytes(), tensors);
            Files.move(aside, path, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(aside);
        }
    }

    private static void write(Path path, ByteBuffer header, List<Source> tensors) throws IOException {
        var options = new StandardOpenOption[] {
            StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE
        };
        try (var channel = FileChannel.open(path, options)) {
            writeFully(channel, header);
            var buffer = ByteBuffer.allocate(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
            for (var source : tensors) {
                write(channel, buffer, source);
            }
        }
    }

    private static void write(FileChannel channel, ByteBuffer buffer, Source source) throws IOException {
        var encoder = source.encoder.get();
        int size = source.dtype.bytes();
        int elements = source.shape.elements();
        for (int at = 0, n; at < elements; at += n) {
            n = Math.min(elements - at, CHUNK / size);
            encoder.apply(buffer.clear(), at, n);
            writeFully(channel, buffer.position(0).limit(n * size));
        }
    }

    private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    // --- both -------------------------------------------------------------------------------------------------------

    /** Takes elements [at, at + n) from the buffer, or puts them there. */
    private interface Piece {
        void apply(ByteBuffer bytes, int at, int n);
    }

    /** The nearest bfloat16, ties to even; NaN stays NaN. */
    static short toBfloat16(float x) {
        int bits = Float.floatToRawIntBits(x);
        if (Float.isNaN(x)) {
            return (short) (bits >>> 16 | 0x40); // quiet, lest the cut leave an infinity
        }
        return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
    }

    static float fromBfloat16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    private IOException wrongType(Entry entry, String allowed) {
        return wrong("\"%s\" is %s; %s can be read here", entry.name(), entry.dtype(), allowed);
    }

    /** An error of this file: its name and what is wrong with it, one line, whatever the names in it hold. */
    public IOException wrong(String format, Object... arguments) {
        return malformed(path, format, arguments);
    }

    static IOException malformed(Path path, String format, Object... arguments) {
        var what = String.format(Locale.ROOT, format, arguments);
        return new IOException((path + ": " + what).replaceAll("\\p{Cntrl}+", " "));
    }

    @Override
    public String toString() {
        return path + " (" + entries.size() + " tensors)";
    }
}
