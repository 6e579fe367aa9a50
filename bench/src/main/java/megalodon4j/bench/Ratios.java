package megalodon4j.bench;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import org.openjdk.jmh.results.RunResult;

/** Our matrix products against OpenBLAS's, shape by shape, with median and minimum for each number of cores. */
final class Ratios {
    private static final String OURS = "megalodon";
    private static final String THEIRS = "openblas";

    /** One product: the results of both. */
    private record Pair(String gemm, RunResult ours, RunResult theirs) {
        /** Our speed as a part of theirs, median against median. */
        double ratio() {
            return Table.seconds(theirs) / Table.seconds(ours);
        }

        /** The same of the best iterations: what is left where other processes disturb. */
        double ratioOfBest() {
            return Table.bestSeconds(theirs) / Table.bestSeconds(ours);
        }

        String gflops(RunResult result) {
            return Table.number(Gemm.of(gemm).flops() * 1e-9 / Table.seconds(result));
        }
    }

    private Ratios() {}

    /** The empty string if nothing was measured with both. */
    static String of(Collection<RunResult> results) {
        var text = new StringBuilder();
        byCores(results).forEach((cores, pairs) -> text.append('\n').append(table(cores, pairs)));
        return text.toString();
    }

    private static Map<Integer, List<Pair>> byCores(Collection<RunResult> results) {
        var byCores = new TreeMap<Integer, List<Pair>>();
        for (var ours : results) {
            for (var theirs : results) {
                if (is(ours, OURS) && is(theirs, THEIRS) && sameProduct(ours, theirs)) {
                    byCores.computeIfAbsent(Integer.valueOf(ours.getParams().getParam("cores")), _ -> new ArrayList<>())
                            .add(new Pair(ours.getParams().getParam("gemm"), ours, theirs));
                }
            }
        }
        return byCores;
    }

    private static boolean is(RunResult result, String implementation) {
        return result.getParams().getBenchmark().equals(SgemmBench.class.getName() + ".multiply")
                && implementation.equals(result.getParams().getParam("impl"));
    }

    private static boolean sameProduct(RunResult a, RunResult b) {
        return List.of("cores", "gemm").stream()
                .allMatch(
                        key -> a.getParams().getParam(key).equals(b.getParams().getParam(key)));
    }

    private static String table(int cores, List<Pair> pairs) {
        var lines = new ArrayList<List<String>>();
        lines.add(List.of(
                cores == 1 ? "1 core" : cores + " cores",
                "",
                "ours GFLOP/s",
                "OpenBLAS GFLOP/s",
                "ratio",
                "of the best"));
        for (var pair : pairs) {
            lines.add(List.of(
                    pair.gemm,
                    "",
                    pair.gflops(pair.ours),
                    pair.gflops(pair.theirs),
                    percent(pair.ratio()),
                    percent(pair.ratioOfBest())));
        }
        var median = percent(median(pairs, Pair::ratio));
        lines.add(List.of("median", "", "", "", median, percent(median(pairs, Pair::ratioOfBest))));
        var least = pairs.stream().min(Comparator.comparingDouble(Pair::ratio)).orElseThrow();
        double leastOfBest = pairs.stream().mapToDouble(Pair::ratioOfBest).min().orElseThrow();
        lines.add(List.of("minimum", least.gemm, "", "", percent(least.ratio()), percent(leastOfBest)));
        return Table.align(lines);
    }

    private static double median(List<Pair> pairs, ToDoubleFunction<Pair> value) {
        return Median.of(pairs.stream().mapToDouble(value).toArray());
    }

    private static String percent(double ratio) {
        return String.format(Locale.ROOT, "%.1f %%", 100 * ratio);
    }
}
