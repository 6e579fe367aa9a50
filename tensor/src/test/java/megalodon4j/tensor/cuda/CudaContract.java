package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.BackendContract;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.cuda.SimulatedDevice.Order;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;

/** CUDA does what every backend must, on the simulated device, in one order of blocks and threads. */
abstract class CudaContract extends BackendContract {
    private final Order order;
    private CudaBackend backend;

    CudaContract(Order order) {
        this.order = order;
    }

    @BeforeAll
    void open() {
        backend = new CudaBackend(0, SimulatedDevice.home(), Precision.FP32);
    }

    @BeforeEach
    void setOrder() {
        SimulatedDevice.order(order);
    }

    @Override
    public Backend backend() {
        return backend;
    }

    @AfterAll
    void close() {
        backend.close();
        assertEquals(0, SimulatedDevice.outstanding(), "what the device gave out and did not get back");
        SimulatedDevice.order(Order.FORWARD);
    }
}
