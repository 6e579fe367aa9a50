package megalodon4j.train;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * The command line: {@code megalodon COMMAND}. Exit codes: 0 done, 1 the job failed, 2 the command line or config is
 * wrong.
 */
@Command(
        name = "megalodon",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = "Trains and runs Llama and Megalodon language models.",
        subcommands = {
            TrainCommand.class,
            GenerateCommand.class,
            ScoreCommand.class,
            SummaryCommand.class,
            ConvertCommand.class,
            ReportCommand.class,
            DataCommand.class,
            DoctorCommand.class
        })
public final class Main implements Runnable {
    @Spec
    private CommandSpec spec;

    @Option(names = "--verbose", scope = ScopeType.INHERIT, description = "Show the stack trace of an error.")
    private boolean verbose;

    Main() {}

    public static void main(String... args) {
        // Whatever the locale: models write UTF-8.
        var stdout = new Stdout(new FileOutputStream(FileDescriptor.out));
        var out = new PrintWriter(stdout, false, StandardCharsets.UTF_8);
        var stderr = Terminal.openStderr();
        System.setErr(new PrintStream(stderr, true, StandardCharsets.UTF_8));
        var err = new PrintWriter(stderr, true, StandardCharsets.UTF_8);
        int exitCode = commandLine().setOut(out).setErr(err).execute(args);
        out.flush();
        if (exitCode == 0 && stdout.lost().isPresent()) {
            err.println("megalodon: stdout: " + stdout.lost().get());
            exitCode = CommandLine.ExitCode.SOFTWARE;
        }
        err.flush();
        System.exit(exitCode);
    }

    static CommandLine commandLine() {
        var main = new Main();
        return new CommandLine(main)
                .setExpandAtFiles(false) // a prompt may begin with @
                .setParameterExceptionHandler(Main::explain)
                .setExecutionExceptionHandler((e, command, _) -> main.explain(e, command));
    }

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "a command is missing");
    }

    private static int explain(ParameterException wrong, String[] args) {
        var command = wrong.getCommandLine();
        var name = command.getCommandSpec().qualifiedName();
        var what = wrong.getMessage().strip().replaceAll("\\s*\\R\\s*", " ");
        PrintWriter err = command.getErr();
        err.println(name + ": " + what + "; '" + name + " --help' shows what is allowed");
        return CommandLine.ExitCode.USAGE;
    }

    private int explain(Exception e, CommandLine command) {
        command.getOut().flush();
        var err = command.getErr();
        var message = message(e).strip().replaceAll("\\s*\\R\\s*", " ");
        err.println(command.getCommandSpec().qualifiedName() + ": " + message);
        if (verbose) {
            e.printStackTrace(err);
        }
        err.flush();
        return e instanceof Failure failure ? failure.exitCode() : CommandLine.ExitCode.SOFTWARE;
    }

    private static String message(Exception e) {
        return switch (e) {
            case Failure _ -> e.getMessage();
            case FileSystemException f -> f.getFile() + ": " + Failure.reason(f);
            case IOException _ -> Failure.reason(e);
            default -> "unexpected " + e + "; --verbose shows where";
        };
    }

    /** The module's version as the build recorded it. */
    static String version() {
        var module = Main.class.getModule().getDescriptor();
        return module == null ? "(class path)" : module.rawVersion().orElse("(unknown)");
    }

    /** What {@code --version} prints. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"megalodon4j " + version() + ", Java " + Runtime.version()};
        }
    }
}
