package megalodon4j.bench;

import java.util.SplittableRandom;

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

    /** So many numbers, uniform in (−1, 1). */
    static float[] uniform(SplittableRandom random, int count) {
        var elements = new float[count];
        for (int i = 0; i < count; i++) {
            elements[i] = (float) random.nextDouble(-1, 1);
        }
        return elements;
    }
}
