package megalodon4j.bench;

import java.io.PrintStream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code megalodon bench curve}: what length costs. */
@Command(
        name = "megalodon bench curve",
        mixinStandardHelpOptions = true,
        description = "What length costs, as CSV, picture and table.")
final class Curves implements Runnable {
    @Spec
    private CommandSpec spec;

    private Curves() {}

    static CommandLine commandLine(PrintStream out) {
        return new CommandLine(new Curves())
                .addSubcommand(new TextCurve(out))
                .addSubcommand(new StepCurve(out))
                .setExpandAtFiles(false);
    }

    @Override
    public void run() {
        var allowed = String.join(", ", spec.subcommands().keySet());
        throw new ParameterException(spec.commandLine(), "a command is missing; allowed: " + allowed);
    }
}
