package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Scope;
import megalodon4j.tensor.Tensor;

/** The complex EMA as a convolution. With capitals for spectra: Y = K X, dX = K̄ dY, dK = Σ over sequences of X̄ dY. */
final class EmaFft {
    private static final int EDGE = 32;
    private static final int THREADS = 256;

    private final Launcher launcher;
    private final EmaScan scan;

    EmaFft(Launcher launcher, EmaScan scan) {
        this.launcher = launcher;
        this.scan = scan;
    }

    // A power of two ≥ 2L: the convolution does not wrap around.
    private static int size(Tensor x) {
        int length = x.shape().size(1);
        return Math.max(2, Integer.highestOneBit(Math.max(1, 2 * length - 1)) * 2);
    }

    private static int frequencies(Tensor x) {
        return size(x) / 2 + 1;
    }

    void forward(Tensor x, Tensor mask, Tensor c, Tensor omega, Tensor y) {
        int batch = x.shape().size(0), channels = x.columns();
        try (var scope = launcher.scope()) {
            long k = spectrumOfKernel(scope, x, c), spectrum = spectrum(scope, x, mask);
            int frequencies = channels * frequencies(x);
            launcher.each("emafft.convolve", (long) batch * frequencies, (4L * batch + 2) * frequencies)
                    .ptr(k)
                    .ptr(spectrum)
                    .i32(batch)
                    .i32(frequencies)
                    .run();
            unpad(scope, spectrum, x, mask, omega, y, true, false);
        }
    }

    void backward(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor c,
            Tensor omega,
            Tensor dx,
            Tensor dc,
            Tensor domega,
            boolean addX,
            boolean addCoefficients,
            boolean addOmega) {
        int batch = x.shape().size(0), channels = x.columns(), frequencies = channels * frequencies(x);
        try (var scope = launcher.scope()) {
            long k = spectrumOfKernel(scope, x, c);
            long spectrum = spectrum(scope, x, mask), dSpectrum = spectrum(scope, dy, null);
            long dk = launcher.floats(scope, 2L * frequencies),
                    dkernel = launcher.floats(scope, (long) channels * size(x));
            launcher.each("emafft.convolveGrad", frequencies, (6L * batch + 4) * frequencies)
                    .ptr(k)
                    .ptr(spectrum)
                    .ptr(dSpectrum)
                    .ptr(dk)
                    .i32(batch)
                    .i32(frequencies)
                    .run();
            unpad(scope, dSpectrum, dy, mask, omega, dx, false, addX);
            launcher.device.fftInverse(size(x), channels, dk, dkernel);
            kernelGrad(dkernel, x, c, dc, addCoefficients);
        }
        scan.omegaGrad(dy, x, mask, domega, addOmega);
    }

    /** The spectrum (D, size / 2 + 1) of the convolution's kernel. */
    private long spectrumOfKernel(Scope scope, Tensor x, Tensor c) {
        int channels = x.columns(), size = size(x), states = c.shape().size(1);
        long kernel = launcher.floats(scope, (long) channels * size);
        launcher.each("emafft.convolutionKernel", Launcher.blocks(size, 16) * channels, (long) channels * size)
                .ptr(launcher.at(c))
                .ptr(kernel)
                .i32(x.shape().size(1))
                .i32(size)
                .i32(channels)
                .i32(states)
                .run();
        long spectrum = launcher.floats(scope, 2L * channels * frequencies(x));
        launcher.device.fftForward(size, channels, kernel, spectrum);
        return spectrum;
    }

    /** The spectra (B, D, size / 2 + 1) of all channels. */
    private long spectrum(Scope scope, Tensor x, Tensor mask) {
        int batch = x.shape().size(0), channels = x.columns(), size = size(x), rows = batch * channels;
        long padded = launcher.floats(scope, (long) rows * size);
        launcher.launch("emafft.pad", tiles(size, channels), batch, THREADS, x.elements() + (long) rows * size)
                .ptr(launcher.at(x))
                .ptr(launcher.at(mask))
                .ptr(padded)
                .i32(x.shape().size(1))
                .i32(size)
                .i32(channels)
                .run();
        long spectrum = launcher.floats(scope, 2L * rows * frequencies(x));
        launcher.device.fftForward(size, rows, padded, spectrum);
        return spectrum;
    }

    /** y (+)= what the spectrum is of + omega · x, for masked tokens only the first, and that only if it is kept. */
    private void unpad(
            Scope scope,
            long spectrum,
            Tensor x,
            Tensor mask,
            Tensor omega,
            Tensor y,
            boolean keepMasked,
            boolean add) {
        int batch = x.shape().size(0), length = x.shape().size(1), channels = x.columns(), size = size(x);
        long rows = launcher.floats(scope, (long) batch * channels * size);
        launcher.device.fftInverse(size, batch * channels, spectrum, rows);
        launcher.launch("emafft.unpad", tiles(length, channels), batch, THREADS, (3L + flag(add)) * x.elements())
                .ptr(rows)
                .ptr(launcher.at(x))
                .ptr(launcher.at(mask))
                .ptr(launcher.at(omega))
                .ptr(launcher.at(y))
                .i32(length)
                .i32(size)
                .i32(channels)
                .i32(flag(keepMasked))
                .i32(flag(add))
                .run();
    }

    private void kernelGrad(long dkernel, Tensor x, Tensor c, Tensor dc, boolean add) {
        int channels = x.columns(),
                length = x.shape().size(1),
                states = c.shape().size(1);
        launcher.warps("emafft.kernelGrad", (long) channels * states, (long) channels * states * length)
                .ptr(dkernel)
                .ptr(launcher.at(c))
                .ptr(launcher.at(dc))
                .i32(length)
                .i32(size(x))
                .i32(channels)
                .i32(states)
                .i32(flag(add))
                .run();
    }

    private static int tiles(int times, int channels) {
        return Math.toIntExact(Launcher.blocks(times, EDGE) * Launcher.blocks(channels, EDGE));
    }
}
