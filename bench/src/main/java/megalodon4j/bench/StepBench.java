package megalodon4j.bench;

import java.util.List;
import java.util.concurrent.TimeUnit;
import megalodon4j.tensor.Backend;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Whole training steps. 16 × 512 tokens take 0.67 TFLOP for Llama and 0.57 for Megalodon, a multiply-add being two. */
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 5)
@Measurement(iterations = 8)
public class StepBench extends Bench {
    @Param("2")
    int cores;

    /** L. */
    @Param("512")
    int length;

    /** Sequences that go through the model at once. */
    @Param("4")
    int microBatch;

    @Param({"llama", "megalodon"})
    String model;

    /** Sequences of a step. */
    @Param("16")
    int sequences;

    private Backend backend;
    private TrainingStep step;

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        step = new TrainingStep(backend, model, sequences, microBatch, length);
    }

    @Benchmark
    public double step() {
        return step.run();
    }

    @TearDown
    public void verify() {
        step.verify();
        step.close();
        backend.close();
    }

    @Override
    List<Work> work(String method) {
        double tokens = sequences * length;
        return List.of(Work.flops(2 * tokens * Models.multiplyAdds(Models.config(model), length)), Work.tokens(tokens));
    }
}
