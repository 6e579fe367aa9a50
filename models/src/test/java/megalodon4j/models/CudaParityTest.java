package megalodon4j.models;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.cuda.SimulatedDevice;

/** On the simulated device. */
class CudaParityTest extends ParityContract {
    @Override
    Backend device() {
        return Backend.cuda(0, SimulatedDevice.home(), Precision.FP32);
    }
}
