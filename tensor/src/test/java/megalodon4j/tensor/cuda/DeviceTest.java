package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.cuda.SimulatedDevice.Order;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A device does what it says, on the simulated one. */
class DeviceTest {
    private final SplittableRandom random = new SplittableRandom(7);
    private final List<Long> allocated = new ArrayList<>();
    private Device device;

    @BeforeEach
    void open() {
        device = Device.open(0, SimulatedDevice.home());
    }

    /** Whatever a test did, everything can be given back. */
    @AfterEach
    void close() {
        allocated.forEach(device::free);
        assertEquals(0, device.allocatedBytes());
        device.close();
        device.close(); // has no effect
        assertEquals(0, SimulatedDevice.outstanding());
    }

    // --- memory -----------------------------------------------------------------------------------------------------

    @Test
    void saysWhatItIs() {
        assertEquals("simulated device", device.name());
        assertArrayEquals(new int[] {9, 0}, device.capability());
    }

    @Test
    void copiesThereAndBack() {
        // More than all of the staging memory, and not a multiple of its slots.
        int n = 5 * Staging.SLOT_BYTES / Float.BYTES + 123;
        var numbers = random(n + 7);
        var expected = Arrays.copyOfRange(numbers, 7, n + 7);
        long a = allocate(n);
        long b = allocate(n);
        device.upload(numbers, 7, n, a);
        Arrays.fill(numbers, Float.NaN); // the array may be reused at once
        device.copy(a, b, (long) n * Float.BYTES);
        var back = new float[n + 3];
        device.download(b, back, 3, n);
        assertArrayEquals(expected, Arrays.copyOfRange(back, 3, n + 3));
    }

    @Test
    void fillsWithWords() {
        long x = allocate(10);
        device.fill(x, 0, 10);
        device.fill(x + 8, Float.floatToRawIntBits(2.5f), 3);
        assertArrayEquals(new float[] {0, 0, 2.5f, 2.5f, 2.5f, 0, 0, 0, 0, 0}, download(x, 10));
    }

    @Test
    void uploadsInts() {
        long x = allocate(4);
        device.upload(new int[] {9, 1, -2, 3, 9}, 1, 3, x);
        var back = download(x, 3);
        assertEquals(List.of(1, -2, 3), List.of(bits(back[0]), bits(back[1]), bits(back[2])));
    }

    private static int bits(float x) {
        return Float.floatToRawIntBits(x);
    }

    @Test
    void countsWhatIsAllocated() throws InterruptedException {
        long a = device.allocate(1000);
        long b = device.allocate(24);
        assertEquals(1024, device.allocatedBytes());
        var other = new Thread(() -> device.free(a)); // such as a Cleaner's
        other.start();
        other.join();
        assertEquals(24, device.allocatedBytes());
        device.free(b);
        assertEquals(0, device.allocatedBytes());
        device.free(b);
        assertThrows(IllegalArgumentException.class, device::allocatedBytes);
    }

    /** The context is current on the thread that opened the device; every call must see to that on its own. */
    @Test
    void everyCallMayBeTheFirstOfItsThread() throws InterruptedException {
        long x = upload(1, 2, 3, 4);
        long y = allocate(8);
        scale(x, 1, 4); // so that it is loaded
        var graph = device.capture(() -> scale(x, 3, 4));
        onNewThread(() -> scale(x, 2, 4));
        onNewThread(() -> assertArrayEquals(new float[] {2, 4, 6, 8}, download(x, 4)));
        onNewThread(() -> device.upload(new float[] {5, 6}, 0, 2, x));
        onNewThread(() -> device.copy(x, y, 16));
        onNewThread(() -> device.fill(x, 0, 1));
        onNewThread(() -> device.gemm(Precision.BF16, false, false, 2, 2, 2, 1, x, 2, x, 2, 0, y, 2));
        onNewThread(() -> device.fftForward(4, 1, x, y));
        onNewThread(() -> device.fftInverse(4, 1, y, x));
        onNewThread(graph::launch);
        onNewThread(device::synchronize);
        onNewThread(graph::close);
        onNewThread(() -> device.capture(() -> scale(x, 2, 4)).close());
        onNewThread(() -> device.free(device.allocate(4)));
        onNewThread(device::allocatedBytes);
    }

    private static void onNewThread(Runnable work) throws InterruptedException {
        var failure = new Throwable[1];
        var thread = new Thread(work);
        thread.setUncaughtExceptionHandler((_, e) -> failure[0] = e);
        thread.start();
        thread.join();
        if (failure[0] != null) {
            throw new AssertionError(failure[0]);
        }
    }

    // --- kernels ----------------------------------------------------------------------------------------------------

