package megalodon4j.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A run as a report shows it.
 *
 * @param name by which it is told from the others
 * @param config none where the folder holds metrics alone
 * @param newest its newest checkpoint
 */
record ReportedRun(
        String name, Optional<RunConfig> config, History history, Optional<Checkpoint> newest, List<Sample> samples) {

    /** @throws Failure if the folder holds no run, or a file of it cannot be read */
    static ReportedRun read(Path path, String name) {
        var folder = new RunFolder(path);
        if (!Files.isRegularFile(folder.metrics())) {
            throw Failure.usage("%s: %s", path, whyNoRun(path));
        }
        try {
            return new ReportedRun(
                    name,
                    folder.config(),
                    History.read(folder.metrics()),
                    folder.latest(),
                    Sample.read(folder.samples()));
        } catch (IOException e) {
            throw Failure.usage("%s: cannot be read: %s", path, Failure.reason(e))
                    .causedBy(e);
        }
    }

    private static String whyNoRun(Path path) {
        if (!Files.isDirectory(path)) {
            return Files.exists(path) ? "a file; the folder of a run is needed" : "no such folder";
        }
        return Files.isExecutable(path) ? "not a run, which holds metrics.jsonl" : "permission denied";
    }

    /** How many steps it was meant to do, if it has not done them. */
    Optional<Integer> stepsToDo() {
        return config.map(c -> c.training().steps()).filter(steps -> history.steps() < steps);
    }
}
