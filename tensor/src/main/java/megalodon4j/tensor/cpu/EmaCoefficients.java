package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;

import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** From the parameters of the complex EMA to its coefficients and back; a few thousand numbers, computed in double. */
final class EmaCoefficients implements Kernels.EmaCoefficients {
    /** Channels of one item. */
    private static final int BLOCK = 32;

    private final Blocks forward;
    private final Blocks backward;
    private Tensor alpha, delta, theta, gammaReal, gammaImag, coefficients;
    private Tensor dalpha, ddelta, dtheta, dgammaReal, dgammaImag, dcoefficients;
    private boolean addAlpha, addDelta, addTheta, addReal, addImag;

    EmaCoefficients(Workers workers) {
        forward = new Blocks(workers, this::forward);
        backward = new Blocks(workers, this::backward);
    }

    @Override
    public void emaCoefficients(
            Tensor alpha, Tensor delta, Tensor theta, Tensor gammaReal, Tensor gammaImag, Tensor coefficients) {
        this.alpha = alpha;
        this.delta = delta;
        this.theta = theta;
        this.gammaReal = gammaReal;
        this.gammaImag = gammaImag;
        this.coefficients = coefficients;
        forward.blocks(theta.elements(), BLOCK);
    }

    private void forward(int from, int to, int worker) {
        int channels = theta.elements(), states = alpha.elements() / channels, size = states * channels;
        float[] c = data(coefficients);
        double scale = Math.sqrt(1.0 / states);
        for (int d = from; d < to; d++) {
            double angle = sigmoid(get(theta, d)) * 2 * Math.PI / states;
            for (int n = 0; n < states; n++) {
                int i = d * states + n, at = coefficients.offset() + n * channels + d;
                double p = sigmoid(get(alpha, i)), radius = 1 - p * sigmoid(get(delta, i)), phi = (n + 1) * angle;
                c[at] = (float) p;
                c[at + size] = (float) (radius * Math.cos(phi));
                c[at + 2 * size] = (float) (radius * Math.sin(phi));
                c[at + 3 * size] = (float) (get(gammaReal, i) * scale);
                c[at + 4 * size] = (float) (get(gammaImag, i) * scale);
            }
        }
    }

    @Override
    public void emaCoefficientsGrad(
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
        this.dcoefficients = dcoefficients;
        this.alpha = alpha;
        this.delta = delta;
        this.theta = theta;
        this.dalpha = dalpha;
        this.ddelta = ddelta;
        this.dtheta = dtheta;
        this.dgammaReal = dgammaReal;
        this.dgammaImag = dgammaImag;
        this.addAlpha = addAlpha;
        this.addDelta = addDelta;
        this.addTheta = addTheta;
        this.addReal = addReal;
        this.addImag = addImag;
        backward.blocks(theta.elements(), BLOCK);
    }

    private void backward(int from, int to, int worker) {
        int channels = theta.elements(), states = alpha.elements() / channels, size = states * channels;
        double scale = Math.sqrt(1.0 / states);
        for (int d = from; d < to; d++) {
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
