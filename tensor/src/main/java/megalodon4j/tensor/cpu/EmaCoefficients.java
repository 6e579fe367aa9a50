package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;

import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** From the parameters of the complex EMA to its coefficients and back; a few thousand numbers, computed in double. */
final class EmaCoefficients {
    /** Channels of one item. */
    private static final int BLOCK = 32;

    private final Workers workers;

    EmaCoefficients(Workers workers) {
        this.workers = workers;
    }

    void forward(Tensor alpha, Tensor delta, Tensor theta, Tensor gammaReal, Tensor gammaImag, Tensor coefficients) {
        int channels = theta.elements(), states = alpha.elements() / channels, size = states * channels;
        float[] c = data(coefficients);
        double scale = Math.sqrt(1.0 / states);
        workers.run(Gemm.panels(channels, BLOCK), (item, _) -> {
            for (int d = item * BLOCK; d < Math.min(channels, (item + 1) * BLOCK); d++) {
                double angle = sigmoid(get(theta, d)) * 2 * Math.PI / states;
                for (int n = 0; n < states; n++) {
                    int i = d * states + n, to = coefficients.offset() + n * channels + d;
                    double p = sigmoid(get(alpha, i)), radius = 1 - p * sigmoid(get(delta, i)), phi = (n + 1) * angle;
                    c[to] = (float) p;
                    c[to + size] = (float) (radius * Math.cos(phi));
                    c[to + 2 * size] = (float) (radius * Math.sin(phi));
                    c[to + 3 * size] = (float) (get(gammaReal, i) * scale);
                    c[to + 4 * size] = (float) (get(gammaImag, i) * scale);
                }
            }
        });
    }

    void backward(
            Tensor dcoefficients,
            Tensor alpha,
            Tensor delta,
            Tensor theta,
            Tensor dalpha,
            Tensor ddelta,
            Tensor dtheta,
            Tensor dgammaReal,
            Tensor dgammaImag,
            boolean addAlpha,
            boolean addDelta,
            boolean addTheta,
            boolean addReal,
            boolean addImag) {
        int channels = theta.elements(), states = alpha.elements() / channels, size = states * channels;
        double scale = Math.sqrt(1.0 / states);
        workers.run(Gemm.panels(channels, BLOCK), (item, _) -> {
            for (int d = item * BLOCK; d < Math.min(channels, (item + 1) * BLOCK); d++) {
                double t = sigmoid(get(theta, d)), angle = t * 2 * Math.PI / states, dAngle = 0;
                for (int n = 0; n < states; n++) {
                    int i = d * states + n, at = n * channels + d;
                    double a = sigmoid(get(alpha, i)),
                            b = sigmoid(get(delta, i)),
                            radius = 1 - a * b,
                            phi = (n + 1) * angle;
                    double dqr = get(dcoefficients, at + size), dqi = get(dcoefficients, at + 2 * size);
                    double dRadius = dqr * Math.cos(phi) + dqi * Math.sin(phi);
                    dAngle += (n + 1) * radius * (dqi * Math.cos(phi) - dqr * Math.sin(phi));
                    put(dalpha, i, (get(dcoefficients, at) - dRadius * b) * a * (1 - a), addAlpha);
                    put(ddelta, i, -dRadius * a * b * (1 - b), addDelta);
                    put(dgammaReal, i, get(dcoefficients, at + 3 * size) * scale, addReal);
                    put(dgammaImag, i, get(dcoefficients, at + 4 * size) * scale, addImag);
                }
                put(dtheta, d, dAngle * 2 * Math.PI / states * t * (1 - t), addTheta);
            }
        });
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    private static double get(Tensor x, int i) {
        return data(x)[x.offset() + i];
    }

    private static void put(Tensor x, int i, double value, boolean add) {
        int at = x.offset() + i;
        data(x)[at] = (float) (add ? data(x)[at] + value : value);
    }
}
