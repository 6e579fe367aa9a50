package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.maxNorm;
import static megalodon4j.tensor.Trial.TOLERANCE;

import java.util.Arrays;
import megalodon4j.tensor.Backend.EmaMethod;

/** The complex EMA by both methods, against the same recurrence. */
interface EmaContract extends Contract {
    int[] CHANNELS = {1, 2, 3, 13, 31, 32, 33, 64, 207, 384};

    int[] STATES = {1, 3, 4, 8, 16};

    /** The parameters of the coefficients; a small delta makes a memory of a hundred tokens. */
    record Parameters(double[] alpha, double[] delta, double[] theta, double[] gammaReal, double[] gammaImag) {
        static Parameters draw(Trial t, int channels, int states) {
            int size = channels * states;
            return new Parameters(
                    t.normal(size),
                    t.normal(size, t.size("delta", 0, 0, -4), 1),
                    t.normal(channels),
                    t.normal(size),
                    t.normal(size));
        }

        /** Rounded to float32. */
        double[] coefficients(int channels, int states) {
            var c = ReferenceEma.coefficients(channels, states, alpha, delta, theta, gammaReal, gammaImag);
            return TestTensors.doubles(TestTensors.floats(c));
        }
    }

    /** The max-norm of each of the planes (p, Re q, Im q, Re γ, Im γ), whose gradients differ in size. */
    private static double[] planes(double[] coefficients) {
        var scale = new double[coefficients.length];
        int plane = coefficients.length / 5;
        for (int i = 0; i < 5; i++) {
            double norm = maxNorm(Arrays.copyOfRange(coefficients, i * plane, (i + 1) * plane));
            Arrays.fill(scale, i * plane, (i + 1) * plane, norm);
        }
        return scale;
    }

    /** The largest of any channel's Σ_n |Re γ_n| p_n: the size of what a token adds at once, however much of it cancels. */
    private static double largestTerms(int states, double[] c) {
        int plane = c.length / 5, channels = plane / states;
        var sums = new double[channels];
        for (int i = 0; i < plane; i++) {
            sums[i % channels] += Math.abs(c[3 * plane + i]) * c[i];
        }
        return maxNorm(sums);
    }

    @Seeds(40)
    default void emaCoefficients(int seed) {
        try (var t = trial(seed)) {
            int channels = t.size("channels", CHANNELS), states = t.size("states", STATES);
            var p = Parameters.draw(t, channels, states);
            var c = t.result(5, states, channels);
            t.backend.emaCoefficients(
                    t.input(p.alpha, channels, states),
                    t.input(p.delta, channels, states),
                    t.input(p.theta, channels),
                    t.input(p.gammaReal, channels, states),
                    t.input(p.gammaImag, channels, states),
                    c);
            var want = ReferenceEma.coefficients(channels, states, p.alpha, p.delta, p.theta, p.gammaReal, p.gammaImag);
            t.expect("emaCoefficients", want, c, 1e-6, planes(want));
        }
    }

    @Seeds(40)
    default void emaCoefficientsGrad(int seed) {
        try (var t = trial(seed)) {
            int channels = t.size("channels", CHANNELS), states = t.size("states", STATES);
            var p = Parameters.draw(t, channels, states);
            var dc = t.normal(5 * channels * states);
            Trial.Gradient dalpha = t.gradient(channels, states), ddelta = t.gradient(channels, states);
            Trial.Gradient dtheta = t.gradient(channels);
            Trial.Gradient dgammaReal = t.gradient(channels, states), dgammaImag = t.gradient(channels, states);
            t.backend.emaCoefficientsGrad(
                    t.input(dc, 5, states, channels),
                    t.input(p.alpha, channels, states),
                    t.input(p.delta, channels, states),
                    t.input(p.theta, channels),
                    dalpha.tensor,
                    ddelta.tensor,
                    dtheta.tensor,
                    dgammaReal.tensor,
                    dgammaImag.tensor);
            var want = ReferenceEma.coefficientsGrad(channels, states, dc, p.alpha, p.delta, p.theta);
            dalpha.expect("emaCoefficientsGrad dalpha", want.dalpha());
            ddelta.expect("emaCoefficientsGrad ddelta", want.ddelta());
            dtheta.expect("emaCoefficientsGrad dtheta", want.dtheta());
            dgammaReal.expect("emaCoefficientsGrad dgammaReal", want.dgammaReal());
            dgammaImag.expect("emaCoefficientsGrad dgammaImag", want.dgammaImag());
        }
    }

