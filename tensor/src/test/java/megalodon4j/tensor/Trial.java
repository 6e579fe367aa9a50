package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.maxNorm;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.StringJoiner;

/**
 * One random experiment on a backend. It draws sizes and numbers from a seed, remembers them for the message of a
 * failure, and hands out tensors that lie at odd offsets between strips of NaN.
 *
 * <p>Whoever reads outside of a tensor, or inside a blank one, thus gets NaN; whoever writes outside of one, or into
 * an input, is found out by {@link #close}.
 */
public final class Trial implements AutoCloseable {
    /** How far a sum may be off, relative to the size of its terms: some 30 roundings of float32. */
    public static final double TOLERANCE = 2e-6;

    private static final int[] OFFSETS = {0, 1, 16, 7, 35};
    private static final int TAIL = 33;

    public final Backend backend;

    private final Scope scope;
    private final SplittableRandom random;
    private final StringJoiner drawn;
    private final List<Laid> laid = new ArrayList<>();
    private int flags;

    /** A tensor with the larger one it lies in, and what it must still hold at the end; null if it may change. */
    private record Laid(Tensor tensor, Tensor around, float[] unchanged) {}

    /** @param seed also gives the flags, bit by bit, so that 2ⁿ consecutive seeds see all settings of n flags */
    public Trial(Backend backend, int seed) {
        this.backend = backend;
        this.scope = backend.scope();
        this.random = new SplittableRandom(seed);
        this.flags = seed;
        this.drawn = new StringJoiner(", ", "seed " + seed + " (", ")");
    }

    /** One of the choices. */
    public int size(String name, int... choices) {
        int size = choices[random.nextInt(choices.length)];
        drawn.add(name + " " + size);
        return size;
    }

    /** One of the choices. */
    public <T> T one(List<T> choices) {
        var choice = choices.get(random.nextInt(choices.size()));
        drawn.add(choice.toString());
        return choice;
    }

    /** Whether something is so, and what to call it. */
    public boolean flag(String name) {
        boolean set = (flags & 1) == 1;
        flags >>= 1;
        drawn.add(set ? name : "no " + name);
        return set;
    }

    /** Standard normal numbers. */
    public double[] normal(int count) {
        return normal(count, 0, 1);
    }

    public double[] normal(int count, double mean, double deviation) {
        return TestTensors.normal(random, count, mean, deviation);
    }

    /** Standard normal numbers, or null if the flag is not set. */
    public double[] nullable(String name, int count) {
        return flag(name) ? normal(count) : null;
    }

    /** Numbers in [0, bound). */
    public int[] integers(int count, int bound) {
        return random.ints(count, 0, bound).toArray();
    }

    /**
     * A mask (batch, length) whose rows are padded left, padded right, random, or wholly invalid; or null if the flag
     * is not set.
     */
    public double[] mask(int batch, int length) {
        if (!flag("mask")) {
            return null;
        }
        var mask = new double[batch * length];
        for (int s = 0; s < batch; s++) {
            int kind = random.nextInt(8), split = random.nextInt(length + 1);
            drawn.add(List.of("random", "random", "right", "right", "left", "left", "left", "invalid")
                            .get(kind) + " " + split);
            for (int t = 0; t < length; t++) {
                boolean valid = kind < 2 ? random.nextInt(4) > 0 : kind < 4 ? t < split : kind < 7 && t >= split;
                mask[s * length + t] = valid ? 1 : 0;
            }
        }
        return mask;
    }

    /** A tensor that must not change; null for null. */
    public Tensor input(double[] values, int... sizes) {
        return lay(values, true, sizes);
    }

    /** A tensor that may change; null for null. */
    public Tensor working(double[] values, int... sizes) {
        return lay(values, false, sizes);
    }

    /** A blank tensor. */
    public Tensor result(int... sizes) {
        var values = new double[Shape.of(sizes).elements()];
        Arrays.fill(values, Double.NaN);
        var tensor = lay(values, false, sizes);
        tensor.makeBlank();
        return tensor;
    }

