package megalodon4j.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Philox;
import megalodon4j.tensor.Shape;
import org.junit.jupiter.api.Test;

/** The tape as an owner of memory. */
class TapeTest {
    private static final int[] IDS = {3, 1, 4, 1, 5, 2};
    private static final int[] LABELS = {1, 4, 1, 5, 2, 0};

    /** What an earlier pass has left, of whatever shapes, is not seen by a later one. */
    @Test
    void aClearedTapeIsANewOne() {
        try (var backend = Backend.cpu(1)) {
            var random = new Philox(7, 0);
            var parameters = new Parameters(backend);
            var table = parameters.add("table", Shape.of(6, 8), Initial.normal(random, 1));
            var w = parameters.add("w", Shape.of(6, 8), Initial.normal(random, 1));
            float[] one, two;
            try (var tape = Tape.training(backend)) {
                one = gradient(tape, table, w, 1);
            }
            try (var tape = Tape.training(backend)) {
                two = gradient(tape, table, w, 2);
            }
            try (var tape = Tape.training(backend)) {
                for (int depth = 1; depth <= 4; depth++) {
                    parameters.zeroGrad();
                    assertArrayEquals(depth % 2 == 1 ? one : two, gradient(tape, table, w, 2 - depth % 2));
                    tape.clear();
                    assertEquals(0, backend.outstanding());
                }
            }
        }
    }

    @Test
    void backwardStartsFromALossOfItsTape() {
        try (var backend = Backend.cpu(1);
                var tape = Tape.training(backend);
                var other = Tape.training(backend)) {
            var x = tape.constant(backend.tensor(1, 6, 6).set(new float[36]));
            var y = Ops.silu(x, null);
            assertThrows(IllegalArgumentException.class, () -> tape.backward(y));
            var loss = Ops.crossEntropy(y, LABELS, 1);
            assertThrows(IllegalArgumentException.class, () -> other.backward(loss));
            tape.backward(loss);
        }
    }

    /** Who computes the gradient of a loss of their own by the logits gets those of the parameters. */
    @Test
    void backwardStartsFromAGradientOfAnyResult() {
        try (var backend = Backend.cpu(1)) {
            var random = new Philox(7, 0);
            var parameters = new Parameters(backend);
            var table = parameters.add("table", Shape.of(6, 8), Initial.normal(random, 1));
            var w = parameters.add("w", Shape.of(6, 8), Initial.normal(random, 1));
            float[] want;
            try (var tape = Tape.training(backend)) {
                want = gradient(tape, table, w, 2);
            }
            table.grad().makeBlank();
            try (var tape = Tape.training(backend)) {
                var logits = logits(tape, table, w, 2);
                var dlogits = backend.tensor(logits.shape());
                backend.crossEntropy(logits.value(), LABELS, 1, backend.tensor(2, 3), dlogits);
                var value = logits.value().toArray();
                assertThrows(IllegalArgumentException.class, () -> tape.backward(logits, backend.tensor(6, 6)));
                tape.backward(logits, dlogits);
                assertArrayEquals(want, table.grad().toArray());
                assertArrayEquals(value, logits.value().toArray());
            }
            assertEquals(0, backend.outstanding());
        }
    }

    @Test
    void aTapeGoesBackOnce() {
        try (var backend = Backend.cpu(1)) {
            var tape = Tape.training(backend);
            var y = Ops.silu(tape.constant(backend.tensor(6, 6).set(new float[36])), null);
            var loss = Ops.crossEntropy(y, LABELS, 1);
            tape.backward(loss);
            var e = assertThrows(IllegalStateException.class, () -> tape.backward(loss));
            assertEquals("backward: this tape has gone back already; clear it, or open another one", e.getMessage());
            tape.close();
            assertThrows(IllegalStateException.class, () -> tape.tensor(3));
            assertEquals(0, backend.outstanding());
        }
    }

    @Test
    void argumentsOfTwoTapesAreRefused() {
        try (var backend = Backend.cpu(1);
                var tape = Tape.training(backend);
                var other = Tape.training(backend)) {
            var x = Ops.silu(tape.constant(backend.tensor(6, 6).set(new float[36])), null);
            var y = Ops.silu(other.constant(backend.tensor(6, 6).set(new float[36])), null);
            var loss = Ops.crossEntropy(Ops.multiply(x, y), LABELS, 1);
            assertThrows(IllegalStateException.class, () -> tape.backward(loss));
        }
    }

    @Test
    void nothingIsComputedFromALoss() {
        try (var backend = Backend.cpu(1);
                var tape = Tape.training(backend)) {
            var x = tape.constant(backend.tensor(6, 6).set(new float[36]));
            var scaled = Ops.addScaled(x, 0.5f, Ops.silu(x, null));
            var loss = Ops.crossEntropy(scaled, LABELS, 1);
            var again = Ops.crossEntropy(Ops.multiply(loss, loss), new int[LABELS.length], 1);
            assertThrows(IllegalStateException.class, () -> tape.backward(again));
        }
    }

    /** What a caller has made is not given back with what the tape has, though an operation works in it. */
    @Test
    void aConstantStaysTheCallers() {
        try (var backend = Backend.cpu(1)) {
            var w = new Parameters(backend).add("w", Shape.of(6, 8), Initial.constant(1));
            var cos = backend.tensor(3, 2).set(0, 0, 0, 0, 0, 0);
            var sin = backend.tensor(3, 2).set(1, 1, 1, 1, 1, 1);
            var x = backend.tensor(2, 3, 8).set(new float[48]);
            try (var tape = Tape.training(backend)) {
                var turned = Ops.rope(Ops.rope(tape.constant(x), cos, sin, 2, true), cos, sin, 2, true);
                tape.backward(Ops.crossEntropy(Ops.linear(turned, w, null, null), LABELS, 1));
            }
            assertEquals(0, backend.outstanding());
        }
    }

    private static float[] gradient(Tape tape, Parameter table, Parameter w, int depth) {
        table.grad().makeBlank();
        tape.backward(Ops.crossEntropy(logits(tape, table, w, depth), LABELS, 1));
        return table.grad().toArray();
    }

    private static Variable logits(Tape tape, Parameter table, Parameter w, int depth) {
        var x = Ops.embedding(tape, IDS, 2, table, 1, -1);
        for (int i = 0; i < depth; i++) {
            x = Ops.addScaled(x, 0.5f, Ops.silu(x, x));
        }
        return Ops.linear(x, w, null, null);
    }

    @Test
    void projectionsReadOneInput() {
        try (var backend = Backend.cpu(1)) {
            var p = new Parameters(backend);
            var narrow = new Linear(p.add("narrow", Shape.of(2, 3), Initial.constant(1)), null);
            var wide = new Linear(p.add("wide", Shape.of(2, 4), Initial.constant(1)), null);
            assertThrows(IllegalArgumentException.class, Projections::new);
            var e = assertThrows(IllegalArgumentException.class, () -> new Projections(narrow, wide));
            assertEquals("projections: wide (2, 4) does not read what narrow (2, 3) reads", e.getMessage());
        }
    }
}
