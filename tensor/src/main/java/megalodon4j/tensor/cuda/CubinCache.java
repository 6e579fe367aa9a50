package megalodon4j.tensor.cuda;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Compiled kernels on disk, under a hash of all that they depend on. Several processes may use the folder at once. */
final class CubinCache {
    /** Names the folder; by default {@code megalodon4j/cuda} in the user's cache folder. */
    static final String FOLDER = "megalodon.cuda.cache";

    private static final Logger LOG = LoggerFactory.getLogger(CubinCache.class);

    private final Path folder;
    private boolean warned;

    CubinCache(Path folder) {
        this.folder = folder;
    }

    static CubinCache ofUser() {
        var folder = System.getProperty(FOLDER);
        if (folder != null) {
            return new CubinCache(Path.of(folder));
        }
        var cache = System.getenv("XDG_CACHE_HOME");
        var parent =
                cache == null || cache.isEmpty() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(cache);
        return new CubinCache(parent.resolve("megalodon4j/cuda"));
    }

    /** What is stored for the key, or else what the compiler makes. */
    byte[] get(List<String> key, Supplier<byte[]> compiler) {
        var file = folder.resolve(hash(key) + ".bin");
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            var image = compiler.get();
            store(file, image);
            return image;
        }
    }

    // The kernels are there: a cache that cannot be written costs the next start some time, nothing else.
    private void store(Path file, byte[] image) {
        try {
            Files.createDirectories(folder);
            var aside = Files.createTempFile(folder, ".tmp-", null);
            try {
                Files.write(aside, image);
                Files.move(aside, file, StandardCopyOption.ATOMIC_MOVE);
            } finally {
                Files.deleteIfExists(aside);
            }
        } catch (IOException e) {
            if (!warned) {
                LOG.warn(
                        "compiled kernels cannot be kept in {} ({}), so the next start compiles them again; -D{}=… names another folder",
                        folder,
                        e.toString(),
                        FOLDER);
            }
            warned = true;
        }
    }

    private static String hash(List<String> key) {
        try {
            var digest = MessageDigest.getInstance("SHA-256");
            for (var part : key) {
                digest.update(part.getBytes(StandardCharsets.UTF_8));
                digest.update((byte) 0);
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }
}
