package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.Lanes.FMA;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * The recurrence h_t = q h_{t−1} + p x_t, y_t = Re Σ_n γ_n h_{n,t} + ω x_t for W channels at once, a segment of time at a time. All of its
 * memory is a part of one array: rows of W floats, one a token, or one a state; absent channels are zero.
 *
 * <p>The recurrences call nothing but the Vector API: C2 stops inlining small methods of ours once it has put several of these loops together, and a
 * vector that is passed to a method is boxed.
 */
final class EmaScan {
    /** Tokens of a segment: x, y and the states of one n fit the first-level cache together. */
    static final int SEGMENT = 64;

    private final float[] w; // from Scratch.ALIGNED on
    private final int states;
    private final int coefficients; // [n][5]: p, Re q, Im q, Re γ, Im γ
    private final int gradients; // likewise
    private final int state; // [n][2]
    private final int adjoint; // [n][2]
    private final int history; // [SEGMENT + 1][2], of one n
    private final int saved; // [segment][n][2]

    /** [SEGMENT] rows each. */
    final int x, y, dx, dy;

    /** One row each. */
    final int omega, domega;

    EmaScan(int states, float[] memory) {
        this.states = states;
        w = memory;
        coefficients = Scratch.ALIGNED;
        gradients = coefficients + 5 * states * W;
        state = gradients + 5 * states * W;
        adjoint = state + 2 * states * W;
        history = adjoint + 2 * states * W;
        x = history + 2 * (SEGMENT + 1) * W;
        y = x + SEGMENT * W;
        dx = y + SEGMENT * W;
        dy = dx + SEGMENT * W;
        omega = dy + SEGMENT * W;
        domega = omega + W;
        saved = domega + W;
    }

    /** Whether this is a scan of so many states in that memory. */
    boolean fits(int states, float[] memory) {
        return this.states == states && w == memory;
    }

    static int floats(int states, int segments) {
        return Scratch.ALIGNED + W * (14 * states + 2 * (SEGMENT + 1) + 4 * SEGMENT + 2 + 2 * states * segments);
    }

    // --- the recurrences --------------------------------------------------------------------------------------------

    /** Runs x through the recurrence, from the state to the next; y is computed if wanted. */
    void forward(int count, boolean wantsY) {
        if (wantsY) {
            multiplyRows(w, x, omega, y, count);
        }
        for (int n = 0; n < states; n++) {
            if (wantsY) {
                forward(w, coefficients + 5 * n * W, state + 2 * n * W, x, y, count);
            } else {
                advance(w, coefficients + 5 * n * W, state + 2 * n * W, x, count, history);
            }
        }
    }

    /** The adjoint recurrence over a segment, from its saved state: dx, and the sums of the coefficients' gradients. */
    void backward(int segment, int count) {
        multiplyRows(w, dy, omega, dx, count);
        addProducts(w, x, dy, domega, count);
        for (int n = 0; n < states; n++) {
            int start = saved + 2 * (segment * states + n) * W;
            System.arraycopy(w, start, w, state + 2 * n * W, 2 * W);
            advance(w, coefficients + 5 * n * W, state + 2 * n * W, x, count, history);
            backward(
                    w, coefficients + 5 * n * W, adjoint + 2 * n * W, history, x, dy, dx, gradients + 5 * n * W, count);
        }
    }

    private static void forward(float[] w, int coefficient, int state, int x, int y, int count) {
        var p = FloatVector.fromArray(SPECIES, w, coefficient);
        var qr = FloatVector.fromArray(SPECIES, w, coefficient + W);
        var qi = FloatVector.fromArray(SPECIES, w, coefficient + 2 * W);
        var gr = FloatVector.fromArray(SPECIES, w, coefficient + 3 * W);
        var minusGi = FloatVector.fromArray(SPECIES, w, coefficient + 4 * W).neg();
        var minusQi = qi.neg();
        var hr = FloatVector.fromArray(SPECIES, w, state);
        var hi = FloatVector.fromArray(SPECIES, w, state + W);
        for (int t = 0; t < count; t++) {
            var px = FloatVector.fromArray(SPECIES, w, x + t * W).mul(p);
            var next =
                    FMA ? minusQi.fma(hi, qr.fma(hr, px)) : qr.mul(hr).add(px).sub(qi.mul(hi));
            hi = FMA ? qr.fma(hi, qi.mul(hr)) : qr.mul(hi).add(qi.mul(hr));
            hr = next;
            var sum = FloatVector.fromArray(SPECIES, w, y + t * W);
            sum = FMA
                    ? gr.fma(hr, minusGi.fma(hi, sum))
                    : gr.mul(hr).add(minusGi.mul(hi).add(sum));
            sum.intoArray(w, y + t * W);
        }
        hr.intoArray(w, state);
        hi.intoArray(w, state + W);
    }

