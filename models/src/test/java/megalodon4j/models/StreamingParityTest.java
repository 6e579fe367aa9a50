package megalodon4j.models;

import megalodon4j.tensor.Backend;

class StreamingParityTest extends StreamingParityContract {
    @Override
    Backend device() {
        return Backend.cpu(2);
    }
}
