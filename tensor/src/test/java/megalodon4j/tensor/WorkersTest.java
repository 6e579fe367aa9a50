package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkersTest {
    /** Jobs of a few items follow each other so fast that helpers come late to most of them. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 8})
    void everyItemIsComputedOnceBeforeRunReturns(int threads) {
        try (var workers = new Workers(threads)) {
            assertEquals(threads, workers.count());
            for (int job = 0; job < 3_000; job++) {
                everyItemIsComputedOnce(workers, job % 17);
            }
        }
    }

    private static void everyItemIsComputedOnce(Workers workers, int items) {
        var times = new AtomicIntegerArray(items);
        workers.run(items, (item, worker) -> {
            assertTrue(worker >= 0 && worker < workers.count());
            times.incrementAndGet(item);
        });
        for (int item = 0; item < items; item++) {
            assertEquals(1, times.get(item), "item " + item + " of " + items);
        }
    }

    /** What an item writes without any synchronisation, the caller reads after the job. */
    @Test
    void theCallerSeesWhatWasWritten() {
        try (var workers = new Workers(3)) {
            var squares = new int[50];
            for (int job = 1; job < 2_000; job++) {
                int factor = job;
                workers.run(squares.length, (item, _) -> squares[item] = factor * item);
                for (int i = 0; i < squares.length; i++) {
                    assertEquals(factor * i, squares[i]);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5})
    void aFailureReachesTheCallerAndTheTeamGoesOn(int threads) {
        var broken = new IllegalArgumentException("broken");
        try (var workers = new Workers(threads)) {
            for (int job = 0; job < 500; job++) {
                int bad = job % 7;
                var thrown = assertThrows(
                        IllegalArgumentException.class,
                        () -> workers.run(20, (item, _) -> {
                            if (item % 7 == bad) {
                                throw broken;
                            }
                        }));
                assertSame(broken, thrown);
                everyItemIsComputedOnce(workers, 20);
            }
        }
    }

    /** Whoever catches it looks for what it is, not for what it is wrapped in. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5})
    void anErrorReachesTheCallerAsWell(int threads) {
        var broken = new OutOfMemoryError("broken");
        try (var workers = new Workers(threads)) {
            var thrown = assertThrows(
                    OutOfMemoryError.class,
                    () -> workers.run(20, (_, _) -> {
                        throw broken;
                    }));
            assertSame(broken, thrown);
            everyItemIsComputedOnce(workers, 20);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void oneThreadAtATime(int threads) throws InterruptedException {
        try (var workers = new Workers(threads)) {
            var refused = new AtomicReference<Throwable>();
            workers.run(1, (_, _) -> {
                var other = Thread.ofPlatform().start(() -> {
                    try {
                        workers.run(1, (_, _) -> {});
                    } catch (IllegalStateException e) {
                        refused.set(e);
                    }
                });
                try {
                    other.join();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            });
            assertTrue(
                    refused.get().getMessage().contains(Thread.currentThread().getName()), "" + refused);
            everyItemIsComputedOnce(workers, 20);
        }
    }

    @Test
    void nothingRunsAfterTheEnd() {
        var workers = new Workers(2);
        workers.close();
        assertThrows(IllegalStateException.class, () -> workers.run(1, (_, _) -> {}));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void aLoopInsideALoopIsRefused(int threads) {
        try (var workers = new Workers(threads)) {
            assertThrows(IllegalStateException.class, () -> workers.run(4, (_, _) -> workers.run(4, (_, _) -> {})));
            assertThrows(IllegalStateException.class, () -> workers.run(1, (_, _) -> workers.run(1, (_, _) -> {})));
            everyItemIsComputedOnce(workers, 20);
        }
    }
}
