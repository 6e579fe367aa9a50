package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.cuda.Products.Operand;

/**
 * One GPU: its context, its one stream, its memory, its kernels, cuBLAS and cuFFT. All work is asynchronous, in the order of the calls.
 *
 * <p>Every call makes the context current on its thread and checks the return code. One thread at a time, except {@link #free}.
 */
final class Device implements AutoCloseable {
    /** Major compute capability. */
    static final int LEAST_CAPABILITY = 8;

    /** What cuBLAS wants on the larger GPUs. */
    private static final long WORKSPACE_BYTES = 32 << 20;

    private static final int CAST_BLOCK = 256;
    private static final int MOST_CAST_BLOCKS = 4096;

    private final Arena arena = Arena.ofShared();
    private final Out out = new Out(arena);
    private final Driver driver;
    private final int ordinal;
    private final int handle;
    private final String name;
    private final int[] capability;
    private final long context;
    private final long stream;
    private final Staging staging;
    private final Products products;
    private final Transforms transforms;
    private final Modules modules;
    private final Launch launch = new Launch(this, arena);
    private final Counters counters = new Counters();
    private final Scratch scratchA = new Scratch();
    private final Scratch scratchB = new Scratch();

    /** Undoes what the constructor and later calls have acquired, the latest first. */
    private final ArrayDeque<Runnable> releases = new ArrayDeque<>();

    /** Bytes by pointer. */
    private final HashMap<Long, Long> allocations = new HashMap<>();

    private final ConcurrentLinkedQueue<Long> freed = new ConcurrentLinkedQueue<>();
    private long allocatedBytes;
    private boolean capturing;

    private Device(Toolkit toolkit, int ordinal) {
        driver = toolkit.driver();
        this.ordinal = ordinal;
        try {
            driver.init.call(0);
            handle = find();
            name = driver.name(handle);
            capability = driver.capability(handle);
            requireCapability();
            context = retainContext();
            enter();
            keepFreedMemory();
            stream = createStream();
            staging = new Staging(driver, stream, out);
            releases.push(staging::close);
            products = new Products(toolkit.blas(), stream, take(WORKSPACE_BYTES), WORKSPACE_BYTES, arena);
            releases.push(products::close);
            transforms = new Transforms(toolkit.fft(), stream);
            releases.push(transforms::close);
            modules = new Modules(driver, toolkit.compiler(), 10 * capability[0] + capability[1]);
            releases.push(modules::unload);
        } catch (RuntimeException e) {
            releaseAll();
            throw e;
        }
    }

    /**
     * @param ordinal which of the machine's GPUs, from 0
     * @param home a folder with CUDA's libraries that goes before all others, nullable
     * @throws CudaException if a library is missing or there is no such GPU
     */
    static Device open(int ordinal, Path home) {
        return new Device(Toolkit.load(home), ordinal);
    }

    // --- opening and closing ----------------------------------------------------------------------------------------

    private int find() {
        driver.deviceGetCount.call(out.address());
        int count = out.integer();
        if (ordinal >= count) {
            throw new CudaException("no GPU " + ordinal + "; there are " + count + ", counted from 0");
        }
        driver.deviceGet.call(out.address(), ordinal);
        return out.integer();
    }

    private void requireCapability() {
        if (capability[0] < LEAST_CAPABILITY) {
            throw new CudaException("GPU " + ordinal + " (" + name + ") has compute capability "
                    + capability[0] + "." + capability[1] + "; needed: " + LEAST_CAPABILITY
                    + ".0 or more");
        }
    }

    private long retainContext() {
        driver.primaryContextRetain.call(out.address(), handle);
        releases.push(() -> driver.primaryContextRelease.call(handle));
        return out.pointer();
    }

    // Otherwise every synchronisation gives the pool's unused memory back to the system.
    private void keepFreedMemory() {
        driver.getDefaultPool.call(out.address(), handle);
        long pool = out.pointer();
        out.memory().set(ValueLayout.JAVA_LONG, 0, -1L); // the largest there is
        driver.poolSetAttribute.call(pool, Driver.POOL_RELEASE_THRESHOLD, out.address());
    }

    private long createStream() {
        driver.streamCreate.call(out.address(), Driver.STREAM_NON_BLOCKING);
        long created = out.pointer();
        releases.push(() -> driver.streamDestroy.call(created));
        releases.push(() -> driver.streamSynchronize.call(created));
        return created;
    }

    /** Memory of the device's own, given back when it is closed. */
    private long take(long bytes) {
        long pointer = request(bytes);
        releases.push(() -> driver.free.call(pointer, stream));
        return pointer;
    }

    /** Waits for all work and gives back everything but what {@link #allocate} has given out. */
    @Override
    public void close() {
        if (!releases.isEmpty()) {
            try {
                enter();
                freeAll();
                driver.streamSynchronize.call(stream);
            } finally {
                releaseAll();
            }
        }
    }

