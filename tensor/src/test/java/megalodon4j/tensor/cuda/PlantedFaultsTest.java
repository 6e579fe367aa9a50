package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumSet;
import java.util.stream.IntStream;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.cuda.SimulatedDevice.Order;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The simulated device finds the faults that tests on it are to find. */
class PlantedFaultsTest {
    private static final int THREADS = 64;
    private static final float[] POISON = {Float.NaN, Float.NaN, Float.NaN};

    private final Arena arena = Arena.ofConfined();
    private final Out out = new Out(arena);
    private Driver driver;
    private long context;
    private long stream;
    private Device device;

    /** A device, and beside it a stream of its own to do what a {@link Device} would not. */
    @BeforeEach
    void open() {
        device = Device.open(0, SimulatedDevice.home());
        driver = Toolkit.load(SimulatedDevice.home()).driver();
        driver.primaryContextRetain.call(out.address(), 0);
        context = out.pointer();
        driver.streamCreate.call(out.address(), Driver.STREAM_NON_BLOCKING);
        stream = out.pointer();
    }

    @AfterEach
    void close() {
        SimulatedDevice.order(Order.FORWARD);
        driver.contextSetCurrent.call(context);
        driver.streamDestroy.status(stream); // fails where the context has failed
        device.close();
        driver.primaryContextRelease.call(0);
        assertEquals(0, SimulatedDevice.outstanding());
        arena.close();
    }

    // --- threads that do not wait for each other --------------------------------------------------------------------

    @Test
    void theRightKernelIsRightInAllOrders() {
        assertEquals(EnumSet.allOf(Order.class), ordersThatSucceed("probe.shift"));
    }

    /** In the first order alone it would pass: each thread reads what the one before it has written just now. */
    @Test
    void aMissingBarrierAfterAWriteShows() {
        assertEquals(EnumSet.of(Order.FORWARD), ordersThatSucceed("probe.shiftTooEarly"));
    }

    @Test
    void aMissingBarrierBeforeAWriteShows() {
        assertEquals(EnumSet.of(Order.REVERSED), ordersThatSucceed("probe.shiftInPlace"));
    }

    private EnumSet<Order> ordersThatSucceed(String kernel) {
        var succeed = EnumSet.noneOf(Order.class);
        for (var order : Order.values()) {
            SimulatedDevice.order(order);
            if (shifts(kernel)) {
                succeed.add(order);
            }
        }
        return succeed;
    }

    private boolean shifts(String kernel) {
        var x = new float[THREADS];
        IntStream.range(0, THREADS).forEach(i -> x[i] = i + 1);
        long from = device.allocate(4L * THREADS);
        long to = device.allocate(4L * THREADS);
        device.upload(x, 0, THREADS, from);
        device.kernel(kernel, 1, 1, THREADS, 4 * THREADS).ptr(from).ptr(to).run();
        var y = new float[THREADS];
        device.download(to, y, 0, THREADS);
        device.free(from);
        device.free(to);
        return IntStream.range(0, THREADS).allMatch(i -> y[i] == i);
    }

    @Test
    void aBarrierThatSomeHaveLeftFails() {
        device.kernel("probe.barrierForSome", 1, 1, 32, 0).run();
        assertFailsForGood();
    }

    @Test
    void aShuffleWithoutAPartnerFails() {
        long x = device.allocate(4 * 32);
        device.kernel("probe.shuffleForSome", 1, 1, 32, 0).ptr(x).run();
        assertFailsForGood();
    }

    // --- what lies beyond -------------------------------------------------------------------------------------------

    @Test
    void aWriteBehindAnAllocationFails() {
        long x = device.allocate(4 * 5);
        device.kernel("probe.writeAt", 1, 1, 1, 0).ptr(x).i32(5).run();
        assertFailsForGood();
    }

    @Test
    void aWriteBehindSharedMemoryFails() {
        device.kernel("probe.writeShared", 1, 1, 1, 4 * 5).i32(5).run();
        assertFailsForGood();
    }

    /** As on a real device, nothing works in the context any more, until all have let go of it. */
    private void assertFailsForGood() {
        for (Runnable call : new Runnable[] {device::synchronize, device::synchronize}) {
            var e = assertThrows(CudaException.class, call::run);
            assertTrue(e.getMessage().contains("CUDA_ERROR_LAUNCH_FAILED"), e::getMessage);
        }
        assertThrows(CudaException.class, device::close);
    }

