package megalodon4j.train;

import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import megalodon4j.tensor.CudaException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** What all commands share. */
@Command
abstract class Subcommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help and exit.")
    private boolean help;

    @Override
    public final Integer call() throws Exception {
        try {
            return execute();
        } catch (OutOfMemoryError | CudaException.OutOfMemory e) {
            throw Failure.outOfMemory(e, 0, "a smaller model");
        } catch (CudaException e) {
            throw Failure.job("%s", e.getMessage()).causedBy(e);
        }
    }

    /** Does the work; the exit code. */
    abstract int execute() throws Exception;

    final PrintWriter out() {
        return spec.commandLine().getOut();
    }

    final PrintWriter err() {
        return spec.commandLine().getErr();
    }

    /** Notes what of a config has no effect. */
    final void noteKeys(RunConfig config) {
        config.notes().forEach(line -> note("%s", line));
    }

    /** A line on stderr that is no error. */
    final void note(String format, Object... arguments) {
        err().println("note: " + String.format(Locale.ROOT, format, arguments));
        err().flush();
    }
}