    // The states alone, all of them kept in history: [0] the one before the first token.
    private static void advance(float[] w, int coefficient, int state, int x, int count, int history) {
        var p = FloatVector.fromArray(SPECIES, w, coefficient);
        var qr = FloatVector.fromArray(SPECIES, w, coefficient + W);
        var qi = FloatVector.fromArray(SPECIES, w, coefficient + 2 * W);
        var minusQi = qi.neg();
        var hr = FloatVector.fromArray(SPECIES, w, state);
        var hi = FloatVector.fromArray(SPECIES, w, state + W);
        hr.intoArray(w, history);
        hi.intoArray(w, history + W);
        for (int t = 0; t < count; t++) {
            var px = FloatVector.fromArray(SPECIES, w, x + t * W).mul(p);
            var next =
                    FMA ? minusQi.fma(hi, qr.fma(hr, px)) : qr.mul(hr).add(px).sub(qi.mul(hi));
            hi = FMA ? qr.fma(hi, qi.mul(hr)) : qr.mul(hi).add(qi.mul(hr));
            hr = next;
            hr.intoArray(w, history + 2 * (t + 1) * W);
            hi.intoArray(w, history + (2 * t + 3) * W);
        }
        hr.intoArray(w, state);
        hi.intoArray(w, state + W);
    }

    // With (a, b) = ∂L/∂(Re h, Im h): a_t = Re γ dy_t + Re q a_{t+1} + Im q b_{t+1}, b_t = −Im γ dy_t + Re q b_{t+1} −
    // Im q a_{t+1}.
    private static void backward(
            float[] w, int coefficient, int adjoint, int history, int x, int dy, int dx, int gradient, int count) {
        var p = FloatVector.fromArray(SPECIES, w, coefficient);
        var qr = FloatVector.fromArray(SPECIES, w, coefficient + W);
        var qi = FloatVector.fromArray(SPECIES, w, coefficient + 2 * W);
        var gr = FloatVector.fromArray(SPECIES, w, coefficient + 3 * W);
        var minusGi = FloatVector.fromArray(SPECIES, w, coefficient + 4 * W).neg();
        var minusQi = qi.neg();
        var a = FloatVector.fromArray(SPECIES, w, adjoint);
        var b = FloatVector.fromArray(SPECIES, w, adjoint + W);
        var dp = FloatVector.fromArray(SPECIES, w, gradient);
        var dqr = FloatVector.fromArray(SPECIES, w, gradient + W);
        var dqi = FloatVector.fromArray(SPECIES, w, gradient + 2 * W);
        var dgr = FloatVector.fromArray(SPECIES, w, gradient + 3 * W);
        var minusDgi = FloatVector.fromArray(SPECIES, w, gradient + 4 * W).neg();
        for (int t = count - 1; t >= 0; t--) {
            var d = FloatVector.fromArray(SPECIES, w, dy + t * W);
            var before = FMA
                    ? qi.fma(b, qr.fma(a, gr.mul(d)))
                    : qi.mul(b).add(qr.mul(a).add(gr.mul(d)));
            b = FMA
                    ? qr.fma(b, minusQi.fma(a, minusGi.mul(d)))
                    : qr.mul(b).add(minusGi.mul(d)).sub(qi.mul(a));
            a = before;
            var after = FloatVector.fromArray(SPECIES, w, history + (2 * t + 2) * W);
            dgr = FMA ? d.fma(after, dgr) : d.mul(after).add(dgr);
            after = FloatVector.fromArray(SPECIES, w, history + (2 * t + 3) * W);
            minusDgi = FMA ? d.fma(after, minusDgi) : d.mul(after).add(minusDgi);
            var hr = FloatVector.fromArray(SPECIES, w, history + (2 * t) * W);
            var hi = FloatVector.fromArray(SPECIES, w, history + (2 * t + 1) * W);
            dqr = FMA ? a.fma(hr, b.fma(hi, dqr)) : a.mul(hr).add(b.mul(hi).add(dqr));
            dqi = FMA ? b.fma(hr, a.neg().fma(hi, dqi)) : b.mul(hr).add(dqi).sub(a.mul(hi));
            var xt = FloatVector.fromArray(SPECIES, w, x + t * W);
            dp = FMA ? a.fma(xt, dp) : a.mul(xt).add(dp);
            var dxt = FloatVector.fromArray(SPECIES, w, dx + t * W);
            dxt = FMA ? p.fma(a, dxt) : p.mul(a).add(dxt);
            dxt.intoArray(w, dx + t * W);
        }
        a.intoArray(w, adjoint);
        b.intoArray(w, adjoint + W);
        dp.intoArray(w, gradient);
        dqr.intoArray(w, gradient + W);
        dqi.intoArray(w, gradient + 2 * W);
        dgr.intoArray(w, gradient + 3 * W);
        minusDgi.neg().intoArray(w, gradient + 4 * W);
    }

