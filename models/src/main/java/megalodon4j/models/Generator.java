package megalodon4j.models;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import megalodon4j.models.Generated.End;
import megalodon4j.tensor.Philox;

/**
 * Continues texts token by token.
 *
 * <p>Row r of a batch draws its random numbers from a stream of its own, so that equal prompts are continued differently
 * and each row is what it is alone ({@link #generate(int[], int, IntConsumer)}), whatever the others are.
 *
 * <p>Before an empty prompt the model reads token 0, the one that pads: it stands for "no text yet" and is not part of
 * the result.
 *
 * <p>A model whose output layer is wider than its vocabulary writes only what it can read: logits beyond the vocabulary are
 * left out.
 *
 * <p>Not for several threads at once.
 */
public final class Generator {
    /** Row r draws from Philox stream {@code FIRST_STREAM + r}. Models number their own from 0 on. */
    private static final long FIRST_STREAM = 3L << 32;

    private static final int START = 0;

    private final LanguageModel model;
    private final GenerationOptions options;
    private final Runnable check;

    /** @throws IllegalArgumentException if the end-of-text token is not one of the model's, or its cache cannot be as the options want it */
    public Generator(LanguageModel model, GenerationOptions options) {
        this(model, options, () -> {});
    }

    /**
     * {@link #Generator(LanguageModel, GenerationOptions)} of texts that can be ended early.
     *
     * @param check runs before each block of tokens that the model reads at once: those of a long prompt, and each new token. What it throws ends
     *     the generation
     */
    public Generator(LanguageModel model, GenerationOptions options, Runnable check) {
        this.model = model;
        this.options = options;
        this.check = check;
        model.config().check(options.cache());
        var end = options.endOfText();
        if (end != null && end >= model.config().numTokens()) {
            throw new IllegalArgumentException("end-of-text " + end + " is none of the "
                    + model.config().numTokens() + " tokens of the vocabulary");
        }
    }

    /** Takes the new tokens of a batch. */
    @FunctionalInterface
    public interface RowSink {
        void accept(int row, int token);
    }

    /**
     * Continues a prompt.
     *
     * @param sink takes each token as soon as it is known to be part of the text: at once, or when it can no longer
     *     become a stop string. What it throws ends the generation
     * @throws IllegalArgumentException if a token of the prompt is outside the vocabulary
     */
    public Generated generate(int[] prompt, IntConsumer sink) {
        return generate(prompt, 0, sink);
    }

    /** {@link #generate(int[], IntConsumer)} as row {@code row} of a batch does it. */
    public Generated generate(int[] prompt, int row, IntConsumer sink) {
        return generate(prompt, new Philox(options.seed(), FIRST_STREAM + row), sink);
    }

    /** {@link #generate(int[], IntConsumer)} with random numbers from where {@code random} stands. */
    public Generated generate(int[] prompt, Philox random, IntConsumer sink) {
        return run(model.session(options.cache()), prompt.clone(), List.of(), random, sink);
    }

    /** Continues prompts of any lengths, one after the other. */
    public List<Generated> generate(List<int[]> prompts, RowSink sink) {
        var rows = new ArrayList<Generated>();
        for (int i = 0; i < prompts.size(); i++) {
            int row = i;
            rows.add(generate(prompts.get(row), row, token -> sink.accept(row, token)));
        }
        return rows;
    }

    /**
     * Goes on where an earlier generation ended, after so many more tokens of the user's, which may be none: n tokens
     * and then m are what n + m tokens are at once. This holds for a stop string between them as well, but its beginning has been handed out with
     * the n. The earlier result's session moves on; it can be resumed but once.
     */
    public Generated resume(Generated earlier, int[] more, IntConsumer sink) {
        var unread = IntStream.concat(Arrays.stream(earlier.unread()), Arrays.stream(more));
        var held = more.length == 0 ? earlier.held() : List.<Integer>of();
        return run(earlier.session(), unread.toArray(), held, earlier.random(), sink);
    }

    private Generated run(Session session, int[] unread, List<Integer> before, Philox random, IntConsumer sink) {
        session.requireTokens("generate", unread);
        var text = IntStream.builder();
        var filter = new StopFilter(options.stops(), before, token -> {
            text.add(token);
            sink.accept(token);
        });
        int vocabulary = model.config().vocabulary();
        var end = End.LENGTH;
        for (int i = 0; i < options.maxNewTokens() && end == End.LENGTH; i++) {
            boolean blank = unread.length == 0 && session.position() == 0;
            var logits = session.feed(blank ? new int[] {START} : unread, check);
            int token = options.sampling().sample(logits, 0, vocabulary, random);
            unread = new int[] {token};
            if (options.endOfText() != null && token == options.endOfText()) {
                end = End.END_OF_TEXT;
            } else if (filter.add(token)) {
                end = End.STOP_STRING;
            }
        }
        var held = filter.finish();
        return new Generated(
                text.build().toArray(), end, session, unread, end == End.LENGTH ? held : List.of(), random);
    }
}
