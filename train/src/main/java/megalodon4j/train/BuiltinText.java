package megalodon4j.train;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import megalodon4j.tensor.Philox;

/** Text that needs no download: the sources that ship with the JDK or, where they do not, sentences made by rule. */
final class BuiltinText {
    static final String NAME = "builtin:jdk-src";

    static final int SIZE = 4_000_000;

    private static final int SYNTHETIC_SIZE = 1_000_000;

    private BuiltinText() {}

    static Corpus load(Path javaHome) {
        var sources = javaHome.resolve("lib").resolve("src.zip");
        if (!Files.isRegularFile(sources)) {
            return new Corpus(
                    NAME + " (this JDK has no lib/src.zip: a synthetic text in its place)", synthetic(SYNTHETIC_SIZE));
        }
        try (var zip = new ZipFile(sources.toFile())) {
            return new Corpus(NAME + " (sources of Java " + Runtime.version().feature() + ")", sources(zip));
        } catch (IOException e) {
            throw Failure.job("data_path: %s: %s cannot be read: %s", NAME, sources, Failure.reason(e))
                    .causedBy(e);
        }
    }

    /** Files of java.base one after another, in a mixed but fixed order, so that both splits see all packages. */
    private static byte[] sources(ZipFile zip) throws IOException {
        var files = zip.stream()
                .filter(file -> file.getName().startsWith("java.base/java/"))
                .filter(file -> file.getName().endsWith(".java"))
                .sorted(Comparator.comparingLong(BuiltinText::mix).thenComparing(ZipEntry::getName))
                .toList();
        var text = new ByteArrayOutputStream(SIZE);
        for (int i = 0; i < files.size() && text.size() < SIZE; i++) {
            var source = withoutLicence(read(zip, files.get(i)));
            var bytes = source.getBytes(StandardCharsets.UTF_8);
            text.write(bytes, 0, Math.min(bytes.length, SIZE - text.size()));
        }
        return text.toByteArray();
    }

    private static String read(ZipFile zip, ZipEntry file) throws IOException {
        try (var in = zip.getInputStream(file)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static long mix(ZipEntry file) {
        var crc = new CRC32();
        crc.update(file.getName().getBytes(StandardCharsets.UTF_8));
        return crc.getValue();
    }

    /** Without the comment in front, which is the same in every file. */
    private static String withoutLicence(String source) {
        int end = source.startsWith("/*") ? source.indexOf("*/") + 2 : 0;
        return source.substring(end).strip() + "\n\n";
    }

    private static final String[] SUBJECTS = {
        "the river",
        "a quiet engineer",
        "the old lighthouse",
        "every second train",
        "my neighbour's cat",
        "the north wind",
        "a letter from the coast",
        "the smallest planet",
        "the night watch",
        "a box of tools"
    };
    private static final String[] VERBS = {
        "carries",
        "remembers",
        "waits for",
        "turns away from",
        "counts",
        "paints",
        "outlives",
        "follows",
        "repairs",
        "hides"
    };
    private static final String[] OBJECTS = {
        "seven stones",
        "the morning market",
        "an unfinished bridge",
        "its own shadow",
        "the first snow",
        "two broken clocks",
        "a field of barley",
        "the harbour lights",
        "nothing at all",
        "the same song"
    };
    private static final String[] ENDINGS = {
        "before dawn",
        "without a sound",
        "in the rain",
        "as always",
        "far from home",
        "once a year",
        "for no reason",
        "again"
    };

    /** Sentences of a small grammar. The same on every machine. */
    static byte[] synthetic(int size) {
        var random = new Philox(1, 0);
        var text = new StringBuilder(size + 200);
        for (int sentence = 1; text.length() < size; sentence++) {
            int start = text.length();
            text.append(pick(SUBJECTS, random))
                    .append(' ')
                    .append(pick(VERBS, random))
                    .append(' ');
            text.append(pick(OBJECTS, random)).append(' ').append(pick(ENDINGS, random));
            text.setCharAt(start, Character.toUpperCase(text.charAt(start)));
            text.append(sentence % 6 == 0 ? ".\n\n" : ". ");
        }
        text.setLength(size);
        return text.toString().getBytes(StandardCharsets.US_ASCII);
    }

    private static String pick(String[] words, Philox random) {
        return words[random.nextInt(words.length)];
    }
}
