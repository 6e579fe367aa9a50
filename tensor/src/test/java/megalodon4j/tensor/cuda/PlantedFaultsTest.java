package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
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

    private Device device;
    private Driver driver;

    @BeforeEach
    void open() {
        device = Device.open(0, SimulatedDevice.home());
        driver = Toolkit.load(SimulatedDevice.home()).driver();
    }

    @AfterEach
    void close() {
        SimulatedDevice.order(Order.FORWARD);
        device.close();
        assertEquals(0, SimulatedDevice.outstanding());
    }

    // --- threads that do not wait -----------------------------------------------------------------------------------

    @Test
    void theRightKernelIsRightInAllOrders() {
        assertEquals(EnumSet.allOf(Order.class), ordersThatSucceed("probe.shift"));
    }

    @Test
    void aMissingBarrierAfterAWriteShows() {
        // In one order alone it would pass: each thread reads what the one before it has written.
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
        fails("cuStreamSynchronize", device::synchronize);
        fails("cuStreamSynchronize", device::close); // and the context has failed for good
    }

    @Test
    void aShuffleWithoutAPartnerFails() {
        long x = device.allocate(4 * 32);
        device.kernel("probe.shuffleForSome", 1, 1, 32, 0).ptr(x).run();
        fails("cuStreamSynchronize", device::synchronize);
    }
}
