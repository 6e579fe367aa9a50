package megalodon4j.bench;

import megalodon4j.autograd.Adam;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.models.LanguageModel;
import megalodon4j.tensor.Backend;

/** Training as a run does it, on the same made-up text at each step: forward and backward of all micro-batches, clipping, Adam. */
final class TrainingStep implements AutoCloseable {
    private final LanguageModel model;
    private final Adam adam;
    private final Tape tape;
    private final Batches batches;
    private final int microBatch;
    private final int tokens;
    private double first = Double.NaN;
    private double last;

    /** Steps of {@code sequences} of {@code length} tokens, {@code microBatch} of which go through the model at once. */
    TrainingStep(Backend backend, String name, int sequences, int microBatch, int length) {
        var config = Models.config(name);
        model = config.create(backend, 1);
        adam = new Adam(model.parameters(), 0.9f, 0.999f, 1e-8f);
        tape = Tape.training(backend);
        batches = new Batches(sequences / microBatch, microBatch, length, config.numTokens());
        this.microBatch = microBatch;
        tokens = sequences * length;
    }

    /** One step; the mean loss of a token before it. */
    double run() {
        model.parameters().zeroGrad();
        double sum = 0;
        for (int i = 0; i < batches.ids().length; i++) {
            var logits = model.logits(tape, batches.ids()[i], microBatch);
            var losses = Ops.crossEntropy(logits, batches.labels()[i], 1f / tokens);
            sum += model.backend().sum(losses.value());
            tape.backward(losses);
            tape.clear();
        }
        adam.step(3e-4f, 0, 1);
        last = sum / tokens;
        first = Double.isNaN(first) ? last : first;
        return last;
    }

    /**
     * The loss starts near that of a model that knows nothing, and falls. A new Megalodon is surer, and so more wrong, the longer the sequence: the
     * variances of its timestep norms begin at 1 and shrink towards those of its small embeddings.
     */
    void verify() {
        double uniform = Math.log(model.config().numTokens());
        Verify.close("the first loss", uniform, first, uniform, 0.25);
        Verify.that(adam.steps() < 2 || last < first, "the loss went from " + first + " to " + last);
    }

    @Override
    public void close() {
        tape.close();
    }
}
