package megalodon4j.tensor.cuda;

import megalodon4j.tensor.cuda.SimulatedDevice.Order;

class CudaForwardOrderTest extends CudaContract {
    CudaForwardOrderTest() {
        super(Order.FORWARD);
    }
}
