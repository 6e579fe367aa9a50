package megalodon4j.tensor.fft;

import org.jtransforms.fft.FloatFFT_1D;
import org.jtransforms.utils.CommonUtils;

/**
 * The Fourier transform of real sequences whose length is a power of two, by JTransforms; one thread, thread-safe, in place.
 *
 * <p>A spectrum of length n is packed as JTransforms does: a[0] = Re X₀, a[1] = Re X_{n/2}, a[2k] = Re X_k, a[2k+1] = Im X_k.
 */
public final class RealFft {
    static {
        // For long sequences JTransforms would start threads of its own beside ours, and those keep the JVM alive.
        CommonUtils.setThreadsBeginN_1D_FFT_2Threads(Long.MAX_VALUE);
        CommonUtils.setThreadsBeginN_1D_FFT_4Threads(Long.MAX_VALUE);
    }

    private final FloatFFT_1D fft;
    private final int length;

    /** @param length a power of two ≥ 2 */
    public RealFft(int length) {
        if (length < 2 || Integer.bitCount(length) != 1) {
            throw new IllegalArgumentException("the length must be a power of two of at least 2, got " + length);
        }
        this.length = length;
        fft = new FloatFFT_1D(length);
    }

    public int length() {
        return length;
    }

    /** Transforms a[at … at + length). */
    public void forward(float[] a, int at) {
        fft.realForward(a, at);
    }

    /** Transforms back, divided by the length. */
    public void inverse(float[] a, int at) {
        fft.realInverse(a, at, true);
    }

    /** a = a · b, or a · conj(b), spectrum by spectrum. */
    public void multiply(float[] a, int at, float[] b, int bt, boolean conjugate) {
        a[at] *= b[bt];
        a[at + 1] *= b[bt + 1];
        float sign = conjugate ? -1 : 1;
        for (int i = 2; i < length; i += 2) {
            float ar = a[at + i], ai = a[at + i + 1], br = b[bt + i], bi = sign * b[bt + i + 1];
            a[at + i] = ar * br - ai * bi;
            a[at + i + 1] = ar * bi + ai * br;
        }
    }
}
