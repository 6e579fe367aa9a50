package megalodon4j.tensor.cuda;

import java.nio.file.Path;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Precision;

/**
 * One GPU: its context, its one stream, its memory, its kernels, cuBLAS and cuFFT. All work is asynchronous, in the order of the calls.
 *
 * <p>Every call makes the context current on its thread and checks the return code. One thread at a time, except {@link #free}.
 */
final class Device implements AutoCloseable {
    private Device() {}

    /**
     * @param ordinal which of the machine's GPUs, from 0
     * @param home a folder with CUDA's libraries that goes before all others, nullable
     * @throws CudaException if a library is missing or there is no such GPU
     */
    static Device open(int ordinal, Path home) {
        throw new UnsupportedOperationException();
    }

    /** As the driver calls it, for example {@code NVIDIA H100 80GB HBM3}. */
    String name() {
        throw new UnsupportedOperationException();
    }

    /** Compute capability: major, minor. */
    int[] capability() {
        throw new UnsupportedOperationException();
    }

    /** Fresh memory, undefined contents. Not inside {@link #capture}. */
    long allocate(long bytes) {
        throw new UnsupportedOperationException();
    }

    /** Gives memory back; from any thread. */
    void free(long pointer) {
        throw new UnsupportedOperationException();
    }

    /** Bytes of {@link #allocate} that have not been freed. */
    long allocatedBytes() {
        throw new UnsupportedOperationException();
    }

    /** Copies count numbers to the device; the array may be reused at return. Not inside {@link #capture}. */
    void upload(float[] from, int at, int count, long to) {
        throw new UnsupportedOperationException();
    }

    /** {@link #upload(float[], int, int, long)} of ints. */
    void upload(int[] from, int at, int count, long to) {
        throw new UnsupportedOperationException();
    }

    /** Waits for all work and copies count numbers from the device. Not inside {@link #capture}. */
    void download(long from, float[] to, int at, int count) {
        throw new UnsupportedOperationException();
    }

    /** Copies on the device; the two must not overlap. */
    void copy(long from, long to, long bytes) {
        throw new UnsupportedOperationException();
    }

    /** Writes count 32-bit words of the same bits. */
    void fill(long to, int bits, long count) {
        throw new UnsupportedOperationException();
    }

    /**
     * A launch of a kernel, to be given its arguments in order and then run. There is one Launch object, used again by every call.
     *
     * @param name file and function: {@code norms.rmsNorm} is {@code extern "C" __global__ void rmsNorm(…)} in the resource norms.cu,
     *     compiled at its first use with common.cuh in front
     * @param gridX blocks, at least 1
     * @param gridY blocks, at least 1, at most 65535
     * @param block threads of a block
     * @param sharedBytes of dynamic shared memory; more than 48 KB are asked for as needed
     */
    Launch kernel(String name, int gridX, int gridY, int block, int sharedBytes) {
        throw new UnsupportedOperationException();
    }

    /** C (m, n) = alpha · op(A) (m, k) · op(B) (k, n) + beta · C. Row-major; ld… is the distance of stored rows. */
    void gemm(
            Precision precision,
            boolean transposeA,
            boolean transposeB,
            int m,
            int n,
            int k,
            float alpha,
            long a,
            int lda,
            long b,
            int ldb,
            float beta,
            long c,
            int ldc) {
        throw new UnsupportedOperationException();
    }

    /** {@link #gemm} for every i in [0, batch), with A at a + i·strideA floats, and so on. */
    void gemmBatched(
            Precision precision,
            boolean transposeA,
            boolean transposeB,
            int m,
            int n,
            int k,
            float alpha,
            long a,
            int lda,
            long strideA,
            long b,
            int ldb,
            long strideB,
            float beta,
            long c,
            int ldc,
            long strideC,
            int batch) {
        throw new UnsupportedOperationException();
    }

    /** Rows of n reals, packed, to rows of n / 2 + 1 complex numbers (re, im), unnormalised. The first use of (n, batch) not inside {@link #capture}. */
    void fftForward(int n, int batch, long real, long complex) {
        throw new UnsupportedOperationException();
    }

    /** The way back, n times too large. The complex numbers are lost. */
    void fftInverse(int n, int batch, long complex, long real) {
        throw new UnsupportedOperationException();
    }

    /** Waits for all work; reports what went wrong in it. */
    void synchronize() {
        throw new UnsupportedOperationException();
    }

    /**
     * Records what work would do, without doing it. Everything in it must have been used before, so that all is compiled, planned and allocated;
     * inside, only kernels, products, transforms, copies and fills on the device are allowed.
     */
    Graph capture(Runnable work) {
        throw new UnsupportedOperationException();
    }

    Counters counters() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
}
