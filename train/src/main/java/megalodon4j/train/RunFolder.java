package megalodon4j.train;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** Where a run leaves what it finds. */
record RunFolder(Path path) {
    private static final String CHECKPOINT = "checkpoint_";
    private static final String SUPERSEDED = "superseded_";
    private static final String LOCK = ".lock"; // stays: what another run has locked already must not be deleted

    Path metrics() {
        return path.resolve("metrics.jsonl");
    }

    Path samples() {
        return path.resolve("samples.txt");
    }

    Path checkpoint(int step) {
        return path.resolve(CHECKPOINT + step);
    }

    Path finalCheckpoint() {
        return path.resolve(CHECKPOINT + "final");
    }

    /** The config of the run, if the folder holds one. */
    Optional<RunConfig> config() {
        var file = path.resolve(Checkpoint.CONFIG);
        return Files.exists(file) ? Optional.of(RunConfig.of(ConfigSource.read(file))) : Optional.empty();
    }

    /** Whether a run was started here. */
    boolean isTaken() {
        return Files.exists(path.resolve(Checkpoint.CONFIG))
                || Files.exists(metrics())
                || !checkpoints(path).isEmpty();
    }

    /**
     * Makes the folder, if need be, and keeps other runs from writing to it until the result is closed; a new folder in which nothing was written
     * goes then. Where the file system has no locks, nothing keeps them.
     *
     * @throws Failure if another run is writing to it
     */
    Closeable lock() throws IOException {
        boolean isNew = !Files.exists(path);
        Files.createDirectories(path);
        var channel = FileChannel.open(path.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        if (!lock(channel)) {
            channel.close();
            throw Failure.usage("%s: another run is writing here; --run-dir chooses another folder", path);
        }
        return () -> {
            channel.close();
            if (isNew && holdsOnlyTheLock()) {
                Files.delete(path.resolve(LOCK));
                Files.delete(path);
            }
        };
    }

    private boolean holdsOnlyTheLock() throws IOException {
        try (var files = Files.list(path)) {
            return files.allMatch(file -> file.endsWith(LOCK));
        }
    }

    private static boolean lock(FileChannel channel) {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false; // held by this very process
        } catch (IOException e) {
            return true;
        }
    }

    /** Puts a checkpoint in its place whose replacement was cut short. */
    void endReplacements() throws IOException {
        if (Files.isDirectory(path)) {
            DurableFiles.endReplacements(path);
        }
    }

    /** The complete checkpoint with the most steps. */
    Optional<Checkpoint> latest() {
        var all = checkpoints(path);
        return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
    }

    /** The complete checkpoints in a folder, by step; the final one behind another of the same step. */
    static List<Checkpoint> checkpoints(Path folder) {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (var files = Files.list(folder)) {
            return files.filter(file -> file.getFileName().toString().startsWith(CHECKPOINT))
                    .map(Checkpoint::find)
                    .flatMap(Optional::stream)
                    .sorted(Comparator.comparingInt((Checkpoint c) -> c.state().step())
                            .thenComparing(c -> c.folder().endsWith(CHECKPOINT + "final")))
                    .toList();
        } catch (IOException e) {
            throw Failure.of(folder, e);
        }
    }

    /** Whether a checkpoint lies in this folder. */
    boolean owns(Checkpoint checkpoint) {
        try {
            var parent = checkpoint.folder().toRealPath().getParent();
            return Files.isDirectory(path) && parent.equals(path.toRealPath());
        } catch (IOException e) {
            throw Failure.of(checkpoint.folder(), e);
        }
    }

    /** Makes the folder ready for a run from its beginning. */
    void begin(RunConfig config) throws IOException {
        Files.createDirectories(path);
        DurableFiles.sweep(path);
        Metrics.cut(metrics(), 0);
        cutSamples(0);
        writeConfig(config);
    }

    /**
     * Takes the folder back to where it was after {@code state.step()} steps. Later checkpoints are no longer this
     * run's: they are renamed.
     *
     * @return the names that were changed
     */
    List<String> rewind(RunConfig config, Checkpoint.State state) throws IOException {
        Files.createDirectories(path);
        DurableFiles.sweep(path);
        var later = checkpoints(path).stream()
                .filter(c -> c.state().step() > state.step())
                .map(Checkpoint::folder)
                .toList();
        for (var folder : later) {
            var renamed = folder.resolveSibling(SUPERSEDED + folder.getFileName());
            DurableFiles.delete(renamed);
            Files.move(folder, renamed);
        }
        Metrics.cut(metrics(), state.step());
        cutSamples(state.samplesBytes());
        writeConfig(config);
        return later.stream().map(folder -> folder.getFileName().toString()).toList();
    }

    private void cutSamples(long length) throws IOException {
        if (Files.exists(samples())) {
            try (var channel = FileChannel.open(samples(), StandardOpenOption.WRITE)) {
                channel.truncate(length);
            }
        }
    }

    private void writeConfig(RunConfig config) throws IOException {
        DurableFiles.replace(path.resolve(Checkpoint.CONFIG), config.toYaml().getBytes(StandardCharsets.UTF_8));
    }

    void add(Sample sample) throws IOException {
        try {
            Files.writeString(
                    samples(),
                    sample.toText(),
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND,
                    StandardOpenOption.SYNC);
        } catch (IOException e) {
            throw DurableFiles.named(samples(), e);
        }
    }

    long samplesBytes() throws IOException {
        return Files.exists(samples()) ? Files.size(samples()) : 0;
    }
}
