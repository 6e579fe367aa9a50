package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.TestTensors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Work that is recorded and replayed does what it would do anew, bit by bit. */
class RepeatedWorkTest {
    private static final int TOKENS = 6;

    private CudaBackend backend;

    @BeforeEach
    void open() {
        backend = TestDevice.open();
    }

    @AfterEach
    void close() {
        TestDevice.close(backend);
    }

    /** A look-up and a product forward and backward, with what comes from the host, pooled memory and accumulation. */
    private final class Model {
        final int[] ids = new int[TOKENS];
        final int[] labels = new int[TOKENS];
        final Tensor table = TestTensors.tensor(backend, 1, 9, 7);
        final Tensor head = TestTensors.tensor(backend, 2, 5, 7);
        final Tensor dTable = backend.tensor(9, 7);
        final Tensor dHead = backend.tensor(5, 7);
        final Tensor losses = backend.tensor(TOKENS);
        int calls;

        void step() {
            calls++;
            try (var scope = backend.scope()) {
                Tensor x = scope.tensor(TOKENS, 7), logits = scope.tensor(TOKENS, 5), loss = scope.tensor(TOKENS);
                Tensor dx = scope.tensor(TOKENS, 7);
                backend.embedding(ids, table, 2, x);
                backend.linear(x, head, null, null, logits);
                backend.crossEntropy(logits, labels, 0.1f, loss, logits);
                backend.add(1, loss, losses);
                backend.matmul(false, false, logits, head, dx);
                backend.matmul(true, false, logits, x, dHead);
                backend.embeddingGrad(dx, ids, -1, 2, dTable);
            }
        }

        /** A step of three micro-batches; what has been accumulated. */
        float[][] run(Runnable microStep, int seed) {
            for (var x : new Tensor[] {dTable, dHead, losses}) {
                x.makeBlank();
            }
            for (int part = 0; part < 3; part++) {
                for (int i = 0; i < TOKENS; i++) {
                    ids[i] = (seed + part * 5 + i * i) % 9;
                    labels[i] = (seed + part + i) % 5;
                }
                microStep.run();
            }
            backend.add(-0.1f, dTable, table);
            return new float[][] {losses.toArray(), dHead.toArray(), table.toArray()};
        }
    }

    @Test
    void everyStepIsTheOneDoneAnew() {
        Model plain = new Model(), replayed = new Model();
        var microStep = backend.repeated(replayed::step);
        for (int seed = 0; seed < 4; seed++) {
            assertArrayEquals(plain.run(plain::step, seed), replayed.run(microStep, seed), "step " + seed);
        }
        // Each of the two states, blank and filled, is rehearsed and recorded once.
        assertEquals(4, replayed.calls);
    }

    @Test
    void pooledMemoryThatIsFreedIsNotUsed() {
        Model plain = new Model(), replayed = new Model();
        var microStep = backend.repeated(replayed::step);
        for (int seed = 0; seed < 4; seed++) {
            assertArrayEquals(plain.run(plain::step, seed), replayed.run(microStep, seed), "step " + seed);
            backend.trim();
        }
    }

    /** What is recorded uses memory that a scope around it may hold. */
    @Test
    void insideOfAnotherScopeNothingIsReplayed() {
        Model plain = new Model(), replayed = new Model();
        var microStep = backend.repeated(replayed::step);
        for (int seed = 0; seed < 3; seed++) {
            assertArrayEquals(plain.run(plain::step, seed), replayed.run(microStep, seed));
        }
        try (var scope = backend.scope()) {
            var held = scope.tensor(TOKENS, 7).set(TestTensors.floats(TestTensors.normal(3, TOKENS * 7)));
            var before = held.toArray();
            assertArrayEquals(plain.run(plain::step, 5), replayed.run(microStep, 5));
            assertArrayEquals(before, held.toArray());
        }
    }

    /** The collector must not take what a recording still reads. */
    @Test
    void memoryOfARecordingStaysReachable() throws InterruptedException {
        var held = new Tensor[] {TestTensors.tensor(backend, 1, 100), TestTensors.tensor(backend, 1, 5000)};
        var sum = backend.tensor(100);
        var work = backend.repeated(() -> {
            if (held[0] != null) {
                backend.add(1, held[0], sum);
            }
        });
        for (int i = 0; i < 3; i++) {
            work.run();
        }
        var three = sum.toArray();
        long bytes = backend.device().allocatedBytes();
        java.util.Arrays.fill(held, null);
        for (int wait = 0; wait < 500 && backend.device().allocatedBytes() >= bytes; wait++) {
            System.gc();
            Thread.sleep(10);
            backend.tensor(1); // looks for what is unreachable
        }
        assertTrue(backend.device().allocatedBytes() < bytes, "the other tensor is freed");
        work.run();
        var four = sum.toArray();
        for (int i = 0; i < 100; i++) {
            assertEquals(three[i] * 4 / 3, four[i], 1e-5 * Math.abs(four[i]));
        }
    }

    /** What is dropped is another thing for each sequence, so that nothing of it can be recorded. */
    @Test
    void workThatDropsIsDoneAnew() {
        var x = TestTensors.tensor(backend, 1, 2, 3, 10);
        Tensor y = backend.tensor(2, 3, 10), want = backend.tensor(2, 3, 10);
        var sequence = new long[1];
        var work = backend.repeated(() -> backend.dropout(new Dropout(0.5, 7, sequence[0], 3), x, y));
        for (; sequence[0] < 8; sequence[0] += 2) {
            work.run();
            backend.dropout(new Dropout(0.5, 7, sequence[0], 3), x, want);
            assertArrayEquals(want.toArray(), y.toArray());
        }
    }

    @Test
    void workThatReadsBackIsRefused() {
        var x = TestTensors.tensor(backend, 1, 10);
        var work = backend.repeated(() -> backend.sum(x));
        work.run();
        assertThrows(IllegalStateException.class, work::run);
        assertEquals(backend.sum(x), backend.sum(x)); // the backend goes on
    }

    @Test
    void theCpuDoesItAnew() {
        var calls = new int[1];
        try (var cpu = Backend.cpu(1)) {
            var work = cpu.repeated(() -> calls[0]++);
            for (int i = 0; i < 3; i++) {
                work.run();
            }
        }
        assertEquals(3, calls[0]);
    }
}
