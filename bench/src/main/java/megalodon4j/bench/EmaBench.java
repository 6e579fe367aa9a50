package megalodon4j.bench;

import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Backend.EmaMethod;
import megalodon4j.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Megalodon's complex EMA of one layer, by the recurrence and by FFT, over 2048 tokens or one sequence, whichever is
 * more.
 */
public class EmaBench extends Bench {
    private static final int TOKENS = 2048;
    private static final int STATES = 8;

    @Param("1")
    int cores;

    /** D. */
    @Param("384")
    int dim;

    /** L. */
    @Param({"256", "512", "1024", "4096", "16384", "65536"})
    int length;

    @Param({"scan", "fft"})
    String method;

    private EmaMethod evaluation;
    private Backend backend;
    private Tensor x;
    private Tensor y;
    private Tensor dy;
    private Tensor dx;
    private Tensor coefficients;
    private Tensor dcoefficients;
    private Tensor omega;
    private Tensor domega;

    private int batch() {
        return Math.max(1, TOKENS / length);
    }

    @Setup
    public void open() {
        evaluation = EmaMethod.valueOf(method.toUpperCase(Locale.ROOT));
        backend = Backend.cpu(cores);
        var random = new SplittableRandom(1);
        x = random(random, batch(), length, dim);
        dy = random(random, batch(), length, dim);
        y = backend.tensor(x.shape());
        dx = backend.tensor(x.shape());
        coefficients = backend.tensor(5, STATES, dim);
        backend.emaCoefficients(
                random(random, dim, STATES),
                random(random, dim, STATES),
                random(random, dim),
                random(random, dim, STATES),
                random(random, dim, STATES),
                coefficients);
        dcoefficients = backend.tensor(coefficients.shape());
        omega = random(random, dim);
        domega = backend.tensor(omega.shape());
        forward();
        backward();
        verify(dim / 2);
    }

    private Tensor random(SplittableRandom random, int... sizes) {
        var tensor = backend.tensor(sizes);
        return tensor.set(Verify.uniform(random, tensor.elements()));
    }

    @Benchmark
    public void forward() {
        backend.ema(x, null, coefficients, omega, null, evaluation, y);
    }

    @Benchmark
    public void backward() {
        dx.makeBlank();
        dcoefficients.makeBlank();
        domega.makeBlank();
        backend.emaGrad(dy, x, null, coefficients, omega, evaluation, dx, dcoefficients, domega);
    }

    @TearDown
    public void close() {
        backend.close();
    }

    // One channel of the last sequence: h_t = q h_{t−1} + p x_t forwards gives y, the same backwards from dy gives dx.
    private void verify(int channel) {
        recurrence("y", x.toArray(), y.toArray(), channel, false);
        recurrence("dx", dy.toArray(), dx.toArray(), channel, true);
    }

    private void recurrence(String what, float[] in, float[] out, int channel, boolean backwards) {
        var c = coefficients.toArray();
        double direct = omega.toArray()[channel];
        var re = new double[STATES];
        var im = new double[STATES];
        for (int step = 0; step < length; step++) {
            int t = backwards ? length - 1 - step : step;
            int at = ((batch() - 1) * length + t) * dim + channel;
            double sum = direct * in[at];
            for (int n = 0; n < STATES; n++) {
                double p = c[n * dim + channel];
                double qr = c[(STATES + n) * dim + channel], qi = c[(2 * STATES + n) * dim + channel];
                double next = qr * re[n] - qi * im[n] + p * in[at];
                im[n] = qr * im[n] + qi * re[n];
                re[n] = next;
                sum += c[(3 * STATES + n) * dim + channel] * re[n] - c[(4 * STATES + n) * dim + channel] * im[n];
            }
            Verify.close(what + " by " + method + " at " + t, sum, out[at], 1, 2e-4);
        }
    }

    @Override
    List<Work> work(String benchmark) {
        int tensors = benchmark.equals("forward") ? 2 : 3; // x → y; x, dy → dx
        double elements = (double) batch() * length * dim;
        return List.of(Work.tokens(batch() * length), Work.bytes(tensors * Float.BYTES * elements));
    }
}
