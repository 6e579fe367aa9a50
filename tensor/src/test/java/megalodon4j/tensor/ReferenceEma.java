package megalodon4j.tensor;

import static megalodon4j.tensor.ReferenceElementwise.sigmoid;

/** The oracle of the complex EMA: the recurrence, with real and imaginary parts spelled out. */
public final class ReferenceEma {
    private static final int P = 0, Q_REAL = 1, Q_IMAG = 2, GAMMA_REAL = 3, GAMMA_IMAG = 4;

    private ReferenceEma() {}

    /** (5, states, columns) from alpha, delta, gammaReal, gammaImag (columns, states) and theta (columns). */
    public static double[] coefficients(
            int columns,
            int states,
            double[] alpha,
            double[] delta,
            double[] theta,
            double[] gammaReal,
            double[] gammaImag) {
        var c = new double[5 * states * columns];
        for (int j = 0; j < columns; j++) {
            for (int n = 0; n < states; n++) {
                int from = j * states + n;
                double p = sigmoid(alpha[from]);
                double radius = 1 - p * sigmoid(delta[from]);
                double angle = (n + 1) * sigmoid(theta[j]) * 2 * Math.PI / states;
                c[(P * states + n) * columns + j] = p;
                c[(Q_REAL * states + n) * columns + j] = radius * Math.cos(angle);
                c[(Q_IMAG * states + n) * columns + j] = radius * Math.sin(angle);
                c[(GAMMA_REAL * states + n) * columns + j] = gammaReal[from] * Math.sqrt(1.0 / states);
                c[(GAMMA_IMAG * states + n) * columns + j] = gammaImag[from] * Math.sqrt(1.0 / states);
            }
        }
        return c;
    }

    public record CoefficientsGrad(
            double[] dalpha, double[] ddelta, double[] dtheta, double[] dgammaReal, double[] dgammaImag) {}

    public static CoefficientsGrad coefficientsGrad(
            int columns, int states, double[] dc, double[] alpha, double[] delta, double[] theta) {
        int size = columns * states;
        var grad = new CoefficientsGrad(
                new double[size], new double[size], new double[columns], new double[size], new double[size]);
        for (int j = 0; j < columns; j++) {
            double turn = sigmoid(theta[j]);
            for (int n = 0; n < states; n++) {
                int to = j * states + n;
                double p = sigmoid(alpha[to]), damping = sigmoid(delta[to]);
                double radius = 1 - p * damping;
                double angle = (n + 1) * turn * 2 * Math.PI / states;
                double dqReal = dc[(Q_REAL * states + n) * columns + j];
                double dqImag = dc[(Q_IMAG * states + n) * columns + j];
                double dradius = dqReal * Math.cos(angle) + dqImag * Math.sin(angle);
                double dangle = radius * (dqImag * Math.cos(angle) - dqReal * Math.sin(angle));
                double dp = dc[(P * states + n) * columns + j] - dradius * damping;
                grad.dalpha[to] = dp * p * (1 - p);
                grad.ddelta[to] = -dradius * p * damping * (1 - damping);
                grad.dtheta[j] += dangle * (n + 1) * 2 * Math.PI / states * turn * (1 - turn);
                grad.dgammaReal[to] = dc[(GAMMA_REAL * states + n) * columns + j] * Math.sqrt(1.0 / states);
                grad.dgammaImag[to] = dc[(GAMMA_IMAG * states + n) * columns + j] * Math.sqrt(1.0 / states);
            }
        }
        return grad;
    }

    /** y (batch, length, columns); state (batch, 2, states, columns), nullable, is overwritten. */
    public static double[] ema(
            int batch,
            int length,
            int columns,
            int states,
            double[] x,
            double[] mask,
            double[] c,
            double[] omega,
            double[] state) {
        var y = new double[x.length];
        for (int s = 0; s < batch; s++) {
            for (int j = 0; j < columns; j++) {
                for (int t = 0; t < length; t++) {
                    y[(s * length + t) * columns + j] = omega[j] * input(x, mask, s * length + t, columns, j);
                }
                for (int n = 0; n < states; n++) {
                    double p = c[(P * states + n) * columns + j];
                    double qReal = c[(Q_REAL * states + n) * columns + j];
                    double qImag = c[(Q_IMAG * states + n) * columns + j];
                    double gammaReal = c[(GAMMA_REAL * states + n) * columns + j];
                    double gammaImag = c[(GAMMA_IMAG * states + n) * columns + j];
                    int atReal = (s * 2 * states + n) * columns + j, atImag = ((s * 2 + 1) * states + n) * columns + j;
                    double hReal = state == null ? 0 : state[atReal];
                    double hImag = state == null ? 0 : state[atImag];
                    for (int t = 0; t < length; t++) {
                        double real = qReal * hReal - qImag * hImag + p * input(x, mask, s * length + t, columns, j);
                        double imag = qReal * hImag + qImag * hReal;
                        hReal = real;
                        hImag = imag;
                        y[(s * length + t) * columns + j] += gammaReal * hReal - gammaImag * hImag;
                    }
                    if (state != null) {
                        state[atReal] = hReal;
                        state[atImag] = hImag;
                    }
                }
            }
        }
        return y;
    }

