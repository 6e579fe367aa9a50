package megalodon4j.bench;

import java.io.FileDescriptor;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.PatternSyntaxException;
import megalodon4j.tensor.Backend;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatFactory;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.BenchmarkListEntry;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * {@code megalodon bench [REGEX…] [JMH options]}: runs JMH, keeps its JSON, prints a table; {@code megalodon bench
 * curve}: {@link Curves}. Exit codes: 0 done, 1 a benchmark failed, 2 the command line is wrong.
 *
 * <p>JMH starts its forks with the flags of this JVM, which are those of the launcher.
 */
public final class BenchMain {
    private static final Path RESULTS = Path.of("runs", "bench");

    private static final String USAGE = """
            usage: megalodon bench [REGEX…] [JMH options]
                   megalodon bench curve text   what a token costs as a text grows long
                   megalodon bench curve steps  what a training step costs as its sequences grow long
              REGEX           those benchmarks whose name contains it, in upper or lower case; all without one
              --list          the benchmarks and their parameters
              -p NAME=A,B     another choice of a parameter's values, for example -p cores=1 -p model=llama
              -f N            so many forks
              -wi N, -w TIME  so many warm-up iterations of so long; -i N, -r TIME measured ones
              -prof NAME      a profiler of JMH: gc, stack, perfasm, …
              --jmh-help      all options of JMH
            JSON and table are kept in runs/bench. For example:
              megalodon bench sgemmbench -p cores=1 -p gemm=nt_2048x1280x384
              megalodon bench 'stepbench|normbench|loss|adam'
            """;

    private BenchMain() {}

    public static void main(String... args) throws IOException {
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(out);
        System.setErr(new PrintStream(openStderr(), true, StandardCharsets.UTF_8));
        int exitCode;
        try {
            exitCode = args.length > 0 && args[0].equals("curve")
                    ? curve(out, Arrays.copyOfRange(args, 1, args.length))
                    : run(out, args);
        } catch (WrongUse e) {
            exitCode = explain(e, 2);
        }
        out.flush();
        System.exit(exitCode);
    }

    static int curve(PrintStream out, String... args) {
        return Curves.commandLine(out)
                .setParameterExceptionHandler((e, _) -> explain(e, 2))
                .setExecutionExceptionHandler((e, _, _) -> explain(e, 1))
                .execute(args);
    }

    // The launcher filters what the JVM writes there, and hands on a way past the filter.
    private static OutputStream openStderr() {
        var descriptor = System.getenv("MEGALODON_STDERR");
        try {
            if (descriptor != null) {
                return new FileOutputStream("/dev/fd/" + descriptor, true);
            }
        } catch (FileNotFoundException e) {
            // A descriptor that cannot be opened again, such as a socket: the filtered stream serves as well.
            return new FileOutputStream(FileDescriptor.err);
        }
        return new FileOutputStream(FileDescriptor.err);
    }

    private static int explain(Exception e, int exitCode) {
        var message = String.valueOf(e.getMessage()).strip().replaceAll("\\s*\\R\\s*", " ");
        System.err.println("megalodon bench: " + message);
        return exitCode;
    }

    /** The command line is wrong. */
    private static final class WrongUse extends Exception {
        private static final long serialVersionUID = 1;

        WrongUse(String message) {
            super(message);
        }
    }

    private static int run(PrintStream out, String... args) throws WrongUse, IOException {
        if (has(args, "--help") || has(args, "-h")) {
            out.print(USAGE);
            return 0;
        }
        var options = parse(args);
        if (has(args, "--jmh-help")) {
            options.showHelp();
        } else if (options.shouldListProfilers()) {
            options.listProfilers();
        } else if (options.shouldListResultFormats()) {
            options.listResultFormats();
        } else {
            var benchmarks = find(options);
            if (has(args, "--list") || options.shouldList() || options.shouldListWithParams()) {
                list(out, benchmarks);
            } else {
                checkParameters(args, benchmarks);
                return usesOpenBlas(benchmarks) && OpenBlas.isSlowed()
                        ? withFastOpenBlas(args)
                        : measure(out, options, benchmarks);
            }
        }
        return 0;
    }

    private static boolean has(String[] args, String option) {
        return Arrays.asList(args).contains(option);
    }

    private static CommandLineOptions parse(String... args) throws WrongUse {
        var own = List.of("--list", "--jmh-help");
        try {
            return new CommandLineOptions(
                    Arrays.stream(args).filter(a -> !own.contains(a)).toArray(String[]::new));
        } catch (CommandLineOptionException e) {
            throw new WrongUse(e.getMessage() + "; --help shows what is allowed");
        }
    }

    private static List<String> ignoringCase(List<String> regexes) {
        return regexes.stream().map(regex -> "(?i)" + regex).toList();
    }