    // to[t] = x[t] · factor
    private static void multiplyRows(float[] w, int x, int factor, int to, int count) {
        var f = FloatVector.fromArray(SPECIES, w, factor);
        for (int t = 0; t < count; t++) {
            FloatVector.fromArray(SPECIES, w, x + t * W).mul(f).intoArray(w, to + t * W);
        }
    }

    // sum += Σ_t x[t] · y[t]
    private static void addProducts(float[] w, int x, int y, int sum, int count) {
        var s = FloatVector.fromArray(SPECIES, w, sum);
        for (int t = 0; t < count; t++) {
            s = FloatVector.fromArray(SPECIES, w, x + t * W)
                    .mul(FloatVector.fromArray(SPECIES, w, y + t * W))
                    .add(s);
        }
        s.intoArray(w, sum);
    }

    // --- in and out -------------------------------------------------------------------------------------------------

    void loadCoefficients(float[] from, int at, int channels, int width) {
        for (int c = 0; c < 5; c++) {
            for (int n = 0; n < states; n++) {
                loadVector(from, at + (c * states + n) * channels, width, coefficients + (5 * n + c) * W);
            }
        }
    }

    /** The state before the first token: zero, or [2][N][channels] from {@code at} on. */
    void loadState(float[] from, int at, int channels, int width) {
        for (int c = 0; c < 2; c++) {
            for (int n = 0; n < states; n++) {
                loadVector(from, at + (c * states + n) * channels, width, state + (2 * n + c) * W);
            }
        }
    }

    void storeState(float[] to, int at, int channels, int width) {
        if (to != null) {
            for (int c = 0; c < 2; c++) {
                for (int n = 0; n < states; n++) {
                    storeVector(state + (2 * n + c) * W, to, at + (c * states + n) * channels, width, false);
                }
            }
        }
    }

    void saveState(int segment) {
        System.arraycopy(w, state, w, saved + 2 * segment * states * W, 2 * states * W);
    }

    void clearAdjoint() {
        Arrays.fill(w, adjoint, adjoint + 2 * states * W, 0);
    }

    void clearGradients() {
        Arrays.fill(w, gradients, gradients + 5 * states * W, 0);
        Arrays.fill(w, domega, domega + W, 0);
    }

    void storeGradients(float[] to, int at, int channels, int width, boolean add) {
        for (int c = 0; c < 5; c++) {
            for (int n = 0; n < states; n++) {
                storeVector(gradients + (5 * n + c) * W, to, at + (c * states + n) * channels, width, add);
            }
        }
    }

    /** One row of W from {@code width} floats, zero behind them; all zero where there is no array. */
    void loadVector(float[] from, int at, int width, int row) {
        if (from != null && width == W) {
            FloatVector.fromArray(SPECIES, from, at).intoArray(w, row);
            return;
        }
        if (from != null) {
            System.arraycopy(from, at, w, row, width);
        }
        Arrays.fill(w, from == null ? row : row + width, row + W, 0);
    }

    void storeVector(int row, float[] to, int at, int width, boolean add) {
        Elementwise.add(1, w, row, to, at, width, add);
    }

    void loadRows(float[] from, int at, int stride, int width, int count, int rows) {
        for (int t = 0; t < count; t++) {
            loadVector(from, at + t * stride, width, rows + t * W);
        }
    }

    void storeRows(int rows, float[] to, int at, int stride, int width, int count, boolean add) {
        for (int t = 0; t < count; t++) {
            Elementwise.add(1, w, rows + t * W, to, at + t * stride, width, add);
        }
    }

    /** Clears the rows of invalid tokens. */
    void hideInvalid(float[] mask, int at, int count, int rows) {
        if (mask != null) {
            for (int t = 0; t < count; t++) {
                if (mask[at + t] == 0) {
                    Arrays.fill(w, rows + t * W, rows + (t + 1) * W, 0);
                }
            }
        }
    }
}