    private Tensor lay(double[] values, boolean input, int... sizes) {
        if (values == null) {
            return null;
        }
        int offset = OFFSETS[laid.size() % OFFSETS.length];
        var around = new float[offset + values.length + TAIL];
        Arrays.fill(around, Float.NaN);
        System.arraycopy(TestTensors.floats(values), 0, around, offset, values.length);
        var outer = scope.tensor(around.length).set(around);
        var tensor = outer.slice(offset, offset + values.length).reshape(Shape.of(sizes));
        laid.add(new Laid(tensor, outer, input ? tensor.toArray() : null));
        return tensor;
    }

    /** A gradient that is blank or already holds something; null if it is not wanted. */
    public Gradient gradient(boolean wanted, int... sizes) {
        if (!wanted) {
            return new Gradient(null, null);
        }
        boolean filled = random.nextBoolean();
        drawn.add(filled ? "filled" : "blank");
        var before = filled
                ? normal(Shape.of(sizes).elements())
                : new double[Shape.of(sizes).elements()];
        return new Gradient(filled ? working(before, sizes) : result(sizes), before);
    }

    /** {@link #gradient(boolean, int...)} that is wanted. */
    public Gradient gradient(int... sizes) {
        return gradient(true, sizes);
    }

    /** A tensor that gradients are added to, with what it held before. */
    public final class Gradient {
        final Tensor tensor;
        private final double[] before;

        private Gradient(Tensor tensor, double[] before) {
            this.tensor = tensor;
            this.before = before;
        }

        /**
         * Compares with what it held plus want, relative to the max-norm of that, or to the size of its terms if that
         * is larger: random terms of size 1 add up to √n, which chance or a cancellation may undo, but not the
         * rounding on the way.
         */
        void expect(String what, double[] want, double tolerance, double terms) {
            if (tensor != null) {
                var sum = plus(want);
                Trial.this.expect(what, sum, tensor, tolerance, Math.max(maxNorm(sum), terms));
            }
        }

        void expect(String what, double[] want) {
            expect(what, want, TOLERANCE, 0);
        }

        /** Compares with what it held plus want, relative to what it held plus the scale. */
        void expect(String what, double[] want, double tolerance, double[] scale) {
            if (tensor != null) {
                var scales = scale.clone();
                for (int i = 0; i < scales.length; i++) {
                    scales[i] += Math.abs(before[i]);
                }
                Trial.this.expect(what, plus(want), tensor, tolerance, scales);
            }
        }

        private double[] plus(double[] want) {
            assertEquals(before.length, want.length);
            var sum = before.clone();
            for (int i = 0; i < sum.length; i++) {
                sum[i] += want[i];
            }
            return sum;
        }
    }

    public void expect(String what, double[] want, Tensor got) {
        expect(what, want, got, TOLERANCE, maxNorm(want));
    }

    public void expect(String what, double[] want, Tensor got, double tolerance, double scale) {
        filled(what, got);
        TestTensors.assertClose(what + ", " + drawn, want, got, tolerance, scale);
    }

    public void expect(String what, double[] want, Tensor got, double tolerance, double[] scale) {
        filled(what, got);
        TestTensors.assertClose(what + ", " + drawn, want, got, tolerance, scale);
    }

    private void filled(String what, Tensor got) {
        assertTrue(!got.isBlank(), () -> what + " was not filled, " + drawn);
    }

    /** Checks that nothing was written where nothing may be, and takes all tensors back. */
    @Override
    public void close() {
        try {
            for (var one : laid) {
                var around = one.around.toArray();
                int from = one.tensor.offset() - one.around.offset(), to = from + one.tensor.elements();
                for (int i = 0; i < around.length; i++) {
                    if ((i < from || i >= to) && !Float.isNaN(around[i])) {
                        fail("element " + (i - from) + " was written outside of " + one.tensor + ", " + this);
                    }
                }
                if (one.unchanged != null) {
                    TestTensors.assertSameBits(
                            "the input " + one.tensor + ", " + this, one.unchanged, one.tensor.toArray());
                }
            }
        } finally {
            scope.close();
        }
    }

    @Override
    public String toString() {
        return drawn.toString();
    }
}
