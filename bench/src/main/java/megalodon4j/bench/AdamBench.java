package megalodon4j.bench;

import java.util.List;
import java.util.SplittableRandom;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Backend.AdamStep;
import megalodon4j.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Adam on as many numbers as Llama learns, and the norm of their gradients, beside a copy of as many, which is what
 * memory allows.
 */
public class AdamBench extends Bench {
    private static final AdamStep FIRST = new AdamStep(1e-3f, 0.9f, 0.999f, 1e-8f, 0, 1, 1);

    @Param({"1", "2"})
    int cores;

    @Param("12489600")
    int parameters;

    private Backend backend;
    private Copy copy;
    private Tensor p;
    private Tensor grad;
    private Tensor m;
    private Tensor v;

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        copy = new Copy(cores, parameters);
        var random = new SplittableRandom(1);
        p = backend.tensor(parameters).set(Verify.uniform(random, parameters));
        grad = backend.tensor(parameters).set(Verify.uniform(random, parameters));
        m = backend.tensor(parameters);
        v = backend.tensor(parameters);
        verify();
    }

    // A first step, from moments of zero: p −= lr · g / (|g| + ε).
    private void verify() {
        var before = p.toArray();
        adam();
        var after = p.toArray();
        var g = grad.toArray();
        double squares = 0;
        for (int i = 0; i < parameters; i++) {
            double want = before[i] - FIRST.learningRate() * g[i] / (Math.abs(g[i]) + FIRST.eps());
            Verify.close("parameter " + i, want, after[i], 1, 1e-6);
            squares += (double) g[i] * g[i];
        }
        Verify.close("norm²", squares, norm(), squares, 1e-5);
    }

    @Benchmark
    public void adam() {
        backend.adam(FIRST, p, grad, m, v);
    }

    @Benchmark
    public double norm() {
        return backend.sumOfSquares(grad);
    }

    @Benchmark
    public void copy() {
        copy.run();
    }

    @TearDown
    public void close() {
        backend.close();
        copy.close();
    }

    @Override
    List<Work> work(String method) {
        return List.of(
                switch (method) {
                    case "adam" -> Work.bytes(7.0 * Float.BYTES * parameters); // reads p, grad, m, v; writes p, m, v
                    case "norm" -> Work.bytes((double) Float.BYTES * parameters);
                    default -> Work.bytes(Copy.bytes(parameters));
                });
    }
}