    @Test
    void freshAndFreedMemoryIsNotANumber() {
        long x = device.allocate(4 * 3);
        assertArrayEquals(POISON, download(x));
        device.fill(x, 0, 3);
        device.free(x);
        assertEquals(0, device.allocatedBytes());
        device.synchronize();
        assertArrayEquals(POISON, Memory.at(x, 12).toArray(ValueLayout.JAVA_FLOAT));
    }

    private float[] download(long from) {
        var to = new float[3];
        device.download(from, to, 0, 3);
        return to;
    }

    // --- too early --------------------------------------------------------------------------------------------------

    @Test
    void aReadBeforeTheCopyCompletesIsNotANumber() {
        long x = device.allocate(4 * 3);
        device.upload(new float[] {1, 2, 3}, 0, 3, x);
        device.synchronize();
        var to = pinned();
        driver.copyToHost.call(to.address(), x, 12, stream);
        assertArrayEquals(POISON, to.toArray(ValueLayout.JAVA_FLOAT));
        driver.streamSynchronize.call(stream);
        assertArrayEquals(new float[] {1, 2, 3}, to.toArray(ValueLayout.JAVA_FLOAT));
        driver.freeHost.call(to.address());
        device.free(x);
    }

    @Test
    void aSourceThatIsReusedBeforeTheCopyCompletesShows() {
        long x = device.allocate(4 * 3);
        device.synchronize();
        var from = pinned();
        from.fill((byte) 0);
        driver.copyToDevice.call(x, from.address(), 12, stream);
        from.setAtIndex(ValueLayout.JAVA_FLOAT, 1, 5);
        driver.streamSynchronize.call(stream);
        assertArrayEquals(new float[] {0, 5, 0}, download(x));
        driver.freeHost.call(from.address());
        device.free(x);
    }

    private MemorySegment pinned() {
        driver.allocateHost.call(out.address(), 12, 0);
        return Memory.at(out.pointer(), 12);
    }

    // --- contexts, products, captures, leaks ------------------------------------------------------------------------

    @Test
    void aThreadWithoutAContextIsRefused() throws InterruptedException {
        int[] status = new int[1];
        var thread = new Thread(() -> status[0] = driver.streamSynchronize.status(stream));
        thread.start();
        thread.join();
        assertEquals("CUDA_ERROR_INVALID_CONTEXT (simulated)", driver.explain(status[0]));
    }

    @Test
    void aWrongLeadingDimensionShows() {
        long x = device.allocate(4 * 6);
        device.upload(new float[] {1, 2, 3, 4, 5, 6}, 0, 6, x);
        long y = device.allocate(4 * 4);
        // (2, 3) times (3, 2): rows cannot be closer than they are long, nor reach beyond what is there.
        for (int lda : new int[] {2, 4}) {
            var e = assertThrows(
                    CudaException.class,
                    () -> device.gemm(Precision.FP32, false, false, 2, 2, 3, 1, x, lda, x, 2, 0, y, 2));
            assertTrue(e.getMessage().contains("CUBLAS_STATUS_INVALID_VALUE"), e::getMessage);
        }
        // Within these limits it gives other numbers: the first column of (2, 2) times (2, 1), with rows 3 apart and 2.
        assertArrayEquals(new float[] {7, 19}, product(x, 3, y));
        assertArrayEquals(new float[] {7, 15}, product(x, 2, y));
        device.free(x);
        device.free(y);
    }

    private float[] product(long x, int lda, long y) {
        device.gemm(Precision.FP32, false, false, 2, 1, 2, 1, x, lda, x, 2, 0, y, 1);
        var result = new float[2];
        device.download(y, result, 0, 2);
        return result;
    }

    @Test
    void aCaptureThatWaitsIsLost() {
        driver.beginCapture.call(stream, Driver.CAPTURE_THREAD_LOCAL);
        assertEquals(
                "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (simulated)",
                driver.explain(driver.streamSynchronize.status(stream)));
        assertEquals(
                "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED (simulated)",
                driver.explain(driver.endCapture.status(stream, out.address())));
    }

    @Test
    void whatIsNotGivenBackCounts() {
        long before = SimulatedDevice.outstanding();
        long x = device.allocate(100);
        assertEquals(before + 1, SimulatedDevice.outstanding());
        driver.eventCreate.call(out.address(), 0);
        long event = out.pointer();
        assertEquals(before + 2, SimulatedDevice.outstanding());
        device.free(x);
        assertEquals(0, device.allocatedBytes());
        driver.eventDestroy.call(event);
        assertEquals(before, SimulatedDevice.outstanding());
    }
}
