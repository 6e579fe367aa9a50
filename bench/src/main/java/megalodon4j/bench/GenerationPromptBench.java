package megalodon4j.bench;

import java.util.List;
import java.util.SplittableRandom;
import megalodon4j.autograd.Tape;
import megalodon4j.models.LanguageModel;
import megalodon4j.tensor.Backend;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/** Reading a prompt, and beside it the forward pass of training over micro-batches of the same number of tokens. */
public class GenerationPromptBench extends Bench {
    @Param({"1", "2"})
    int cores;

    /** Tokens of a sequence in training. */
    @Param("512")
    int length;

    @Param({"llama", "megalodon"})
    String model;

    /** Sequences in training; their tokens together make the prompt. */
    @Param("8")
    int sequences;

    private Backend backend;
    private LanguageModel reader;
    private int[] text;

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        reader = Models.config(model).create(backend, 1);
        text = new SplittableRandom(1)
                .ints(sequences * length, 0, Models.config(model).numTokens())
                .toArray();
        Verify.lastLogits(reader, text, prompt(), 1e-3);
    }

    @Benchmark
    public float[] prompt() {
        return reader.session().feed(text);
    }

    @Benchmark
    public double forward() {
        try (var tape = Tape.training(backend)) {
            return reader.loss(tape, text, text, sequences, null).sum();
        }
    }

    @TearDown
    public void close() {
        backend.close();
    }

    @Override
    List<Work> work(String method) {
        return List.of(Work.tokens(sequences * length));
    }
}
