package megalodon4j.bench;

import java.lang.reflect.Field;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.BenchmarkParams;

/**
 * What all benchmarks have in common: settings for calls of a millisecond to a second, and how much work a call is, so
 * that times can be told as rates. Every setup compares the results with a plain computation in double before anything
 * is timed.
 *
 * <p>JMH goes through the parameters in the order of their names, the last one fastest: {@code impl}, so that
 * implementations that are compared run one right after the other.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Fork(2)
public abstract class Bench {
    /** An amount of something, per second of which is the rate: (2e9, GFLOP). */
    record Work(double amount, Unit unit) {
        static Work flops(double flops) {
            return new Work(flops, Unit.GFLOP);
        }

        static Work bytes(double bytes) {
            return new Work(bytes, Unit.GB);
        }

        static Work tokens(double tokens) {
            return new Work(tokens, Unit.TOKENS);
        }
    }

    enum Unit {
        /** 10⁹ additions and multiplications; a fused one is two. */
        GFLOP("GFLOP/s", 1e9),
        GB("GB/s", 1e9),
        TOKENS("tokens/s", 1);

        final String rate;
        final double scale;

        Unit(String rate, double scale) {
            this.rate = rate;
            this.scale = scale;
        }
    }

    /** What one call of a benchmark method does. Knows the parameters; no setup has run. */
    abstract List<Work> work(String method);

    /** What one call did, by JMH's record of it. */
    static List<Work> work(BenchmarkParams params) {
        var name = params.getBenchmark();
        int dot = name.lastIndexOf('.');
        try {
            var bench = (Bench) Class.forName(name.substring(0, dot))
                    .getDeclaredConstructor()
                    .newInstance();
            for (var key : params.getParamsKeys()) {
                set(bench, bench.getClass().getDeclaredField(key), params.getParam(key));
            }
            return bench.work(name.substring(dot + 1));
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void set(Bench bench, Field field, String value) throws IllegalAccessException {
        field.set(bench, field.getType() == int.class ? Integer.valueOf(value) : value);
    }
}