    private static double input(double[] x, double[] mask, int row, int columns, int j) {
        return mask == null || mask[row] != 0 ? x[row * columns + j] : 0;
    }

    public record EmaGrad(double[] dx, double[] dcoefficients, double[] domega) {}

    public static EmaGrad emaGrad(
            int batch,
            int length,
            int columns,
            int states,
            double[] dy,
            double[] x,
            double[] mask,
            double[] c,
            double[] omega) {
        var grad = new EmaGrad(new double[x.length], new double[c.length], new double[columns]);
        for (int s = 0; s < batch; s++) {
            for (int j = 0; j < columns; j++) {
                for (int t = 0; t < length; t++) {
                    int i = (s * length + t) * columns + j;
                    grad.domega[j] += dy[i] * input(x, mask, s * length + t, columns, j);
                    grad.dx[i] += dy[i] * omega[j];
                }
                for (int n = 0; n < states; n++) {
                    emaGrad(s, j, n, length, columns, states, dy, x, mask, c, grad);
                }
            }
        }
        for (int i = 0; i < x.length; i++) {
            if (mask != null && mask[i / columns] == 0) {
                grad.dx[i] = 0;
            }
        }
        return grad;
    }

    /** What state n of channel j of sequence s gives to the gradients but omega's. */
    private static void emaGrad(
            int s,
            int j,
            int n,
            int length,
            int columns,
            int states,
            double[] dy,
            double[] x,
            double[] mask,
            double[] c,
            EmaGrad grad) {
        int atP = (P * states + n) * columns + j;
        int atQReal = (Q_REAL * states + n) * columns + j, atQImag = (Q_IMAG * states + n) * columns + j;
        int atGammaReal = (GAMMA_REAL * states + n) * columns + j,
                atGammaImag = (GAMMA_IMAG * states + n) * columns + j;
        // h[t + 1] is the state after token t.
        var hReal = new double[length + 1];
        var hImag = new double[length + 1];
        for (int t = 0; t < length; t++) {
            hReal[t + 1] =
                    c[atQReal] * hReal[t] - c[atQImag] * hImag[t] + c[atP] * input(x, mask, s * length + t, columns, j);
            hImag[t + 1] = c[atQReal] * hImag[t] + c[atQImag] * hReal[t];
        }
        double dhReal = 0, dhImag = 0; // by h_t, from the tokens after t
        for (int t = length - 1; t >= 0; t--) {
            int i = (s * length + t) * columns + j;
            grad.dcoefficients[atGammaReal] += dy[i] * hReal[t + 1];
            grad.dcoefficients[atGammaImag] -= dy[i] * hImag[t + 1];
            dhReal += dy[i] * c[atGammaReal];
            dhImag -= dy[i] * c[atGammaImag];
            grad.dcoefficients[atP] += dhReal * input(x, mask, s * length + t, columns, j);
            grad.dx[i] += dhReal * c[atP];
            grad.dcoefficients[atQReal] += dhReal * hReal[t] + dhImag * hImag[t];
            grad.dcoefficients[atQImag] += dhImag * hReal[t] - dhReal * hImag[t];
            double real = c[atQReal] * dhReal + c[atQImag] * dhImag;
            double imag = c[atQReal] * dhImag - c[atQImag] * dhReal;
            dhReal = real;
            dhImag = imag;
        }
    }

    /** The other view: k[j] = Re Σ_n γ_n p_n q_nʲ for each channel, (length, columns). */
    public static double[] kernel(int length, int columns, int states, double[] c) {
        var k = new double[length * columns];
        for (int j = 0; j < columns; j++) {
            for (int n = 0; n < states; n++) {
                double qReal = c[(Q_REAL * states + n) * columns + j];
                double qImag = c[(Q_IMAG * states + n) * columns + j];
                double real = c[(GAMMA_REAL * states + n) * columns + j] * c[(P * states + n) * columns + j];
                double imag = c[(GAMMA_IMAG * states + n) * columns + j] * c[(P * states + n) * columns + j];
                for (int t = 0; t < length; t++) {
                    k[t * columns + j] += real;
                    double next = real * qReal - imag * qImag;
                    imag = real * qImag + imag * qReal;
                    real = next;
                }
            }
        }
        return k;
    }
}
