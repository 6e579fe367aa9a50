package megalodon4j.tensor.cuda;

import megalodon4j.tensor.cuda.SimulatedDevice.Order;

class CudaPermutedOrderTest extends CudaContract {
    CudaPermutedOrderTest() {
        super(Order.PERMUTED);
    }
}
