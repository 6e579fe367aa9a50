package megalodon4j.tensor.cuda;

import megalodon4j.tensor.cuda.SimulatedDevice.Order;

class CudaReversedOrderTest extends CudaContract {
    CudaReversedOrderTest() {
        super(Order.REVERSED);
    }
}
