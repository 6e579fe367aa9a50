package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;

import java.util.Arrays;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;
import megalodon4j.tensor.fft.RealFft;

/**
 * The complex EMA as a convolution with k[j] = Re Σ_n γ_n p_n q_nʲ. With capitals for spectra: Y = K X, dX = K̄ dY, dK = Σ over sequences of
 * X̄ dY; the gradients of the coefficients follow from dk.
 */
final class EmaFft {
    private final Workers workers;
    private final WorkerScratch scratch;
    private RealFft fft;

    EmaFft(Workers workers) {
        this.workers = workers;
        this.scratch = new WorkerScratch(workers);
    }

    // A power of two ≥ 2L: the convolution does not wrap around.
    private RealFft fft(int length) {
        int padded = Math.max(2, Integer.highestOneBit(Math.max(1, 2 * length - 1)) * 2);
        if (fft == null || fft.length() != padded) {
            fft = new RealFft(padded);
        }
        return fft;
    }

    void forward(Tensor x, Tensor mask, Tensor coefficients, Tensor omega, Tensor y) {
        int batch = x.shape().size(0), length = x.shape().size(1), channels = x.columns();
        var f = fft(length);
        int n = f.length();
        workers.run(channels, (d, worker) -> {
            var w = scratch.of(worker, 2 * n);
            kernel(coefficients, d, length, n, w);
            f.forward(w, 0);
            float direct = data(omega)[omega.offset() + d];
            for (int b = 0; b < batch; b++) {
                int at = b * length * channels + d;
                load(x, mask, b, d, length, n, w, n);
                f.forward(w, n);
                f.multiply(w, n, w, 0, false);
                f.inverse(w, n);
                for (int t = 0; t < length; t++) {
                    float valid = mask == null ? 1 : data(mask)[mask.offset() + b * length + t];
                    float xt = valid == 0 ? 0 : data(x)[x.offset() + at + t * channels];
                    data(y)[y.offset() + at + t * channels] = w[n + t] + direct * xt;
                }
            }
        });
    }

    void backward(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor coefficients,
            Tensor omega,
            Tensor dx,
            Tensor dcoefficients,
            Tensor domega,
            boolean addX,
            boolean addCoefficients,
            boolean addOmega) {
        int batch = x.shape().size(0), length = x.shape().size(1), channels = x.columns();
        var f = fft(length);
        int n = f.length();
        workers.run(channels, (d, worker) -> {
            var w = scratch.of(worker, 5 * n);
            int sum = n, xs = 2 * n, dys = 3 * n, spectrum = 4 * n;
            kernel(coefficients, d, length, n, w);
            f.forward(w, 0);
            Arrays.fill(w, sum, sum + n, 0);
            float direct = data(omega)[omega.offset() + d];
            double dDirect = 0;
            for (int b = 0; b < batch; b++) {
                int at = b * length * channels + d;
                load(x, mask, b, d, length, n, w, xs);
                load(dy, null, b, d, length, n, w, dys);
                for (int t = 0; t < length; t++) {
                    dDirect += (double) w[xs + t] * w[dys + t];
                }
                f.forward(w, xs);
                f.forward(w, dys);
                System.arraycopy(w, dys, w, spectrum, n);
                f.multiply(w, spectrum, w, xs, true);
                for (int i = 0; i < n; i++) {
                    w[sum + i] += w[spectrum + i];
                }
                f.multiply(w, dys, w, 0, true);
                f.inverse(w, dys);
                for (int t = 0; t < length; t++) {
                    int i = at + t * channels;
                    boolean valid = mask == null || data(mask)[mask.offset() + b * length + t] != 0;
                    float g = valid ? w[dys + t] + direct * data(dy)[dy.offset() + i] : 0;
                    data(dx)[dx.offset() + i] = g + (addX ? data(dx)[dx.offset() + i] : 0);
                }
            }
            f.inverse(w, sum);
            coefficientGradients(coefficients, d, length, w, sum, dcoefficients, addCoefficients);
            int o = domega.offset() + d;
            data(domega)[o] = (float) (dDirect + (addOmega ? data(domega)[o] : 0));
        });
    }

    // One channel of one sequence, zero behind its end and where masked.
    private static void load(Tensor x, Tensor mask, int b, int d, int length, int n, float[] w, int to) {
        int channels = x.columns();
        for (int t = 0; t < length; t++) {
            boolean valid = mask == null || data(mask)[mask.offset() + b * length + t] != 0;
            w[to + t] = valid ? data(x)[x.offset() + (b * length + t) * channels + d] : 0;
        }
        Arrays.fill(w, to + length, to + n, 0);
    }

    // k[j] = Re Σ_n γ_n p_n q_nʲ, powers in double.
    private static void kernel(Tensor coefficients, int d, int length, int n, float[] w) {
        Arrays.fill(w, 0, n, 0);
        int states = coefficients.shape().size(1);
        for (int s = 0; s < states; s++) {
            double p = get(coefficients, 0, s, d), qr = get(coefficients, 1, s, d), qi = get(coefficients, 2, s, d);
            double cr = get(coefficients, 3, s, d) * p, ci = get(coefficients, 4, s, d) * p;
            for (int j = 0; j < length && !vanishes(cr, ci); j++) {
                w[j] += (float) cr;
                double next = cr * qr - ci * qi;
                ci = cr * qi + ci * qr;
                cr = next;
            }
        }
    }

    // With u_j = qʲ: ∂k/∂γ = p u, ∂k/∂p = γ u, ∂k/∂q = γ p j u_{j−1}, each in the sense of Re.
    private static void coefficientGradients(
            Tensor coefficients, int d, int length, float[] w, int dk, Tensor out, boolean add) {
        int states = coefficients.shape().size(1);
        for (int s = 0; s < states; s++) {
            double p = get(coefficients, 0, s, d), qr = get(coefficients, 1, s, d), qi = get(coefficients, 2, s, d);
            double gr = get(coefficients, 3, s, d), gi = get(coefficients, 4, s, d);
            double ur = 1, ui = 0, beforeR = 0, beforeI = 0, sumR = 0, sumI = 0, powR = 0, powI = 0;
            for (int j = 0; j < length && !vanishes(ur, ui); j++) {
                double g = w[dk + j];
                sumR += g * ur;
                sumI += g * ui;
                powR += g * j * beforeR;
                powI += g * j * beforeI;
                beforeR = ur;
                beforeI = ui;
                ur = beforeR * qr - beforeI * qi;
                ui = beforeR * qi + beforeI * qr;
            }
            put(out, 0, s, d, gr * sumR - gi * sumI, add);
            put(out, 1, s, d, p * (gr * powR - gi * powI), add);
            put(out, 2, s, d, -p * (gr * powI + gi * powR), add);
            put(out, 3, s, d, p * sumR, add);
            put(out, 4, s, d, -p * sumI, add);
        }
    }

    // Smaller than any normal float: arithmetic with such numbers takes a hundred times as long. NaN does not vanish.
    private static boolean vanishes(double real, double imaginary) {
        return real * real + imaginary * imaginary < 0x1p-252;
    }

    private static double get(Tensor c, int which, int state, int d) {
        return data(c)[index(c, which, state, d)];
    }

    private static void put(Tensor c, int which, int state, int d, double value, boolean add) {
        int at = index(c, which, state, d);
        data(c)[at] = (float) (add ? data(c)[at] + value : value);
    }

    private static int index(Tensor c, int which, int state, int d) {
        return c.offset() + (which * c.shape().size(1) + state) * c.columns() + d;
    }
}
