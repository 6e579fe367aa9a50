package megalodon4j.train;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import megalodon4j.autograd.Parameters;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code megalodon summary}. */
@Command(name = "summary", description = "Lists the parameters of a config's model.", sortOptions = false)
final class SummaryCommand extends Subcommand {
    @Option(names = "--config", required = true, paramLabel = "F", description = "The config, a YAML file.")
    private Path configFile;

    @Option(names = "--set", paramLabel = "KEY=VALUE", description = "Sets a key of the config; may be repeated.")
    private List<String> sets = List.of();

    @Override
    int execute() {
        var config = RunConfig.of(ConfigSource.read(configFile).set(sets));
        noteKeys(config);
        print(config.model().kind(), config.model().outline().parameters());
        return 0;
    }

    private void print(String kind, Parameters parameters) {
        int width = "total".length();
        for (var parameter : parameters) {
            width = Math.max(width, parameter.name().length());
        }
        var row = "%-" + width + "s  %-16s %14s%n";
        out().printf(Locale.ROOT, row, kind, "shape", "parameters");
        for (var parameter : parameters) {
            row(
                    row,
                    parameter.name(),
                    parameter.shape().toString(),
                    parameter.value().elements());
        }
        row(row, "total", "", parameters.count());
        out().flush();
    }

    private void row(String format, String name, String shape, long count) {
        out().printf(Locale.ROOT, format, name, shape, String.format(Locale.ROOT, "%,d", count));
    }
}
