package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Tensors as memory: blank ones, views, scopes and the pool behind them. */
interface MemoryContract extends Contract {
    @Test
    default void aNewTensorIsBlankAndCountsAsZero() {
        var x = backend().tensor(2, 3);
        assertTrue(x.isBlank());
        assertArrayEquals(new float[6], x.toArray());
        assertThrows(IllegalStateException.class, () -> x.reshape(Shape.of(6)));
        assertThrows(IllegalStateException.class, () -> x.slice(0, 1));
        x.set(1, 2, 3, 4, 5, 6);
        assertFalse(x.isBlank());
        x.makeBlank();
        assertArrayEquals(new float[6], x.toArray());
        backend().zero(x);
        assertFalse(x.isBlank());
        assertArrayEquals(new float[6], x.toArray());
    }

    @Test
    default void theFirstGradientIsWrittenAndTheNextAreAdded() {
        Tensor x = backend().tensor(3).set(1, 2, 3), y = backend().tensor(3).set(9, 9, 9);
        y.makeBlank();
        backend().add(2, x, y);
        assertArrayEquals(new float[] {2, 4, 6}, y.toArray());
        backend().add(2, x, y);
        assertArrayEquals(new float[] {4, 8, 12}, y.toArray());
    }

    @Test
    default void viewsShareTheirElements() {
        var x = backend().tensor(3, 2).set(1, 2, 3, 4, 5, 6);
        var last = x.slice(1, 3);
        assertEquals(Shape.of(2, 2), last.shape());
        assertArrayEquals(new float[] {3, 4, 5, 6}, last.toArray());
        last.reshape(Shape.of(4)).set(7, 8, 9, 10);
        assertArrayEquals(new float[] {1, 2, 7, 8, 9, 10}, x.toArray());
        assertArrayEquals(new float[0], x.slice(3, 3).toArray());
        assertThrows(IndexOutOfBoundsException.class, () -> x.slice(2, 4));
        assertThrows(IllegalArgumentException.class, () -> x.reshape(Shape.of(5)));
        assertThrows(IllegalArgumentException.class, () -> x.set(1, 2));
    }

    @Test
    default void aScopeGivesAllBack() {
        for (int round = 0; round < 2; round++) {
            try (var scope = backend().scope()) {
                var x = scope.tensor(5, 7);
                assertTrue(x.isBlank(), "pooled memory counts as zero");
                assertArrayEquals(new float[35], x.toArray());
                backend().zero(x);
                x.set(TestTensors.floats(TestTensors.normal(1, 35)));
                scope.tensor(0);
                scope.tensor();
                assertEquals(3, backend().outstanding());
            }
            assertEquals(0, backend().outstanding());
        }
    }

    @Test
    default void aClearedScopeTakesTheSameMemoryForOtherShapes() {
        try (var scope = backend().scope()) {
            for (var shape : List.of(Shape.of(2, 3, 70), Shape.of(2, 3, 70), Shape.of(3, 2, 70), Shape.of(420))) {
                for (int columns : List.of(shape.columns(), 64)) {
                    var x = scope.tensor(shape, columns);
                    assertEquals(shape.withColumns(columns), x.shape());
                    assertTrue(x.isBlank(), "memory used before counts as zero");
                    backend().zero(x);
                }
                assertEquals(2, backend().outstanding());
                scope.clear();
                assertEquals(0, backend().outstanding());
            }
            var halfway = Shape.of(1 << 16, 1);
            assertThrows(IllegalArgumentException.class, () -> scope.tensor(halfway, 1 << 15));
            assertEquals(Shape.of(), scope.tensor(Shape.of(), 1).shape());
            assertThrows(IllegalArgumentException.class, () -> scope.tensor(Shape.of(), 2));
        }
    }

    @Test
    default void theSameScopeAgainAllocatesNothing() {
        backend().trim();
        assertEquals(0, backend().pooledBytes());
        takeSome();
        long peak = backend().pooledBytes();
        assertTrue(peak >= 4 * (1_000 + 10 + 333 * 20) && peak < 1.2 * 4 * (1_000 + 64 + 333 * 20), "peak " + peak);
        takeSome();
        assertEquals(peak, backend().pooledBytes());
        backend().trim();
        assertEquals(0, backend().pooledBytes());
    }

    private void takeSome() {
        try (var scope = backend().scope()) {
            scope.tensor(1_000);
            scope.tensor(10);
            scope.release(scope.tensor(333, 20));
            try (var inner = backend().scope()) {
                inner.tensor(333, 20);
                assertEquals(3, backend().outstanding());
            }
        }
    }

    @Test
    default void aScopeIsClosedOnce() {
        var scope = backend().scope();
        scope.tensor(3);
        scope.close();
        scope.close();
        assertThrows(IllegalStateException.class, () -> scope.tensor(3));
        try (var one = backend().scope()) {
            var x = one.tensor(4).set(1, 2, 3, 4);
            try (var two = backend().scope()) {
                two.tensor(4);
            }
            try (var three = backend().scope()) {
                three.tensor(4).set(9, 9, 9, 9);
                assertArrayEquals(new float[] {1, 2, 3, 4}, x.toArray());
            }
        }
        assertEquals(0, backend().outstanding());
    }

    @Test
    default void whatIsBlankIsNoInput() {
        Tensor blank = backend().tensor(3), y = backend().tensor(3);
        assertThrows(IllegalStateException.class, () -> backend().add(1, blank, y));
        assertThrows(
                IllegalStateException.class,
                () -> backend().silu(y, blank, backend().tensor(3)));
    }

    @Test
    default void whatIsReleasedIsReleasedOnce() {
        try (var scope = backend().scope();
                var other = backend().scope()) {
            var x = scope.tensor(100);
            assertThrows(IllegalArgumentException.class, () -> other.release(x));
            scope.release(x);
            assertEquals(0, backend().outstanding());
            assertThrows(IllegalArgumentException.class, () -> scope.release(x));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> scope.release(backend().tensor(3)));
            assertEquals(0, backend().outstanding());
        }
    }
}
