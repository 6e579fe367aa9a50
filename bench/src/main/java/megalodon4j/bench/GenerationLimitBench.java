package megalodon4j.bench;

import java.util.Arrays;
import java.util.List;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/** Reads as much memory as a model's weights take, once: no token can be generated in less time. */
public class GenerationLimitBench extends Bench {
    @Param({"1", "2"})
    int cores;

    @Param({"llama", "megalodon"})
    String model;

    private Backend backend;
    private Tensor weights;

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        var ones = new float[Math.toIntExact(Models.parameters(model))];
        Arrays.fill(ones, 1);
        weights = backend.tensor(ones.length).set(ones);
        Verify.close("Σ 1²", ones.length, read(), ones.length, 1e-6);
    }

    /** Their sum of squares: a multiply-add for every number that is read. */
    @Benchmark
    public double read() {
        return backend.sumOfSquares(weights);
    }

    @TearDown
    public void close() {
        backend.close();
    }

    @Override
    List<Work> work(String method) {
        return List.of(Work.tokens(1), Work.bytes((double) Float.BYTES * Models.parameters(model)));
    }
}
