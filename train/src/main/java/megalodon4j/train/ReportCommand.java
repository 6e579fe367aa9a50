package megalodon4j.train;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code megalodon report}. */
@Command(
        name = "report",
        description = "Puts runs side by side on one page that needs nothing else: curves, tables, samples.",
        sortOptions = false)
final class ReportCommand extends Subcommand {
    @Parameters(arity = "1..*", paramLabel = "RUN", description = "The folders of runs, finished or not.")
    private List<Path> folders;

    @Option(
            names = "--out",
            paramLabel = "F",
            defaultValue = "report.html",
            description = "Where the page is written (report.html).")
    private Path out;

    @Override
    int execute() throws IOException {
        requireOut();
        var names = names(folders);
        var runs = new ArrayList<ReportedRun>();
        for (int i = 0; i < folders.size(); i++) {
            runs.add(ReportedRun.read(folders.get(i), names.get(i)));
            if (runs.getLast().history().torn()) {
                note("%s: the last line of metrics.jsonl broke off and is left out", folders.get(i));
            }
        }
        var page = Report.html(runs).getBytes(StandardCharsets.UTF_8);
        DurableFiles.replace(out, page);
        out().printf("%s: %s, %,d KB%n", out, runs.size() == 1 ? "1 run" : runs.size() + " runs", page.length / 1000);
        out().flush();
        return 0;
    }

    private void requireOut() {
        Destination.requireFile("--out", out);
        DeviceOptions.requireFolder("--out", out.toAbsolutePath().getParent());
    }

    /** The folders' own names where these tell them apart, else the paths as they were given. */
    private static List<String> names(List<Path> folders) {
        var paths = folders.stream().map(p -> p.toAbsolutePath().normalize()).toList();
        var seen = new HashSet<Path>();
        for (int i = 0; i < paths.size(); i++) {
            if (!seen.add(paths.get(i))) {
                throw Failure.usage("%s: given twice", folders.get(i));
            }
        }
        var names = paths.stream()
                .map(path -> Objects.toString(path.getFileName(), "/"))
                .toList();
        boolean distinct = new HashSet<>(names).size() == names.size();
        return distinct ? names : folders.stream().map(Path::toString).toList();
    }
}
