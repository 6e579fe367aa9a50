package megalodon4j.train;

import picocli.CommandLine.Command;

/** {@code megalodon data}: a name for what is below it. */
@Command(name = "data", description = "Brings the text that models learn from.", subcommands = FetchCommand.class)
final class DataCommand extends Subcommand {
    @Override
    int execute() {
        throw Failure.usage("a command is missing; allowed: fetch");
    }
}
