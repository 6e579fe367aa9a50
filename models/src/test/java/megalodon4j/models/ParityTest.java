package megalodon4j.models;

import megalodon4j.tensor.Backend;

class ParityTest extends ParityContract {
    @Override
    Backend device() {
        return Backend.cpu(2);
    }
}
