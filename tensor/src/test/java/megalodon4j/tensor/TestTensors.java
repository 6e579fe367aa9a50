package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.Arrays;
import java.util.SplittableRandom;

/** What tests of tensors share: random numbers by seed, conversions, and comparisons that say where and by how much. */
public final class TestTensors {
    private TestTensors() {}

    /** Normal numbers that are exact in float32. */
    public static double[] normal(SplittableRandom random, int count, double mean, double deviation) {
        var x = new double[count];
        for (int i = 0; i < count; i++) {
            x[i] = (float) random.nextGaussian(mean, deviation);
        }
        return x;
    }

    /** Standard normal numbers of a seed that are exact in float32. */
    public static double[] normal(long seed, int count) {
        return normal(new SplittableRandom(seed), count, 0, 1);
    }

    /** A tensor of {@link #normal(long, int)}. */
    public static Tensor tensor(Backend backend, long seed, int... sizes) {
        var tensor = backend.tensor(sizes);
        return tensor.set(floats(normal(seed, tensor.elements())));
    }

    public static float[] floats(double[] x) {
        var y = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = (float) x[i];
        }
        return y;
    }

    public static double[] doubles(float[] x) {
        var y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = x[i];
        }
        return y;
    }

    public static double[] abs(double[] x) {
        return Arrays.stream(x).map(Math::abs).toArray();
    }

    /** max |x|; 0 if there is none. */
    public static double maxNorm(double[] x) {
        double max = 0;
        for (double element : x) {
            max = Math.max(max, Math.abs(element));
        }
        return max;
    }

    /** Fails unless |got − want| ≤ tolerance · max |want| everywhere. */
    public static void assertClose(String what, double[] want, Tensor got, double tolerance) {
        assertClose(what, want, got, tolerance, maxNorm(want));
    }

    /** Fails unless |got − want| ≤ tolerance · scale everywhere. */
    public static void assertClose(String what, double[] want, Tensor got, double tolerance, double scale) {
        var scales = new double[want.length];
        Arrays.fill(scales, scale);
        assertClose(what, want, got, tolerance, scales);
    }

    /** Fails unless |got[i] − want[i]| ≤ tolerance · scale[i] for all i; an infinity must be met exactly. */
    public static void assertClose(String what, double[] want, Tensor got, double tolerance, double[] scale) {
        assertEquals(want.length, got.elements(), what + ": elements of " + got);
        var values = got.toArray();
        int wrong = 0, worst = -1;
        double worstExcess = 0;
        for (int i = 0; i < want.length; i++) {
            double excess = Math.abs(values[i] - want[i]) / (tolerance * scale[i]);
            // Written so that NaN fails.
            if (values[i] != want[i] && !(excess <= 1)) {
                wrong++;
                if (worst < 0 || !(excess <= worstExcess)) {
                    worst = i;
                    worstExcess = excess;
                }
            }
        }
        if (wrong > 0) {
            fail(String.format(
                    "%s: at %s of %s got %.9g, want %.9g: off by %.3g, allowed %.3g (%d of %d elements are off)",
                    what,
                    at(got.shape(), worst),
                    got.shape(),
                    values[worst],
                    want[worst],
                    Math.abs(values[worst] - want[worst]),
                    tolerance * scale[worst],
                    wrong,
                    want.length));
        }
    }

    /** Fails unless all bits are the same. */
    public static void assertSameBits(String what, float[] want, float[] got) {
        assertEquals(want.length, got.length, what + ": elements");
        for (int i = 0; i < want.length; i++) {
            if (Float.floatToRawIntBits(want[i]) != Float.floatToRawIntBits(got[i])) {
                fail(what + ": at " + i + " of " + want.length + " got " + got[i] + ", want " + want[i]
                        + " to the bit");
            }
        }
    }

    /** The index of the element in each dimension. */
    private static String at(Shape shape, int element) {
        var index = new int[shape.rank()];
        for (int i = index.length - 1; i >= 0; i--) {
            index[i] = element % shape.size(i);
            element /= shape.size(i);
        }
        return Arrays.toString(index);
    }
}
