package megalodon4j.tensor.cuda;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.BackendContract;
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
        backend = TestDevice.open();
    }

    @BeforeEach
    void setOrder() {
        TestDevice.order(order);
    }

    @Override
    public Backend backend() {
        return backend;
    }

    @AfterAll
    void close() {
        TestDevice.close(backend);
        TestDevice.order(Order.FORWARD);
    }
}
