package megalodon4j.bench;

import java.util.SplittableRandom;
import megalodon4j.autograd.Tape;
import megalodon4j.models.LanguageModel;

/** Checks results against ones in double: what computes something else must not be timed. */
final class Verify {
    private Verify() {}

    /** Fails unless got = want, to within {@code tolerance} times the size of what was summed. */
    static void close(String what, double want, double got, double size, double tolerance) {
        if (!(Math.abs(got - want) <= tolerance * Math.max(size, 1e-6))) {
            throw new IllegalStateException(what + " is " + got + ", must be " + want + " ± " + tolerance * size);
        }
    }

    static void that(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    /** Fails unless these are the logits that a model's pass over the whole text leaves for the token behind it. */
    static void lastLogits(LanguageModel model, int[] text, float[] got, double tolerance) {
        try (var tape = Tape.inference(model.backend())) {
            var whole = model.logits(tape, text, 1).value().toArray();
            for (int i = 0; i < got.length; i++) {
                close("logit " + i, whole[whole.length - got.length + i], got[i], 1, tolerance);
            }
        }
    }

    /** So many numbers, uniform in (−1, 1). */
    static float[] uniform(SplittableRandom random, int count) {
        var elements = new float[count];
        for (int i = 0; i < count; i++) {
            elements[i] = (float) random.nextDouble(-1, 1);
        }
        return elements;
    }
}
