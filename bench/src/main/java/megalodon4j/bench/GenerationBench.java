package megalodon4j.bench;

import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.Sampling;
import megalodon4j.models.Session;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Philox;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Continuing a text token by token. All weights are read for every token: {@link GenerationLimitBench} shows how fast
 * that can be.
 *
 * <p>A token runs through the whole model, of which much is compiled only after thousands of tokens; until then the compiler's thread takes a core
 * from the workers. Twenty calls or so pass before it rests: hence a long warm-up.
 */
@Warmup(time = 2000, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(time = 1000, timeUnit = TimeUnit.MILLISECONDS)
public class GenerationBench extends Bench {
    private static final Sampling SAMPLING = Sampling.minP(0.1f).temperature(0.8f);

    @Param({"1", "2"})
    int cores;

    @Param({"llama", "megalodon"})
    String model;

    @Param("256")
    int prompt;

    /** How many follow it. */
    @Param("128")
    int tokens;

    private Backend backend;
    private LanguageModel speaker;
    private int[] text;
    private Session session;
    private float[] logits;

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        speaker = Models.config(model).create(backend, 1);
        text = new SplittableRandom(1)
                .ints(prompt, 0, Models.config(model).numTokens())
                .toArray();
        verify();
    }

    // A session that is fed token by token expects what the model does of the whole text.
    private void verify() {
        var stream = speaker.session();
        float[] got = null;
        for (int token : text) {
            got = stream.feed(token);
        }
        Verify.lastLogits(speaker, text, got, 1e-3);
    }

    @Setup(Level.Invocation)
    public void feed() {
        session = speaker.session();
        logits = session.feed(text);
    }

    @Benchmark
    public float[] generate() {
        var random = new Philox(1, 0);
        for (int i = 0; i < tokens; i++) {
            logits = session.feed(SAMPLING.sample(logits, random));
        }
        return logits;
    }

    @TearDown
    public void close() {
        backend.close();
    }

    @Override
    List<Work> work(String method) {
        double weights = (double) Float.BYTES * Models.parameters(model);
        return List.of(Work.tokens(tokens), Work.bytes(tokens * weights));
    }
}
