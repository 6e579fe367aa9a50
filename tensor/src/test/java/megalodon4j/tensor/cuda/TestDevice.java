package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.cuda.SimulatedDevice.Order;

/** The device that tests of the backend run on: the simulated one, or with {@code -Dmegalodon.cuda=real} the machine's first GPU. */
public final class TestDevice {
    private static final boolean REAL = "real".equals(System.getProperty("megalodon.cuda"));

    private TestDevice() {}

    /** CUDA's home; null for the one that is installed. */
    public static Path home() {
        return REAL ? null : SimulatedDevice.home();
    }

    public static CudaBackend open() {
        return new CudaBackend(0, home(), Precision.FP32);
    }

    /** A real device has an order of its own. */
    public static void order(Order order) {
        if (!REAL) {
            SimulatedDevice.order(order);
        }
    }

    /** Closes the backend, which must give back all that it was given. */
    public static void close(CudaBackend backend) {
        assertEquals(0, backend.outstanding(), "tensors that were not given back");
        backend.close();
        if (!REAL) {
            assertEquals(0, SimulatedDevice.outstanding(), "what the device gave out and did not get back");
        }
    }
}
