package megalodon4j.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.LongSupplier;
import megalodon4j.autograd.Adam;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.models.GenerationOptions;
import megalodon4j.models.Generator;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.Sampling;
import megalodon4j.models.Utf8Stream;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Philox;
import megalodon4j.tensor.Tensor;

/**
 * The loop of a run. Before step s it validates, if s is a multiple of {@code validate_every}; then it trains on A
 * micro-batches; then it samples, if s is a multiple of {@code generate_every}; then it saves, if s + 1 is one of
 * {@code save_every}.
 *
 * <p>All that a step depends on is the weights, the moments, and how many sequences have been drawn: this is what a
 * checkpoint holds, so that a resumed run is the run never stopped. A sample that a stop cuts short is written when the
 * run goes on.
 */
final class Trainer {
    private static final float BETA1 = 0.9f;
    private static final float BETA2 = 0.999f;
    private static final float EPS = 1e-8f;

    private final RunConfig config;
    private final Corpus corpus;
    private final LanguageModel model;
    private final RunFolder folder;
    private final LongSupplier clock;
    private final Adam adam;
    private final Sampler sampler;
    private final long checksum;
    private final Windows.Batch batch; // one micro-batch
    private final Tensor losses; // (B, L, 1) of a micro-batch: sums over the step's micro-batches
    private final Tape tape;
    private final Runnable microStep;
    private long batchStart; // the number of the micro-batch's first sequence

    private int step;
    private long tokens;
    private long sequences;
    private boolean sampleDue; // of the weights as they are

    Trainer(RunConfig config, Corpus corpus, LanguageModel model, RunFolder folder) {
        this(config, corpus, model, folder, System::nanoTime);
    }

    /** @param clock nanoseconds since some moment */
    Trainer(RunConfig config, Corpus corpus, LanguageModel model, RunFolder folder, LongSupplier clock) {
        this.config = config;
        this.corpus = corpus;
        this.model = model;
        this.folder = folder;
        this.clock = clock;
        adam = adam(model);
        sampler = Sampler.of(config, corpus.trainSize());
        checksum = corpus.checksum();
        batch = new Windows.Batch(config.training().microBatch(), config.seqLen());
        losses = model.backend().tensor(batch.sequences(), config.seqLen(), 1);
        tape = Tape.training(model.backend(), config.seed(), 0);
        microStep = model.backend().repeated(this::accumulate);
    }

    /** Takes the memory of moments and gradients: where there is not enough, the model is too large, and not a step. */
    private static Adam adam(LanguageModel model) {
        try {
            var adam = new Adam(model.parameters(), BETA1, BETA2, EPS);
            model.parameters().zeroGrad();
            return adam;
        } catch (OutOfMemoryError | CudaException.OutOfMemory e) {
            long bytes = 4 * Float.BYTES * model.parameters().count(); // Adam has two moments
            var less = "a smaller model: weights, gradients and moments of this one take %,d MB";
            throw Failure.outOfMemory(e, bytes, String.format(Locale.ROOT, less, bytes >> 20));
        }
    }

    /** Steps done so far. */
    int step() {
        return step;
    }

    int tokensAStep() {
        return config.training().sequences() * config.seqLen();
    }

    long checksum() {
        return checksum;
    }

    /** Goes on from a checkpoint. */
    void restore(Checkpoint checkpoint) {
        checkpoint.restore(model, adam);
        step = checkpoint.state().step();
        tokens = checkpoint.state().tokens();
        sequences = checkpoint.state().sequences();
        sampleDue = checkpoint.state().sampleDue();
    }

    /**
     * Trains to the end.
     *
     * @return whether the end was reached; false if a stop was requested, after which the folder can be resumed
     */
    boolean run(Progress progress, Stop stop) throws IOException {
        try (var metrics = new Metrics(folder.metrics());
                tape) {
            return run(metrics, progress, stop);
        }
    }

    private boolean run(Metrics metrics, Progress progress, Stop stop) throws IOException {
        int begun = step;
        try {
            sampleIfDue(progress, stop); // a stop may have cut it short
            while (step < config.training().steps()) {
                if (due(config.validation().every(), step)) {
                    validate(metrics, progress, stop);
                }
                train(metrics, progress, stop);
                sampleIfDue(progress, stop);
                if (due(config.saveEvery(), step)) {
                    save(folder.checkpoint(step), metrics, progress);
                }
            }
            save(folder.finalCheckpoint(), metrics, progress);
            if (config.validation().every() > 0) {
                validate(metrics, progress, stop);
            }
            return true;
        } catch (Stop.Requested e) {
            if (step > begun
                    && folder.latest().map(c -> c.state().step() < step).orElse(true)) {
                save(folder.checkpoint(step), metrics, progress);
            }
            return false;
        }
    }

