package megalodon4j.models;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.cuda.TestDevice;

class CudaStreamingParityTest extends StreamingParityContract {
    @Override
    Backend device() {
        return TestDevice.open();
    }
}
