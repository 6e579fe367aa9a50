package megalodon4j.bench;

import java.util.List;
import java.util.SplittableRandom;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/** Cross-entropy of a micro-batch with its gradient, beside a copy of the logits, which is what memory allows. */
public class LossBench extends Bench {
    @Param({"1", "2"})
    int cores;

    @Param("2048")
    int rows;

    /** V. */
    @Param("256")
    int vocabulary;

    private Backend backend;
    private Copy copy;
    private Tensor logits;
    private Tensor losses;
    private Tensor dlogits;
    private int[] labels;

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        copy = new Copy(cores, rows * vocabulary);
        var random = new SplittableRandom(1);
        logits = backend.tensor(rows, vocabulary).set(Verify.uniform(random, rows * vocabulary));
        losses = backend.tensor(rows);
        dlogits = backend.tensor(rows, vocabulary);
        labels = random.ints(rows, 0, vocabulary).toArray();
        crossEntropy();
        verify();
    }

    @Benchmark
    public void crossEntropy() {
        backend.crossEntropy(logits, labels, 1, losses, dlogits);
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

    private void verify() {
        var x = logits.toArray();
        var gradient = dlogits.toArray();
        var loss = losses.toArray();
        for (int row = 0; row < rows; row += Math.max(1, rows / 50)) {
            int at = row * vocabulary;
            double sum = 0;
            for (int i = 0; i < vocabulary; i++) {
                sum += Math.exp(x[at + i]);
            }
            Verify.close("loss of row " + row, Math.log(sum) - x[at + labels[row]], loss[row], 1, 1e-5);
            for (int i = 0; i < vocabulary; i++) {
                double want = Math.exp(x[at + i]) / sum - (i == labels[row] ? 1 : 0);
                Verify.close("gradient of row " + row, want, gradient[at + i], 1, 1e-5);
            }
        }
    }

    @Override
    List<Work> work(String method) {
        return List.of(Work.bytes(Copy.bytes(rows * vocabulary)));
    }
}
