package megalodon4j.train;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;

/** Files that are there as a whole or not at all, whenever the power goes. */
final class DurableFiles {
    /** How names begin of what is still being written. */
    static final String ASIDE = ".tmp-";

    private static final String OLD = ASIDE + "old-";

    private DurableFiles() {}

    /** Writes a folder: under another name, to the disk, then renamed; takes the place of one that is there. */
    static void writeFolder(Path folder, Contents contents) throws IOException {
        var aside = folder.resolveSibling(ASIDE + folder.getFileName());
        delete(aside);
        Files.createDirectories(aside);
        write(folder, aside, parts -> {
            contents.writeTo(parts);
            try (var files = Files.list(parts)) {
                for (var file : files.toList()) {
                    sync(file);
                }
            }
        });
        syncFolder(aside);
        if (Files.exists(folder)) {
            var old = folder.resolveSibling(OLD + folder.getFileName());
            delete(old);
            Files.move(folder, old, StandardCopyOption.ATOMIC_MOVE);
            Files.move(aside, folder, StandardCopyOption.ATOMIC_MOVE);
            delete(old);
        } else {
            Files.move(aside, folder, StandardCopyOption.ATOMIC_MOVE);
        }
        syncFolder(folder.toAbsolutePath().getParent());
    }

    /** Ends replacements that were cut short in a folder: what was whole and only about to take its place takes it. */
    static void endReplacements(Path parent) throws IOException {
        for (var old : startingWith(OLD, parent)) {
            var name = old.getFileName().toString().substring(OLD.length());
            var folder = parent.resolve(name);
            if (!Files.exists(folder)) {
                Files.move(parent.resolve(ASIDE + name), folder, StandardCopyOption.ATOMIC_MOVE);
            }
        }
    }

    /** {@link #endReplacements}, then deletes what was still being written. */
    static void sweep(Path parent) throws IOException {
        endReplacements(parent);
        for (var file : startingWith(ASIDE, parent)) {
            delete(file);
        }
    }

    private static List<Path> startingWith(String prefix, Path parent) throws IOException {
        try (var files = Files.list(parent)) {
            return files.filter(file -> file.getFileName().toString().startsWith(prefix))
                    .toList();
        }
    }

    /** What a file or a folder is to hold. */
    @FunctionalInterface
    interface Contents {
        void writeTo(Path aside) throws IOException;
    }

    /** Replaces a file's contents. */
    static void replace(Path file, byte[] contents) throws IOException {
        writeFile(file, aside -> Files.write(aside, contents));
    }

    /** Writes a file: under another name, to the disk, then renamed; takes the place of one that is there. */
    static void writeFile(Path file, Contents contents) throws IOException {
        var aside = file.resolveSibling(ASIDE + file.getFileName());
        write(file, aside, part -> {
            contents.writeTo(part);
            sync(part);
        });
        Files.move(aside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        syncFolder(file.toAbsolutePath().getParent());
    }

    /** What could not be written leaves nothing, lest it fill the disk, and names what it would have become. */
    private static void write(Path target, Path aside, Contents contents) throws IOException {
        try {
            contents.writeTo(aside);
        } catch (IOException e) {
            delete(aside);
            throw named(target, e);
        } catch (RuntimeException e) {
            delete(aside);
            throw e;
        }
    }

    /** An error of a file that says which, as those of open files do not. */
    static IOException named(Path file, IOException e) {
        if (e instanceof FileSystemException) {
            return e;
        }
        var named = new FileSystemException(file.toString(), null, Failure.reason(e));
        named.initCause(e);
        return named;
    }

    private static void sync(Path file) throws IOException {
        try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.force(true);
        }
    }

    private static void syncFolder(Path folder) throws IOException {
        try (var channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            // Windows opens no folders; its renames are durable by themselves.
            if (!System.getProperty("os.name").startsWith("Windows")) {
                throw e;
            }
        }
    }

    /** Deletes a file or a folder with all that is in it, if it is there. */
    static void delete(Path path) throws IOException {
        if (!Files.exists(path)) {
            return;
        }
        Files.walkFileTree(path, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, IOException e) throws IOException {
                Files.delete(folder);
                return FileVisitResult.CONTINUE;
            }
        });
    }
}
