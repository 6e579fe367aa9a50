package megalodon4j.train;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Optional;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipException;
import java.util.zip.ZipInputStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code megalodon data fetch}. */
@Command(
        name = "fetch",
        description = {
            "Downloads enwik8, checks its size and MD5, and keeps it as a gzip file.",
            "A download that broke off goes on where it stopped."
        },
        sortOptions = false)
final class FetchCommand extends Subcommand {
    private static final int BUFFER = 1 << 16;

    private final long size;
    private final String md5;
    private final Duration patience;

    @Option(
            names = "--url",
            paramLabel = "U",
            defaultValue = "http://mattmahoney.net/dc/enwik8.zip",
            description = "Where it comes from (${DEFAULT-VALUE}): a zip, gzip or raw file.")
    private String url;

    @Option(
            names = "--out",
            paramLabel = "F",
            defaultValue = "data/enwik8.gz",
            description = "Where it is written (${DEFAULT-VALUE}).")
    private Path out;

    FetchCommand() {
        this(100_000_000, "a1fa5ffddb56f4953e226637dabbb36a", Duration.ofSeconds(30));
    }

    /** For a text of {@code size} bytes with that MD5, in hexadecimal digits, from a server that may be silent for so long. */
    FetchCommand(long size, String md5, Duration patience) {
        this.size = size;
        this.md5 = md5;
        this.patience = patience;
    }

    @Override
    int execute() throws IOException {
        var from = source();
        requireOut();
        if (Files.exists(out)) {
            requireWhole();
        } else {
            Files.createDirectories(out.toAbsolutePath().getParent());
            var partial = out.resolveSibling(DurableFiles.ASIDE + out.getFileName() + ".part");
            new Download(from, partial, patience, err()).run();
            DurableFiles.writeFile(out, aside -> pack(partial, aside));
            Files.delete(partial);
        }
        out().printf(Locale.ROOT, "%s: %,d bytes, MD5 %s%n", out, size, md5);
        out().flush();
        return 0;
    }

    private URI source() {
        try {
            var uri = new URI(url);
            var scheme = String.valueOf(uri.getScheme()).toLowerCase(Locale.ROOT);
            if ((scheme.equals("http") || scheme.equals("https")) && uri.getHost() != null && uri.getPort() < 1 << 16) {
                return uri;
            }
        } catch (URISyntaxException e) {
            throw Failure.usage("--url: %s; allowed: http://… or https://…", e.getMessage())
                    .causedBy(e);
        }
        throw Failure.usage("--url: %s; allowed: http://… or https://…", Kind.show(url));
    }

    private void requireOut() {
        Destination.requireFile("--out", out);
        Destination.requireFolder("--out", out.toAbsolutePath().getParent());
        if (!out.toString().toLowerCase(Locale.ROOT).endsWith(".gz")) {
            throw Failure.usage("--out: %s; a name that ends in .gz is needed", out);
        }
    }

    private void requireWhole() throws IOException {
        var wrong = check(out, OutputStream.nullOutputStream());
        if (wrong.isPresent()) {
            throw Failure.usage("--out: %s: there already, and %s; it is left as it is", out, wrong.get());
        }
    }

    private void pack(Path download, Path to) throws IOException {
        try (var gzip = new GZIPOutputStream(new BufferedOutputStream(Files.newOutputStream(to), BUFFER), BUFFER)) {
            var wrong = check(download, gzip);
            if (wrong.isPresent()) {
                Files.delete(download);
                throw Failure.job("%s: what came %s; it has been removed", url, wrong.get());
            }
        }
    }

    /** Copies what a file holds; says what is wrong with it, if anything is. */
    private Optional<String> check(Path file, OutputStream to) throws IOException {
        var digest = md5();
        try (var contents = contents(file);
                var progress = new ByteProgress(err(), "checking", 0, size)) {
            long length = progress.copy(new DigestInputStream(contents, digest), to);
            if (length != size) {
                return Optional.of(String.format(Locale.ROOT, "has %,d bytes instead of %,d", length, size));
            }
        } catch (ZipException | EOFException e) {
            return Optional.of("is a damaged archive: " + Failure.reason(e));
        }
        var found = HexFormat.of().formatHex(digest.digest());
        return found.equals(md5) ? Optional.empty() : Optional.of("has the MD5 " + found + " instead of " + md5);
    }

    /** What a file holds, unpacked: of a zip file the first entry. */
    private static InputStream contents(Path file) throws IOException {
        var in = new BufferedInputStream(Files.newInputStream(file), BUFFER);
        try {
            in.mark(2);
            int magic = in.read() << 8 | in.read();
            in.reset();
            return switch (magic) {
                case 'P' << 8 | 'K' -> firstEntry(new ZipInputStream(in));
                case 0x1F8B -> new GZIPInputStream(in, BUFFER);
                default -> in;
            };
        } catch (IOException e) {
            in.close();
            throw e;
        }
    }

    private static InputStream firstEntry(ZipInputStream zip) throws IOException {
        if (zip.getNextEntry() == null) {
            throw new ZipException("a zip file without an entry");
        }
        return zip;
    }

    private static MessageDigest md5() {
        try {
            return MessageDigest.getInstance("MD5");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has MD5", e);
        }
    }
}