    private static boolean due(int every, int step) {
        return every > 0 && step % every == 0;
    }

    private void validate(Metrics metrics, Progress progress, Stop stop) throws IOException {
        var windows =
                Windows.validation(corpus, config.seqLen(), config.validation().windows());
        double loss = windows.loss(model, config.training().microBatch(), stop);
        requireFinite("val_loss", loss);
        metrics.validation(step, loss);
        progress.say(
                String.format(Locale.ROOT, "step %,d: validation loss %.4f, bpc %.4f", step, loss, Metrics.bpc(loss)));
    }

    private void train(Metrics metrics, Progress progress, Stop stop) throws IOException {
        var training = config.training();
        long started = clock.getAsLong();
        model.parameters().zeroGrad();
        losses.makeBlank();
        for (int done = 0; done < training.sequences(); done += training.microBatch()) {
            stop.check();
            load(sequences + done);
            microStep.run();
        }
        double loss = model.backend().sum(losses) / tokensAStep();
        requireFinite("train_loss", loss);
        double norm = adam.step((float) training.learningRate(), (float) training.weightDecay(), training.maxNorm());
        requireFinite("grad_norm", norm);
        double seconds = (clock.getAsLong() - started) / 1e9;
        sequences += training.sequences();
        tokens += tokensAStep();
        metrics.training(step, loss, norm, training.learningRate(), tokens, seconds);
        step++;
        sampleDue = step > 1 && due(config.generation().every(), step - 1);
        progress.step(step, loss, seconds);
    }

    private void load(long firstSequence) {
        batchStart = firstSequence;
        for (int row = 0; row < batch.sequences(); row++) {
            batch.put(row, corpus.bytes(), sampler.start(firstSequence + row));
        }
    }

    /** The micro-batch forward and backward; the gradient is that of the mean over the whole step. */
    private void accumulate() {
        tape.clear(batchStart);
        var logits = model.logits(tape, batch.ids(), batch.sequences());
        var loss = Ops.crossEntropy(logits, batch.labels(), 1f / tokensAStep());
        model.backend().add(1, loss.value(), losses);
        tape.backward(loss);
        tape.clear();
    }

    private void requireFinite(String what, double value) {
        if (!Double.isFinite(value)) {
            throw diverged(what + " is " + value);
        }
    }

    private Failure diverged(String sign) {
        return Failure.job(
                "step %d: %s: the run has diverged; a lower learning_rate or grad_clip_norm "
                        + "may help. What was written to %s stays",
                step, sign, folder.path());
    }

    private void sampleIfDue(Progress progress, Stop stop) throws IOException {
        if (sampleDue) {
            sample(progress, stop);
            sampleDue = false;
        }
    }

    /** A text from the validation split and how the model continues it, after the step before this one. */
    private void sample(Progress progress, Stop stop) throws IOException {
        var generation = config.generation();
        int last = step - 1;
        var random = new Philox(config.seed(), Streams.SAMPLES + last);
        int length = Math.min(generation.promptLength(), corpus.validationSize());
        int start = corpus.trainSize() + random.nextInt(corpus.validationSize() - length + 1);
        var prompt = new int[length];
        corpus.tokens(start, length, prompt, 0);
        var options =
                GenerationOptions.of(generation.sampling(), generation.length()).cache(generation.cache());
        var before = Utf8Stream.printable(Utf8Stream.decode(prompt));
        var after = Utf8Stream.printable(continuation(prompt, options, random, stop));
        folder.add(new Sample(last, before, after));
        progress.say(String.format(Locale.ROOT, "step %,d: sample, written from ▸ on", last)
                + ("\n" + tail(before) + "▸" + after.stripTrailing()).replace("\n", "\n  │ "));
    }

    private String continuation(int[] prompt, GenerationOptions options, Philox random, Stop stop) {
        try {
            var generator = new Generator(model, options, stop::check);
            return generator.generate(prompt, random, _ -> {}).text();
        } catch (Sampling.BadLogits e) {
            throw diverged("a logit of the sample is not finite").causedBy(e);
        }
    }

    /** The end of a prompt, as much as is needed to judge what follows. */
    private static String tail(String text) {
        return text.length() <= 160 ? text : text.substring(text.length() - 160);
    }

    /** Weights from which no run could go on are not saved: the newest checkpoint is one that can be resumed. */
    private void save(Path to, Metrics metrics, Progress progress) throws IOException {
        requireFinite(
                "weight_norm",
                Math.sqrt(model.backend().sumOfSquares(model.parameters().values())));
        metrics.sync();
        var state = new Checkpoint.State(
                step, tokens, sequences, config.seed(), folder.samplesBytes(), sampleDue, checksum);
        Checkpoint.write(to, config, model, adam, state);
        progress.say(String.format(Locale.ROOT, "step %,d: saved %s", step, to));
    }
}
