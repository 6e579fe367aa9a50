package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.W;

import megalodon4j.tensor.Backend.EmaMethod;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * The complex EMA. A worker takes a block of W channels, one a lane; by scan it walks through time in segments that stay in the first-level
 * cache, state after state ({@link EmaScan}), by FFT it convolves channel after channel ({@link EmaFft}).
 *
 * <p>Backward needs all states in reverse order. They are not kept: a forward pass stores those at the start of each segment, from which the
 * segment is recomputed.
 */
final class Ema implements Kernels.Ema {
    private final Workers workers;
    private final WorkerScratch scratch;
    private final EmaScan[] scans;
    private final EmaFft fft;
    private final Workers.Task forward = this::forward;
    private final Workers.Task backward = this::backward;
    private Tensor dy, x, mask, coefficients, omega, state, y, dx, dcoefficients, domega;
    private boolean addX, addCoefficients, addOmega;

    Ema(Workers workers) {
        this.workers = workers;
        this.scratch = new WorkerScratch(workers);
        this.scans = new EmaScan[workers.count()];
        this.fft = new EmaFft(workers);
    }

    @Override
    public void ema(
            Tensor x, Tensor mask, Tensor coefficients, Tensor omega, Tensor state, EmaMethod method, Tensor y) {
        if (method == EmaMethod.FFT) {
            fft.forward(x, mask, coefficients, omega, y);
            return;
        }
        this.x = x;
        this.mask = mask;
        this.coefficients = coefficients;
        this.omega = omega;
        this.state = state;
        this.y = y;
        workers.run(x.shape().size(0) * Math.ceilDiv(x.columns(), W), forward);
    }

    // W channels of one sequence.
    private void forward(int item, int worker) {
        int length = x.shape().size(1), channels = x.columns(), blocks = Math.ceilDiv(channels, W);
        int states = coefficients.shape().size(1);
        int b = item / blocks, d = item % blocks * W, width = Math.min(W, channels - d);
        var s = scan(worker, states, 0);
        s.loadCoefficients(data(coefficients), coefficients.offset() + d, channels, width);
        s.loadVector(data(omega), omega.offset() + d, width, s.omega);
        int stateAt = offset(state) + b * 2 * states * channels + d;
        s.loadState(data(state), stateAt, channels, width);
        for (int t = 0; t < length; t += EmaScan.SEGMENT) {
            int count = Math.min(EmaScan.SEGMENT, length - t);
            int at = (b * length + t) * channels + d;
            s.loadRows(data(x), x.offset() + at, channels, width, count, s.x);
            s.hideInvalid(data(mask), offset(mask) + b * length + t, count, s.x);
            s.forward(count, true);
            s.storeRows(s.y, data(y), y.offset() + at, channels, width, count, false);
        }
        s.storeState(data(state), stateAt, channels, width);
    }

    private EmaScan scan(int worker, int states, int segments) {
        var memory = scratch.of(worker, EmaScan.floats(states, segments));
        if (scans[worker] == null || !scans[worker].fits(states, memory)) {
            scans[worker] = new EmaScan(states, memory);
        }
        return scans[worker];
    }

    @Override
    public void emaGrad(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor coefficients,
            Tensor omega,
            EmaMethod method,
            Tensor dx,
            Tensor dcoefficients,
            Tensor domega,
            boolean addX,
            boolean addCoefficients,
            boolean addOmega) {
        if (method == EmaMethod.FFT) {
            fft.backward(dy, x, mask, coefficients, omega, dx, dcoefficients, domega, addX, addCoefficients, addOmega);
            return;
        }
        this.dy = dy;
        this.x = x;
        this.mask = mask;
        this.coefficients = coefficients;
        this.omega = omega;
        this.dx = dx;
        this.dcoefficients = dcoefficients;
        this.domega = domega;
        this.addX = addX;
        this.addCoefficients = addCoefficients;
        this.addOmega = addOmega;
        workers.run(Math.ceilDiv(x.columns(), W), backward);
    }

    // W channels of all sequences: their gradients are sums over them.
    private void backward(int item, int worker) {
        int batch = x.shape().size(0), length = x.shape().size(1), channels = x.columns();
        int states = coefficients.shape().size(1), segments = Math.ceilDiv(length, EmaScan.SEGMENT);
        int d = item * W, width = Math.min(W, channels - d);
        var s = scan(worker, states, segments);
        s.loadCoefficients(data(coefficients), coefficients.offset() + d, channels, width);
        s.loadVector(data(omega), omega.offset() + d, width, s.omega);
        s.clearGradients();
        for (int b = 0; b < batch; b++) {
            int at = b * length * channels + d;
            s.loadState(null, 0, 0, 0);
            for (int i = 0; i < segments; i++) {
                int t = i * EmaScan.SEGMENT, count = Math.min(EmaScan.SEGMENT, length - t);
                s.saveState(i);
                s.loadRows(data(x), x.offset() + at + t * channels, channels, width, count, s.x);
                s.hideInvalid(data(mask), offset(mask) + b * length + t, count, s.x);
                s.forward(count, false);
            }
            s.clearAdjoint();
            for (int i = segments - 1; i >= 0; i--) {
                int t = i * EmaScan.SEGMENT, count = Math.min(EmaScan.SEGMENT, length - t);
                s.loadRows(data(x), x.offset() + at + t * channels, channels, width, count, s.x);
                s.hideInvalid(data(mask), offset(mask) + b * length + t, count, s.x);
                s.loadRows(data(dy), dy.offset() + at + t * channels, channels, width, count, s.dy);
                s.backward(i, count);
                s.hideInvalid(data(mask), offset(mask) + b * length + t, count, s.dx);
                s.storeRows(s.dx, data(dx), dx.offset() + at + t * channels, channels, width, count, addX);
            }
        }
        s.storeGradients(data(dcoefficients), dcoefficients.offset() + d, channels, width, addCoefficients);
        s.storeVector(s.domega, data(domega), domega.offset() + d, width, addOmega);
    }
}
