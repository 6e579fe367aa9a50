package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PoolTest {
    /** Every size that a shape may have, by storages that hold nothing. */
    @ParameterizedTest
    @ValueSource(
            ints = {
                0,
                1,
                64,
                65,
                1 << 20,
                (1 << 30) - 1,
                1 << 30,
                (1 << 30) + 1,
                Shape.MOST_ELEMENTS - 1,
                Shape.MOST_ELEMENTS
            })
    void memoryOfAnySizeComesBack(int elements) {
        var pool = new Pool(capacity -> new Storage(capacity) {});
        var storage = pool.take(elements);
        assertTrue(storage.capacity() >= elements && storage.capacity() <= Shape.MOST_ELEMENTS);
        assertTrue(storage.capacity() <= Math.max(64, elements * 1.25), "little is wasted");
        pool.giveBack(storage);
        assertSame(storage, pool.take(elements));
        assertEquals(1, pool.outstanding());
        assertEquals(storage.capacity(), pool.allocatedFloats());
    }
}