    // One failure must not keep the rest from being released.
    private void releaseAll() {
        CudaException failure = null;
        while (!releases.isEmpty()) {
            try {
                releases.pop().run();
            } catch (CudaException e) {
                failure = failure == null ? e : failure;
            }
        }
        arena.close();
        if (failure != null) {
            throw failure;
        }
    }

    private void enter() {
        driver.contextSetCurrent.call(context);
    }

    private void requireNoCapture(String what) {
        if (capturing) {
            throw new IllegalStateException("captured work cannot " + what + ": do it once before");
        }
    }

    /** As the driver calls it, for example {@code NVIDIA H100 80GB HBM3}. */
    String name() {
        return name;
    }

    /** Compute capability: major, minor. */
    int[] capability() {
        return capability.clone();
    }

    Counters counters() {
        return counters;
    }

    // --- memory -----------------------------------------------------------------------------------------------------

    /** Fresh memory, undefined contents. Not inside {@link #capture}. */
    long allocate(long bytes) {
        requireNoCapture("allocate memory");
        enter();
        freeAll();
        long pointer = request(bytes);
        allocations.put(pointer, bytes);
        allocatedBytes += bytes;
        return pointer;
    }

    private long request(long bytes) {
        int status = driver.allocate.status(out.address(), bytes, stream);
        if (status != 0) {
            var failure = driver.failure(
                    "%,d bytes, with %,d in use already of the GPU's %,d, could not be allocated: %s",
                    bytes, allocatedBytes, driver.totalMemory(handle), driver.explain(status));
            throw status == Driver.OUT_OF_MEMORY ? new CudaException.OutOfMemory(failure.getMessage()) : failure;
        }
        return out.pointer();
    }

    /** Gives memory back; from any thread. */
    void free(long pointer) {
        freed.add(pointer);
    }

    // Not in free itself, which may be called by another thread in the middle of a capture.
    private void freeAll() {
        for (var pointer = freed.poll(); pointer != null; pointer = freed.poll()) {
            var bytes = allocations.remove(pointer);
            if (bytes == null) {
                throw new IllegalArgumentException("free: 0x" + Long.toHexString(pointer) + " is not allocated");
            }
            driver.free.call(pointer, stream);
            allocatedBytes -= bytes;
        }
    }

    /** Bytes of {@link #allocate} that have not been freed. Not inside {@link #capture}. */
    long allocatedBytes() {
        requireNoCapture("free memory");
        enter();
        freeAll();
        return allocatedBytes;
    }

    /** Copies count numbers to the device; the array may be reused at return. Not inside {@link #capture}. */
    void upload(float[] from, int at, int count, long to) {
        upload(MemorySegment.ofArray(from), at, count, to);
    }

    /** {@link #upload(float[], int, int, long)} of ints. */
    void upload(int[] from, int at, int count, long to) {
        upload(MemorySegment.ofArray(from), at, count, to);
    }

    private void upload(MemorySegment from, int at, int count, long to) {
        requireNoCapture("upload");
        enter();
        long bytes = (long) count * Float.BYTES;
        staging.upload(from.asSlice((long) at * Float.BYTES, bytes), to);
        counters.copy(bytes);
    }

    /** Waits for all work and copies count numbers from the device. Not inside {@link #capture}. */
    void download(long from, float[] to, int at, int count) {
        requireNoCapture("download");
        enter();
        long bytes = (long) count * Float.BYTES;
        staging.download(from, MemorySegment.ofArray(to).asSlice((long) at * Float.BYTES, bytes));
        counters.copy(bytes);
    }

    /** Copies on the device; the two must not overlap. */
    void copy(long from, long to, long bytes) {
        enter();
        driver.copyOnDevice.call(to, from, bytes, stream);
        counters.copy(2 * bytes);
    }

    /** Writes count 32-bit words of the same bits. */
    void fill(long to, int bits, long count) {
        enter();
        driver.fill.call(to, bits, count, stream);
        counters.copy(Integer.BYTES * count);
    }

