package megalodon4j.train;

import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command line: {@code megalodon COMMAND}. Exit codes: 0 done, 1 the job failed, 2 the command line is wrong. */
@Command(
        name = "megalodon",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = "Trains and runs Llama and Megalodon language models.")
public final class Main implements Runnable {
    @Spec
    private CommandSpec spec;

    Main() {}

    public static void main(String... args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        return new CommandLine(new Main()).setParameterExceptionHandler(Main::explain);
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

    /** The module's version as the build recorded it. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            var module = Main.class.getModule().getDescriptor();
            var version = module == null ? "(class path)" : module.rawVersion().orElse("(unknown)");
            return new String[] {"megalodon4j " + version + ", Java " + Runtime.version()};
        }
    }
}
