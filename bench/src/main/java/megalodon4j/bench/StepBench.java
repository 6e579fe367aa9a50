package megalodon4j.bench;

import java.util.List;
import java.util.concurrent.TimeUnit;
import megalodon4j.autograd.Adam;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.models.LanguageModel;
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

/**
 * Whole training steps: forward and backward of all micro-batches, clipping, Adam. 16 × 512 tokens take 0.67 TFLOP for
 * Llama and 0.57 for Megalodon, a multiply-add being two.
 */
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
    private LanguageModel trained;
    private Adam adam;
    private Batches batches;
    private double first;
    private double last;

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        trained = Models.config(model).create(backend, 1);
        adam = new Adam(trained.parameters(), 0.9f, 0.999f, 1e-8f);
        batches = new Batches(
                sequences / microBatch, microBatch, length, Models.config(model).numTokens());
        first = Double.NaN;
    }

    @Benchmark
    public double step() {
        trained.parameters().zeroGrad();
        double sum = 0;
        for (int i = 0; i < batches.ids().length; i++) {
            try (var tape = Tape.training(backend)) {
                var logits = trained.logits(tape, batches.ids()[i], microBatch);
                var losses = Ops.crossEntropy(logits, batches.labels()[i], 1f / (sequences * length));
                sum += backend.sum(losses.value());
                tape.backward(losses);
            }
        }
        adam.step(3e-4f, 0, 1);
        last = sum / (sequences * length);
        first = Double.isNaN(first) ? last : first;
        return last;
    }

    /** The loss starts at that of a model that knows nothing, and falls. */
    @TearDown
    public void verify() {
        double uniform = Math.log(Models.config(model).numTokens());
        Verify.close("the first loss", uniform, first, 1, 0.5);
        Verify.that(adam.steps() < 2 || last < first, "the loss went from " + first + " to " + last);
        backend.close();
    }

    @Override
    List<Work> work(String method) {
        double tokens = sequences * length;
        return List.of(Work.flops(2 * tokens * Models.multiplyAdds(Models.config(model), length)), Work.tokens(tokens));
    }
}
