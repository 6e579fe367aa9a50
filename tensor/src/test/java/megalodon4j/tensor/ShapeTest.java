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

    @Test
    void theLargestShapeIsOneThatAnArrayHolds() {
        int most = Shape.MOST_ELEMENTS;
        assertEquals((1L << 31) - (1 << 16), most);
        assertEquals(most, Shape.of(most).elements());
        assertEquals(most, Shape.of(1 << 15, 2, most >> 16).elements());
        for (int more : new int[] {most + 1, Integer.MAX_VALUE - 1, Integer.MAX_VALUE}) {
            assertThrows(IllegalArgumentException.class, () -> Shape.of(more));
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
                    error.getMessage().startsWith("sizes other than 0 multiply to more than 2^31 - 2^16: ["),
                    error.getMessage());
        }
        assertTrue(assertThrows(IllegalArgumentException.class, () -> Shape.of(0, -1))
                .getMessage()
                .startsWith("a size must not be negative"));
    }
}
