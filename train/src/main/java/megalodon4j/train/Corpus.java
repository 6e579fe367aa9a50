package megalodon4j.train;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.zip.CRC32;
import java.util.zip.GZIPInputStream;
import megalodon4j.models.ModelConfig;

/**
 * The bytes that a run learns from: the first 90 % train, the rest validate.
 *
 * @param name where the bytes come from, in words
 */
record Corpus(String name, byte[] bytes, int trainSize) {
    /** What of a file is used: the part of enwik8 on which results are reported. */
    static final int LIMIT = 95_000_000;

    private static final double TRAIN_SHARE = 0.9;

    Corpus(String name, byte[] bytes) {
        this(name, bytes, (int) (bytes.length * TRAIN_SHARE));
    }

    int validationSize() {
        return bytes.length - trainSize;
    }

    /**
     * @param dataPath a file (raw, .gz or .zip) or {@code builtin:jdk-src}
     * @throws Failure if there is no such file, or it cannot be read
     */
    static Corpus load(String dataPath) {
        if (dataPath.startsWith("builtin:")) {
            if (!dataPath.equals(BuiltinText.NAME)) {
                throw Failure.usage("data_path: \"%s\"; the only built-in text is %s", dataPath, BuiltinText.NAME);
            }
            return BuiltinText.load(Path.of(System.getProperty("java.home")));
        }
        if (!Files.exists(Path.of(dataPath))) {
            throw Failure.usage("data_path: %s: no such file; %s needs none", dataPath, BuiltinText.NAME);
        }
        return new Corpus(dataPath, read("data_path", Path.of(dataPath), LIMIT));
    }

    /** The first bytes of a file, unpacked if its name ends in .gz or .zip (the entries one after another). */
    static byte[] read(String option, Path path, int limit) {
        return read(option, path, in -> in.readNBytes(limit));
    }

    /** A file as it is. */
    static byte[] raw(String option, Path path) {
        return open(option, path, in -> in, InputStream::readAllBytes);
    }

    /** The first bytes of what a gzip file holds. */
    static byte[] gunzip(String option, Path path, int limit) {
        return open(option, path, Corpus::gunzip, in -> in.readNBytes(limit));
    }

    /** What is made of a file's bytes. */
    interface Reader<T> {
        T read(InputStream in) throws IOException;
    }

    /** Reads a file, unpacked if its name ends in .gz or .zip, from its beginning on. */
    static <T> T read(String option, Path path, Reader<T> reader) {
        var name = path.toString().toLowerCase(Locale.ROOT);
        Reader<InputStream> unpack =
                name.endsWith(".gz") ? Corpus::gunzip : name.endsWith(".zip") ? ZipEntries::new : in -> in;
        return open(option, path, unpack, reader);
    }

    private static InputStream gunzip(InputStream in) throws IOException {
        return new GZIPInputStream(in, 1 << 16);
    }

    private static <T> T open(String option, Path path, Reader<InputStream> unpack, Reader<T> reader) {
        if (!Files.exists(path) || Files.isDirectory(path)) {
            throw Failure.usage("%s: %s: %s", option, path, Files.exists(path) ? "a folder" : "no such file");
        }
        try (var file = new BufferedInputStream(Files.newInputStream(path), 1 << 16);
                var in = unpack.read(file)) {
            return reader.read(in);
        } catch (IOException e) {
            throw Failure.usage("%s: %s: cannot be read: %s", option, path, Failure.reason(e))
                    .causedBy(e);
        }
    }

    /** Refuses a text that is too short for sequences of {@code seqLen} tokens, or holds bytes that are no tokens. */
    void require(int seqLen, ModelConfig model) {
        int shortest = Math.min(trainSize - 1, validationSize());
        if (shortest < seqLen + 1) {
            throw Failure.usage(
                    "data_path: %s: %,d bytes are too short for seq_len %d; at least %d are needed "
                            + "for training and %d for validation, of which it has %,d and %,d",
                    name, bytes.length, seqLen, seqLen + 2, seqLen + 1, trainSize, validationSize());
        }
        requireTargets("data_path: " + name, bytes, bytes.length, 0, model);
    }

    /** Refuses bytes that a model cannot read. */
    static void requireTokens(String where, byte[] bytes, ModelConfig model) {
        requireBelow(model.numTokens(), "num_tokens", where, bytes, bytes.length, 0);
    }

    /**
     * Refuses bytes that a model cannot both read and predict among the first {@code count}, of which the first is byte {@code position} of a
     * text.
     */
    static void requireTargets(String where, byte[] bytes, int count, long position, ModelConfig model) {
        int limit = model.vocabulary();
        requireBelow(limit, limit < model.numTokens() ? "output_size" : "num_tokens", where, bytes, count, position);
    }

    private static void requireBelow(int limit, String key, String where, byte[] bytes, int count, long position) {
        for (int i = 0; i < count && limit < 256; i++) {
            if ((bytes[i] & 0xFF) >= limit) {
                throw Failure.usage(
                        "%s: byte %d is %d; the model's %s allows values below %d",
                        where, position + i, bytes[i] & 0xFF, key, limit);
            }
        }
    }

    /** Copies {@code count} bytes from {@code start} on as tokens to {@code to[at …]}. */
    void tokens(int start, int count, int[] to, int at) {
        for (int i = 0; i < count; i++) {
            to[at + i] = bytes[start + i] & 0xFF;
        }
    }

    /** A checksum that tells one text from another. */
    long checksum() {
        var crc = new CRC32();
        crc.update(bytes);
        return crc.getValue();
    }
}
