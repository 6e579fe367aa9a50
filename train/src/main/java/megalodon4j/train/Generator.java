package megalodon4j.train;

import java.util.function.IntConsumer;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.Sampling;
import megalodon4j.tensor.Philox;

/** Continues a text token by token. */
final class Generator {
    private Generator() {}

    static Sampling sampling(RunConfig.Generation g) {
        return new Sampling((float) g.temperature(), (float) g.minP(), g.topK(), (float) g.topP());
    }

    /** Hands the tokens that follow the prompt to {@code sink}, each as soon as it is drawn. */
    static void generate(
            LanguageModel model,
            int[] prompt,
            int count,
            Sampling sampling,
            Philox random,
            Stop stop,
            IntConsumer sink) {
        var session = model.session();
        int[] fed = prompt;
        for (int i = 0; i < count; i++) {
            stop.check();
            int token = sampling.sample(session.feed(fed), random);
            sink.accept(token);
            fed = new int[] {token};
        }
    }

    static int[] tokens(byte[] bytes) {
        var tokens = new int[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            tokens[i] = bytes[i] & 0xFF;
        }
        return tokens;
    }
}
