package megalodon4j.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Every benchmark sets up, verifies its results, and runs, on tiny sizes. */
class BenchmarksTest {
    static Stream<String> benchmarks() {
        var silent = OutputFormatFactory.createFormatInstance(System.out, VerboseMode.SILENT);
        return BenchmarkList.defaultList().getAll(silent, List.of()).stream()
                .map(benchmark -> benchmark.getUsername())
                .sorted();
    }

    @ParameterizedTest
    @MethodSource("benchmarks")
    void runs(String benchmark) throws RunnerException {
        var results = run(new OptionsBuilder()
                .include(benchmark.replace(".", "\\.") + "$")
                .param("cores", benchmark.contains(".SgemmPeers") ? "1" : "2")
                .param("gemm", "nt_13x20x17", "nn_13x20x17", "tn_13x20x17")
                .param("batch", "2")
                .param("dim", "24")
                .param("groups", "4")
                .param("length", "19")
                .param("rows", "7")
                .param("vocabulary", "11")
                .param("parameters", "1001")
                .param("microBatch", "2")
                .param("sequences", "4")
                .param("prompt", "11")
                .param("tokens", "5")
                .param("model", models(benchmark)));
        assertFalse(results.isEmpty());
        for (var result : results) {
            for (var work : Bench.work(result.getParams())) {
                assertTrue(work.amount() > 0, benchmark);
            }
        }
        assertEquals(results.size() + 1, Table.of(results).lines().count());
        if (benchmark.contains(".SgemmBench")) {
            assertTrue(Ratios.of(results).contains("minimum"), Ratios.of(results));
        }
    }

    private static String[] models(String benchmark) {
        if (benchmark.contains(".Djl")) {
            return new String[] {"tiny-llama"};
        }
        boolean whole = benchmark.contains(".Step") || benchmark.contains(".Generation");
        return whole ? new String[] {"tiny-llama", "tiny-megalodon"} : new String[] {"llama", "megalodon"};
    }

    private static Collection<RunResult> run(ChainedOptionsBuilder options) throws RunnerException {
        // Another JMH on this machine disturbs nothing: no time is looked at.
        System.setProperty("jmh.ignoreLock", "true");
        return new Runner(options.forks(0)
                        .warmupIterations(0)
                        .measurementIterations(2)
                        .measurementTime(TimeValue.milliseconds(1))
                        .verbosity(VerboseMode.SILENT)
                        .shouldFailOnError(true)
                        .build())
                .run();
    }

    @Test
    void aStepOf16Times512TokensIsSoMuchWork() {
        assertEquals(0.67, 2 * 16 * 512 * Models.multiplyAdds(Models.config("llama"), 512) * 1e-12, 0.005);
        assertEquals(0.57, 2 * 16 * 512 * Models.multiplyAdds(Models.config("megalodon"), 512) * 1e-12, 0.005);
    }
}