    @Seeds(96)
    default void ema(int seed) {
        try (var t = trial(seed)) {
            var method = t.flag("FFT") ? EmaMethod.FFT : EmaMethod.SCAN;
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", LENGTHS);
            int channels = t.size("channels", CHANNELS), states = t.size("states", STATES);
            var mask = t.mask(batch, length);
            var state = t.flag("state") && method == EmaMethod.SCAN ? t.normal(batch * 2 * states * channels) : null;
            double[] x = t.normal(batch * length * channels), omega = t.normal(channels);
            var c = Parameters.draw(t, channels, states).coefficients(channels, states);
            Tensor tstate = t.working(state, batch, 2, states, channels), y = t.result(batch, length, channels);
            t.backend.ema(
                    t.input(x, batch, length, channels),
                    t.input(mask, batch, length),
                    t.input(c, 5, states, channels),
                    t.input(omega, channels),
                    tstate,
                    method,
                    y);
            var want = ReferenceEma.ema(batch, length, channels, states, x, mask, c, omega, state);
            t.expect("ema y", want, y, TOLERANCE, Math.max(maxNorm(want), largestTerms(states, c) * maxNorm(x)));
            if (state != null) {
                t.expect("ema state", state, tstate);
            }
        }
    }

    /** Feeding a sequence in pieces, with a state, is feeding it whole. */
    @Seeds(24)
    default void emaInPieces(int seed) {
        try (var t = trial(seed)) {
            int length = t.size("length", 5, 16, 65, 300), first = t.size("first", 1, 2, 4);
            int channels = t.size("channels", CHANNELS), states = t.size("states", STATES);
            var mask = t.mask(1, length);
            double[] x = t.normal(length * channels), omega = t.normal(channels);
            var c = Parameters.draw(t, channels, states).coefficients(channels, states);
            var state = t.working(new double[2 * states * channels], 1, 2, states, channels);
            Tensor tx = t.input(x, length, channels), tmask = t.input(mask, length);
            Tensor tc = t.input(c, 5, states, channels), tomega = t.input(omega, channels);
            var y = t.working(new double[length * channels], length, channels);
            for (int from = 0, to = first; from < length; from = to, to = Math.min(length, to + 1 + to / 2)) {
                var shape = Shape.of(1, to - from, channels);
                t.backend.ema(
                        tx.slice(from, to).reshape(shape),
                        mask == null ? null : tmask.slice(from, to),
                        tc,
                        tomega,
                        state,
                        EmaMethod.SCAN,
                        y.slice(from, to).reshape(shape));
            }
            t.expect("ema in pieces", ReferenceEma.ema(1, length, channels, states, x, mask, c, omega, null), y);
        }
    }

    @Seeds(128)
    default void emaGrad(int seed) {
        try (var t = trial(seed)) {
            var method = t.flag("FFT") ? EmaMethod.FFT : EmaMethod.SCAN;
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", LENGTHS);
            int channels = t.size("channels", CHANNELS), states = t.size("states", STATES);
            var mask = t.mask(batch, length);
            double[] x = t.normal(batch * length * channels), omega = t.normal(channels), dy = t.normal(x.length);
            var c = Parameters.draw(t, channels, states).coefficients(channels, states);
            Trial.Gradient dx = t.gradient(batch, length, channels), dc = t.gradient(5, states, channels);
            var domega = t.gradient(channels);
            t.backend.emaGrad(
                    t.input(dy, batch, length, channels),
                    t.input(x, batch, length, channels),
                    t.input(mask, batch, length),
                    t.input(c, 5, states, channels),
                    t.input(omega, channels),
                    method,
                    dx.tensor,
                    dc.tensor,
                    domega.tensor);
            var want = ReferenceEma.emaGrad(batch, length, channels, states, dy, x, mask, c, omega);
            dx.expect("emaGrad dx", want.dx());
            var scale = planes(want.dcoefficients());
            Arrays.setAll(scale, i -> Math.max(scale[i], Math.sqrt(batch * length)));
            dc.expect("emaGrad dcoefficients", want.dcoefficients(), TOLERANCE, scale);
            domega.expect("emaGrad domega", want.domega(), TOLERANCE, Math.sqrt(batch * length));
        }
    }
}
