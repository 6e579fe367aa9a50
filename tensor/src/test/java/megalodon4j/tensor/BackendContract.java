package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.TestInstance;

/**
 * What every backend must do, whatever it runs on: each operation, forward and backward, agrees with the Reference
 * classes on random ragged shapes, with every argument that may be absent present and absent, and with gradients that
 * are blank and filled.
 *
 * <p>A backend is tested by extending this class. Tolerances are relative to the size of what is summed, see {@link
 * Trial#TOLERANCE}.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class BackendContract
        implements ElementwiseContract,
                DropoutContract,
                ProductsContract,
                NormsContract,
                AttentionContract,
                EmaContract,
                TokensContract,
                MemoryContract,
                ErrorsContract,
                WrongTensorsContract {
    @Override
    public abstract Backend backend();

    @AfterEach
    void nothingIsOutstanding() {
        assertEquals(0, backend().outstanding());
    }
}
