package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ShapeTest {
    @Test
    void aShapeMayBeEmpty() {
        for (var sizes : new int[][] {{0}, {0, 1 << 20}, {1 << 20, 0, 1 << 10}, {1 << 20, 1 << 10, 0}, {0, 0}}) {
            var shape = Shape.of(sizes);
            assertEquals(0, shape.elements());
            assertEquals(0, shape.rows() * shape.columns());
            assertTrue(shape.rows() >= 0);
        }
    }

    /** Whatever the order of the sizes. */
    @Test
    void whatIsTooLargeIsTooLargeWhenEmpty() {
        for (var sizes : new int[][] {
            {1 << 16, 1 << 16},
            {1 << 16, 1 << 16, 0},
            {1 << 16, 0, 1 << 16},
            {0, 1 << 16, 1 << 16},
            {1 << 30, 1 << 30, 1 << 30, 0}
        }) {
            var error = assertThrows(IllegalArgumentException.class, () -> Shape.of(sizes));
            assertTrue(
                    error.getMessage().startsWith("sizes other than 0 multiply to more than 2^31 - 1: ["),
                    error.getMessage());
        }
        assertTrue(assertThrows(IllegalArgumentException.class, () -> Shape.of(0, -1))
                .getMessage()
                .startsWith("a size must not be negative"));
    }
}
