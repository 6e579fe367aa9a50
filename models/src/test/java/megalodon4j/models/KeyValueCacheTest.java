package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The last entries, in order, in memory that a window bounds. */
class KeyValueCacheTest {
    private static final int KEY = 2;
    private static final int VALUE = 3;

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 64, 100, Integer.MAX_VALUE})
    void holdsTheLastEntries(int most) {
        try (var backend = Backend.cpu(1)) {
            for (int batch = 1; batch <= 3; batch++) {
                var random = new Random(most + batch);
                var cache = new KeyValueCache(backend, batch, KEY, VALUE, most);
                for (int step = 0, fed = 0; step < 120; step++) {
                    int added = 1 + random.nextInt(Math.min(most, random.nextBoolean() ? 2 : 30));
                    int more = fed == 0 ? 3 : 0; // at the beginning some that are left out
                    var k = entries(backend, batch, fed - more, added + more, KEY);
                    cache.append(k, entries(backend, batch, fed - more, added + more, VALUE), added);
                    fed += added;
                    assertEquals(Math.min(fed, most), cache.count());
                    assertEntries(cache, fed, KEY, cache.keys(), 0);
                    assertEntries(cache, fed, VALUE, cache.values(), 0);
                    if (step % 10 == 0) {
                        var last = cache.select(batch - 1);
                        assertEntries(last, fed, KEY, last.keys(), batch - 1);
                    }
                }
                if (most <= 100) {
                    int bound = (batch * 2 + 1) * Math.max(64, most);
                    assertTrue(cache.keys().storage().capacity() <= bound * KEY);
                }
            }
        }
    }

    private static float entry(int b, int t, int i) {
        return b * 100_000 + t * 10 + i;
    }

    private static Tensor entries(Backend backend, int batch, int from, int count, int width) {
        var x = new float[batch * count * width];
        for (int i = 0; i < x.length; i++) {
            x[i] = entry(i / (count * width), from + i / width % count, i % width);
        }
        return backend.tensor(batch, count, width).set(x);
    }

    private static void assertEntries(KeyValueCache cache, int fed, int width, Tensor got, int firstRow) {
        var all = got.toArray();
        int stride = got.shape().size(1) * width;
        for (int b = 0; b < got.shape().size(0); b++) {
            for (int i = 0; i < cache.count() * width; i++) {
                int t = fed - cache.count() + i / width;
                assertEquals(entry(firstRow + b, t, i % width), all[b * stride + i]);
            }
        }
    }
}
