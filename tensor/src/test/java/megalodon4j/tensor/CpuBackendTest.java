package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The CPU does what every backend must. */
class CpuBackendTest extends BackendContract {
    private final Backend backend = Backend.cpu(2);

    @Override
    public Backend backend() {
        return backend;
    }

    /** A heap of that size would hold them; that of the tests does not. */
    @ParameterizedTest
    @ValueSource(ints = {Shape.MOST_ELEMENTS, Shape.MOST_ELEMENTS / 16 * 15 + 100_000})
    void memoryThatIsNotThereIsAnOutOfMemoryError(int elements) {
        assumeTrue(Runtime.getRuntime().maxMemory() < 4L * elements, "a smaller heap is needed");
        assertThrows(OutOfMemoryError.class, () -> backend.tensor(elements));
        long before = backend.pooledBytes();
        try (var scope = backend.scope()) {
            assertThrows(OutOfMemoryError.class, () -> scope.tensor(elements));
        }
        assertEquals(0, backend.outstanding());
        assertEquals(before, backend.pooledBytes());
    }

    @AfterAll
    void close() {
        backend.close();
    }
}