    @Test
    void argumentsArriveAsWhatTheyAre() {
        long to = allocate(10);
        device.kernel("probe.arguments", 5, 3, 64, 0)
                .ptr(to)
                .ptr(0x123456789abcL)
                .i32(-4)
                .i64(-5_000_000_000L)
                .f32(-0.75f)
                .run();
        var words = download(to, 10);
        long[] expected = {0x123456789abcL, -4, -5_000_000_000L, bits(-0.75f), 5_003_064};
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], bits(words[2 * i + 1]) * (1L << 32) + Integer.toUnsignedLong(bits(words[2 * i])));
        }
    }

    @ParameterizedTest
    @EnumSource
    void threadsMeetInAnyOrder(Order order) {
        SimulatedDevice.order(order);
        var x = random(6 * 192);
        var expected = new float[6];
        for (int i = 0; i < x.length; i++) {
            expected[i / 192] += x[i];
        }
        long sums = allocate(6);
        device.kernel("probe.blockSums", 6, 1, 192, 0).ptr(upload(x)).ptr(sums).run();
        assertArrayEquals(expected, download(sums, 6), 1e-4f);

        long shifted = allocate(6 * 192);
        device.kernel("probe.shift", 6, 1, 192, 192 * Float.BYTES)
                .ptr(upload(x))
                .ptr(shifted)
                .run();
        for (int i = 0; i < x.length; i++) {
            expected = download(shifted, 6 * 192);
            assertEquals(i % 192 == 0 ? 0 : x[i - 1], expected[i]);
        }
        SimulatedDevice.order(Order.FORWARD);
    }

    @Test
    void asksForMoreSharedMemory() {
        int bytes = 200 << 10;
        device.kernel("probe.writeShared", 1, 1, 32, bytes).i32(bytes / 4 - 1).run();
        device.synchronize();
        var tooMuch = assertThrows(CudaException.class, () -> device.kernel("probe.writeShared", 1, 1, 32, 300 << 10));
        assertTrue(tooMuch.getMessage().contains("cuFuncSetAttribute"), tooMuch::getMessage);
    }

    @ParameterizedTest
    @ValueSource(ints = {103, 135}) // between two that the compiler knows, and newer than all
    void anUnknownDeviceGetsPtx(int capability) {
        SimulatedDevice.capability(capability);
        try (var newer = Device.open(0, SimulatedDevice.home())) {
            newer.kernel("probe.writeShared", 1, 1, 32, 64).i32(0).run();
            newer.synchronize();
        } finally {
            SimulatedDevice.capability(90);
        }
    }

    // --- products ---------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @EnumSource
    void multiplies(Precision precision) {
        for (int i = 0; i < 16; i++) {
            product(precision, (i & 1) != 0, (i & 2) != 0, (i & 4) == 0 ? 0 : 0.5f, (i & 8) == 0 ? 1 : 3);
        }
    }

    /** Rows further apart than they are long, several products at once, against sums in double. */
    private void product(Precision precision, boolean transposeA, boolean transposeB, float beta, int batch) {
        int m = random.nextInt(1, 30);
        int n = random.nextInt(1, 30);
        int k = random.nextInt(1, 60);
        int lda = (transposeA ? m : k) + 3;
        int ldb = (transposeB ? k : n) + 1;
        int ldc = n + 2;
        int strideA = lda * (transposeA ? k : m) + 5;
        int strideB = ldb * (transposeB ? n : k);
        int strideC = ldc * m + 1;
        var a = random(batch * strideA);
        var b = random(batch * strideB);
        var c = random(batch * strideC);
        long result = upload(c);
        if (batch == 1) {
            device.gemm(
                    precision, transposeA, transposeB, m, n, k, 2, upload(a), lda, upload(b), ldb, beta, result, ldc);
        } else {
            device.gemmBatched(
                    precision,
                    transposeA,
                    transposeB,
                    m,
                    n,
                    k,
                    2,
                    upload(a),
                    lda,
                    strideA,
                    upload(b),
                    ldb,
                    strideB,
                    beta,
                    result,
                    ldc,
                    strideC,
                    batch);
        }
        var actual = download(result, c.length);
        for (int i = 0; i < batch * m * n; i++) {
            int row = i / n % m;
            int column = i % n;
            double sum = 0;
            double size = 0;
            for (int l = 0; l < k; l++) {
                double x = a[i / (m * n) * strideA + (transposeA ? l * lda + row : row * lda + l)];
                double y = b[i / (m * n) * strideB + (transposeB ? column * ldb + l : l * ldb + column)];
                sum += x * y;
                size += Math.abs(x * y);
            }
            int at = i / (m * n) * strideC + row * ldc + column;
            double expected = 2 * sum + (beta == 0 ? 0 : beta * c[at]);
            assertEquals(expected, actual[at], 2 * size * rounding(precision) + 1e-6);
            c[at] = actual[at];
        }
        assertArrayEquals(c, actual); // nothing else was written
    }

    /** The most that two rounded factors may be off, relative to their product. */
    private static double rounding(Precision precision) {
        return switch (precision) {
            case FP32 -> 1e-6;
            case TF32 -> 0x1p-10;
            case BF16 -> 0x1p-7;
        };
    }

    @Test
    void roundsToBfloat16() {
        float[] x = {1, 1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 1 + 0x1.01p-8f, -0x1p-130f, Float.MAX_VALUE, Float.NaN};
        float[] expected = {1, 1, 1 + 0x1p-6f, 1 + 0x1p-7f, -0x1p-130f, Float.POSITIVE_INFINITY, Float.NaN};
        long to = allocate(x.length);
        device.gemm(Precision.BF16, false, false, x.length, 1, 1, 1, upload(x), 1, upload(1), 1, 0, to, 1);
        assertArrayEquals(expected, download(to, x.length));
    }

    // --- Fourier transforms -----------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 15, 24, 64})
    void transforms(int n) {
        int batch = 3;
        int bins = n / 2 + 1;
        var x = random(batch * n);
        long real = upload(x);
        long complex = allocate(batch * bins * 2);
        device.fftForward(n, batch, real, complex);
        var actual = download(complex, batch * bins * 2);
        for (int i = 0; i < batch * bins; i++) {
            double re = 0;
            double im = 0;
            for (int t = 0; t < n; t++) {
                re += x[i / bins * n + t] * Math.cos(-2 * Math.PI * t * (i % bins) / n);
                im += x[i / bins * n + t] * Math.sin(-2 * Math.PI * t * (i % bins) / n);
            }
            assertEquals(re, actual[2 * i], 1e-4);
            assertEquals(im, actual[2 * i + 1], 1e-4);
        }
        device.fftInverse(n, batch, complex, real);
        var back = download(real, batch * n);
        for (int i = 0; i < back.length; i++) {
            assertEquals(x[i], back[i] / n, 1e-6);
        }
    }

    // --- captured work ----------------------------------------------------------------------------------------------

    @ParameterizedTest
    @EnumSource
    void capturedWorkRunsAgain(Precision precision) {
        long x = upload(1, 2, 3, 4);
        long y = upload(1, 0, 0, 1);
        long z = allocate(4);
        Runnable work = () -> {
            device.gemm(precision, false, true, 2, 2, 2, 1, x, 2, y, 2, 0, z, 2);
            scale(z, 3, 4);
            device.copy(z, x, 4 * Float.BYTES);
            device.fill(z, 0, 4);
        };
        work.run();
        assertArrayEquals(new float[] {3, 6, 9, 12}, download(x, 4));
        try (var graph = device.capture(work)) {
            assertArrayEquals(new float[] {3, 6, 9, 12}, download(x, 4)); // recorded, not done
            graph.launch();
            graph.launch();
            assertArrayEquals(new float[] {27, 54, 81, 108}, download(x, 4));
        }
    }

    @Test
    void whatCannotBeCapturedIsRefused() {
        long x = upload(1, 2);
        refused("allocate memory", () -> device.allocate(8));
        refused("free memory", device::allocatedBytes);
        refused("upload", () -> device.upload(new float[2], 0, 2, x));
        refused("download", () -> download(x, 2));
        refused("wait", device::synchronize);
        refused("load the kernel probe.scale", () -> scale(x, 2, 2));
        refused("working memory", () -> device.gemm(Precision.BF16, false, false, 1, 1, 1, 1, x, 1, x, 1, 0, x, 1));
        assertArrayEquals(new float[] {1, 2}, download(x, 2));
    }

    private void refused(String what, Runnable work) {
        var e = assertThrows(IllegalStateException.class, () -> device.capture(work));
        assertTrue(e.getMessage().contains(what), e::getMessage);
    }

    @Test
    void afterFailedWorkTheDeviceGoesOn() {
        long x = upload(1, 2);
        scale(x, 2, 2);
        assertThrows(
                ArithmeticException.class,
                () -> device.capture(() -> {
                    scale(x, 10, 2);
                    throw new ArithmeticException();
                }));
        scale(x, 2, 2);
        assertArrayEquals(new float[] {4, 8}, download(x, 2));
    }

    // --- counting and errors ----------------------------------------------------------------------------------------

    @Test
    void countsWork() {
        long x = upload(random(12));
        long y = allocate(20);
        device.counters().reset();
        device.kernel("probe.scale", 1, 1, 32, 0)
                .ptr(x)
                .f32(1)
                .i32(12)
                .traffic(96)
                .run();
        device.gemm(Precision.FP32, false, false, 2, 4, 3, 1, x, 3, x, 4, 1, y, 4);
        device.gemmBatched(Precision.TF32, false, false, 1, 2, 3, 1, x, 3, 3, x, 2, 0, 0, y, 2, 2, 2);
        device.fftForward(6, 2, x, y);
        device.fill(y, 0, 5);
        var counters = device.counters();
        assertEquals(Map.of("probe.scale", 1L), counters.kernels());
        assertEquals(2, counters.products());
        assertEquals(2 * 2 * 4 * 3 + 2 * 2 * 2 * 3, counters.productFlops());
        assertEquals(1, counters.transforms());
        assertEquals(1, counters.copies());
        assertEquals(5, counters.launches());
        assertEquals(96 + 4 * (6 + 12 + 16) + 2 * 4 * (3 + 6 + 2) + 4 * 2 * (6 + 8) + 20, counters.bytes());
    }

    @Test
    void errorsNameCallCodeAndArguments() {
        failure(() -> device.fill(64, 1, 3), "cuMemsetD32Async(0x40, 1, 3, 0x", "CUDA_ERROR_INVALID_VALUE (");
        failure(() -> device.allocate(0), "0 bytes", "CUDA_ERROR_INVALID_VALUE");
        failure(
                () -> device.allocate(1L << 50),
                "1,125,899,906,842,624 bytes, with 0 in use already of the GPU's 1,099,511,627,776",
                "CUDA_ERROR_OUT_OF_MEMORY");
        assertThrows(CudaException.OutOfMemory.class, () -> device.allocate(1L << 50));
        failure(
                () -> device.kernel("probe.writeShared", 1, 2, 2048, 8).i32(0).run(),
                "kernel probe.writeShared in 1 × 2 blocks of 2048 threads with 8 bytes",
                "CUDA_ERROR_INVALID_VALUE");
        failure(() -> device.kernel("probe.none", 1, 1, 1, 0), "cuModuleGetFunction", "CUDA_ERROR_NOT_FOUND");
        failure(
                () -> device.gemm(Precision.FP32, false, false, 2, 2, 2, 1, 64, 2, 64, 2, 0, 64, 2),
                "libcublas.so.13: cublasGemmEx(",
                "CUBLAS_STATUS_INVALID_VALUE");
        failure(() -> device.fftForward(-4, 1, 0, 0), "cufftPlanMany", "CUFFT_INVALID_VALUE");
        failure(() -> Device.open(1, SimulatedDevice.home()), "no GPU 1; there are 1, counted from 0");
        assertThrows(IllegalArgumentException.class, () -> device.kernel("none.at_all", 1, 1, 1, 0));
    }

    @ParameterizedTest
    @CsvSource({"75, compute capability 7.5; needed: 8.0 or more"})
    void anOldDeviceIsRefused(int capability, String message) {
        SimulatedDevice.capability(capability);
        try {
            failure(() -> Device.open(0, SimulatedDevice.home()), message);
        } finally {
            SimulatedDevice.capability(90);
        }
    }

    @Test
    void aWrongKernelIsShownWithTheCompilersMessage() {
        var compiler = Toolkit.load(SimulatedDevice.home()).compiler();
        failure(() -> compiler.compile("wrong.cu", "nonsense;", compiler.options(90)), "wrong.cu", "nonsense");
    }

    private static void failure(Runnable work, String... parts) {
        var e = assertThrows(CudaException.class, work::run);
        for (var part : parts) {
            assertTrue(e.getMessage().contains(part), e::getMessage);
        }
    }

    // ----------------------------------------------------------------------------------------------------------------

    private void scale(long x, float factor, int n) {
        device.kernel("probe.scale", (n + 31) / 32, 1, 32, 0)
                .ptr(x)
                .f32(factor)
                .i32(n)
                .run();
    }

    private long allocate(int count) {
        long pointer = device.allocate((long) count * Float.BYTES);
        allocated.add(pointer);
        return pointer;
    }

    private long upload(float... numbers) {
        long pointer = allocate(numbers.length);
        device.upload(numbers, 0, numbers.length, pointer);
        return pointer;
    }

    private float[] download(long from, int count) {
        var to = new float[count];
        device.download(from, to, 0, count);
        return to;
    }

    private float[] random(int count) {
        var numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) random.nextDouble(-1, 1);
        }
        return numbers;
    }
}