    // --- kernels ----------------------------------------------------------------------------------------------------

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
        if (!modules.has(name)) {
            requireNoCapture("load the kernel " + name);
        }
        enter();
        return launch.of(modules.get(name, sharedBytes), gridX, gridY, block, sharedBytes);
    }

    /** What {@link Launch#run} does. */
    void launch(Modules.Kernel kernel, int gridX, int gridY, int block, int sharedBytes, long arguments, long traffic) {
        enter();
        int status = driver.launchKernel.status(
                kernel.function, gridX, gridY, 1, block, 1, 1, sharedBytes, stream, arguments, 0);
        if (status != 0) {
            throw driver.failure(
                    "kernel %s in %d × %d blocks of %d threads with %d bytes of shared memory: %s",
                    kernel.name, gridX, gridY, block, sharedBytes, driver.explain(status));
        }
        counters.kernel(kernel.name, traffic);
    }

    // --- matrix products --------------------------------------------------------------------------------------------

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
        gemmBatched(precision, transposeA, transposeB, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);
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
        enter();
        var left = new Operand(a, Blas.FLOAT32, transposeA, lda, strideA);
        var right = new Operand(b, Blas.FLOAT32, transposeB, ldb, strideB);
        var result = new Operand(c, Blas.FLOAT32, false, ldc, strideC);
        if (precision == Precision.BF16) {
            left = cast(left, transposeA ? k : m, transposeA ? m : k, batch, scratchA);
            right = cast(right, transposeB ? n : k, transposeB ? k : n, batch, scratchB);
        }
        products.multiply(precision, m, n, k, alpha, left, right, beta, result, batch);
        long operandBytes = precision == Precision.BF16 ? Short.BYTES : Float.BYTES;
        long operands = (long) m * k + (long) k * n;
        long results = (beta == 0 ? 1L : 2L) * m * n;
        counters.product(2L * m * n * k * batch, batch * (operandBytes * operands + Float.BYTES * results));
    }

    /** The operand as bfloat16, packed. */
    private Operand cast(Operand x, int rows, int columns, int batch, Scratch scratch) {
        boolean shared = x.batchStride() == 0;
        long count = (long) rows * columns * (shared ? 1 : batch);
        long to = scratch.of(count * Short.BYTES);
        int blocks = (int) Math.min(MOST_CAST_BLOCKS, (count + CAST_BLOCK - 1) / CAST_BLOCK);
        kernel("cast.toBfloat16", blocks, 1, CAST_BLOCK, 0)
                .ptr(x.pointer())
                .ptr(to)
                .i32(rows)
                .i32(columns)
                .i32(x.rowStride())
                .i64(x.batchStride())
                .i64(count)
                .traffic(count * (Float.BYTES + Short.BYTES))
                .run();
        return new Operand(to, Blas.BFLOAT16, x.transposed(), columns, shared ? 0 : (long) rows * columns);
    }

    /** Working memory that grows. What it grew out of is kept, since captured work may use it. */
    private final class Scratch {
        private long pointer;
        private long capacity;

        long of(long bytes) {
            if (bytes > capacity) {
                requireNoCapture("need more working memory than before");
                capacity = Math.max(bytes, 2 * capacity);
                pointer = take(capacity);
            }
            return pointer;
        }
    }

    // --- Fourier transforms -----------------------------------------------------------------------------------------

    /**
     * Rows of n reals, packed, to rows of n / 2 + 1 complex numbers (re, im), unnormalised. The first use of (n, batch) not inside {@link
     * #capture}.
     */
    void fftForward(int n, int batch, long real, long complex) {
        enter();
        transforms.forward(n, batch, real, complex);
        counters.transform(transformBytes(n, batch));
    }

    /** The way back, n times too large. The complex numbers are lost. The first use of (n, batch) not inside {@link #capture}. */
    void fftInverse(int n, int batch, long complex, long real) {
        enter();
        transforms.inverse(n, batch, complex, real);
        counters.transform(transformBytes(n, batch));
    }

    private static long transformBytes(int n, int batch) {
        return (n + 2L * (n / 2 + 1)) * batch * Float.BYTES;
    }

    // --- order ------------------------------------------------------------------------------------------------------

    /** Waits for all work; reports what went wrong in it. */
    void synchronize() {
        requireNoCapture("wait");
        enter();
        driver.streamSynchronize.call(stream);
    }

    /**
     * Records what work would do, without doing it. Everything in it must have been used before, so that all is compiled, planned and allocated;
     * inside, only kernels, products, transforms, copies and fills on the device are allowed.
     */
    Graph capture(Runnable work) {
        requireNoCapture("capture");
        enter();
        driver.beginCapture.call(stream, Driver.CAPTURE_THREAD_LOCAL);
        capturing = true;
        try {
            work.run();
        } catch (RuntimeException e) {
            discardCapture();
            throw e;
        }
        capturing = false;
        driver.endCapture.call(stream, out.address());
        long graph = out.pointer();
        try {
            driver.graphInstantiate.call(out.address(), graph, 0);
            return new Graph(this, out.pointer());
        } finally {
            driver.graphDestroy.call(graph);
        }
    }

    // The status does not matter: why the work failed is known already.
    private void discardCapture() {
        capturing = false;
        if (driver.endCapture.status(stream, out.address()) == 0 && out.pointer() != 0) {
            driver.graphDestroy.call(out.pointer());
        }
    }

    /** What {@link Graph#launch} does. */
    void launch(long executable) {
        enter();
        driver.graphLaunch.call(executable, stream);
        counters.graph();
    }

    /** What {@link Graph#close} does. */
    void destroy(long executable) {
        enter();
        driver.graphExecDestroy.call(executable);
    }
}
