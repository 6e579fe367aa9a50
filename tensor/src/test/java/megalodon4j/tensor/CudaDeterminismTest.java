package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import megalodon4j.tensor.cuda.SimulatedDevice.Order;
import megalodon4j.tensor.cuda.TestDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Results do not depend on the order in which blocks and threads run, bit by bit. */
class CudaDeterminismTest {
    private static Map<String, float[]> forward;

    @ParameterizedTest
    @EnumSource(Order.class)
    void ordersMakeNoDifference(Order order) {
        if (forward == null) {
            forward = in(Order.FORWARD);
        }
        var got = in(order);
        assertEquals(forward.keySet(), got.keySet());
        forward.forEach((name, bits) -> assertArrayEquals(bits, got.get(name), name));
    }

    private static Map<String, float[]> in(Order order) {
        var backend = TestDevice.open();
        try {
            TestDevice.order(order);
            return EveryOperation.run(backend, EveryOperation.Sizes.LARGE);
        } finally {
            TestDevice.close(backend);
        }
    }

    @AfterEach
    void restoreOrder() {
        TestDevice.order(Order.FORWARD);
    }
}
