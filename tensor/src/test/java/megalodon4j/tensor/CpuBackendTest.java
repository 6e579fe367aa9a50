package megalodon4j.tensor;

import org.junit.jupiter.api.AfterAll;

/** The CPU does what every backend must. */
class CpuBackendTest extends BackendContract {
    private final Backend backend = Backend.cpu(2);

    @Override
    public Backend backend() {
        return backend;
    }

    @AfterAll
    void close() {
        backend.close();
    }
}