    private static Collection<BenchmarkListEntry> find(CommandLineOptions options) throws WrongUse {
        var silent = OutputFormatFactory.createFormatInstance(System.out, VerboseMode.SILENT);
        try {
            var found = BenchmarkList.defaultList()
                    .find(silent, ignoringCase(options.getIncludes()), ignoringCase(options.getExcludes()));
            if (found.isEmpty()) {
                throw new WrongUse("no benchmark matches " + String.join(", ", options.getIncludes())
                        + "; --list shows what there is");
            }
            return found;
        } catch (PatternSyntaxException e) {
            throw new WrongUse("not a regular expression: " + e.getDescription() + " in "
                    + e.getPattern().replaceFirst("^\\(\\?i\\)", ""));
        }
    }

    private static void list(PrintStream out, Collection<BenchmarkListEntry> benchmarks) {
        for (var benchmark : benchmarks) {
            out.println(Table.name(benchmark.getUsername()));
            new TreeMap<>(parameters(benchmark))
                    .forEach((name, values) -> out.println("    " + name + "=" + String.join(",", values)));
        }
    }

    private static Map<String, String[]> parameters(BenchmarkListEntry benchmark) {
        return benchmark.getParams().orElse(Map.of());
    }

    // JMH would ignore them.
    private static void checkParameters(String[] args, Collection<BenchmarkListEntry> benchmarks) throws WrongUse {
        var known = new TreeSet<String>();
        for (var benchmark : benchmarks) {
            known.addAll(parameters(benchmark).keySet());
        }
        for (int i = 0; i + 1 < args.length; i++) {
            var name = args[i].equals("-p") ? args[i + 1].split("=", 2)[0] : null;
            if (name != null && !known.contains(name)) {
                throw new WrongUse(
                        "these benchmarks have no parameter " + name + "; they have " + String.join(", ", known));
            }
        }
    }

    private static boolean usesOpenBlas(Collection<BenchmarkListEntry> benchmarks) {
        return benchmarks.stream().anyMatch(b -> b.getUsername().contains(".Sgemm"));
    }

    /** The environment is read when the library is loaded, by a fork from its parent's: so the parent starts anew. */
    private static int withFastOpenBlas(String... args) throws IOException {
        System.err.println("OpenBLAS chose kernels for " + OpenBlas.core()
                + " although this CPU has AVX-512; trying again with " + OpenBlas.CORE_VARIABLE + "="
                + OpenBlas.AVX512_CORE);
        var process = Jvm.again(BenchMain.class, List.of(), args).inheritIO();
        process.environment().put(OpenBlas.CORE_VARIABLE, OpenBlas.AVX512_CORE);
        try {
            return process.start().waitFor();
        } catch (InterruptedException e) {
            return 130;
        }
    }

    private static int measure(PrintStream out, CommandLineOptions options, Collection<BenchmarkListEntry> benchmarks)
            throws IOException {
        var commit = Machine.commit();
        var header = header(commit, usesOpenBlas(benchmarks));
        out.println(header);
        var name = LocalDateTime.now().format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss")) + "-" + commit;
        Files.createDirectories(RESULTS); // before the work: a folder that cannot be made must not cost it
        Collection<RunResult> results;
        try {
            var builder = new OptionsBuilder().parent(options);
            ignoringCase(options.getIncludes()).forEach(builder::include);
            ignoringCase(options.getExcludes()).forEach(builder::exclude);
            results = new Runner(builder.build()).run();
        } catch (RunnerException e) {
            return explain(e, 1);
        }
        if (!results.isEmpty()) {
            var json = RESULTS.resolve(name + ".json");
            ResultFormatFactory.getInstance(ResultFormatType.JSON, json.toString())
                    .writeOut(results);
            var table = header + Table.of(results) + Ratios.of(results);
            Files.writeString(RESULTS.resolve(name + ".txt"), table);
            out.println("\n" + table + "\nkept in " + json + " and .txt");
        }
        int expected = expected(options, benchmarks);
        if (results.size() < expected) {
            System.err.println("megalodon bench: " + (expected - results.size()) + " of " + expected
                    + " benchmarks failed, see above");
            return 1;
        }
        return 0;
    }

    private static int expected(CommandLineOptions options, Collection<BenchmarkListEntry> benchmarks) {
        int sum = 0;
        for (var benchmark : benchmarks) {
            int combinations = 1;
            for (var parameter : parameters(benchmark).entrySet()) {
                var chosen = options.getParameter(parameter.getKey());
                combinations *= chosen.hasValue() ? chosen.get().size() : parameter.getValue().length;
            }
            sum += combinations;
        }
        return sum;
    }

    private static String header(String commit, boolean withOpenBlas) {
        try (var backend = Backend.cpu()) {
            return "megalodon4j " + commit + ": " + backend.describe() + "\n"
                    + Machine.describe() + "\n"
                    + (withOpenBlas ? "OpenBLAS: kernels for " + OpenBlas.core() + "\n" : "");
        }
    }
}
