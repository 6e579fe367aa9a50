package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import org.junit.jupiter.api.Test;

/** Gradient checkpointing gives the same gradients from less memory. */
class CheckpointingTest {
    @Test
    void sameGradientsLessMemory() {
        var plain = new HashMap<String, float[]>();
        var checkpointed = new HashMap<String, float[]>();
        long memory = gradients(false, plain);
        long less = gradients(true, checkpointed);
        for (var name : plain.keySet()) {
            assertArrayEquals(plain.get(name), checkpointed.get(name), name);
        }
        assertTrue(less < 0.5 * memory, less + " of " + memory + " bytes");
    }

    private static long gradients(boolean checkpointing, Map<String, float[]> to) {
        var config = new MegalodonConfig(
                256,
                32,
                6,
                2,
                16,
                32,
                64,
                4,
                16,
                4,
                0,
                0,
                0,
                true,
                false,
                false,
                true,
                null,
                InitMode.BERT,
                checkpointing,
                0,
                EmaChoice.AUTO);
        try (var backend = Backend.cpu(2)) {
            var model = config.create(backend, 3);
            var random = new Random(4);
            var ids = random.ints(2 * 64, 0, 256).toArray();
            try (var tape = Tape.training(backend)) {
                var loss = Ops.crossEntropy(model.logits(tape, ids, 2), ids, 1f / ids.length);
                tape.backward(loss);
            }
            assertEquals(0, backend.outstanding());
            for (var p : model.parameters()) {
                to.put(p.name(), p.grad().toArray());
            }
            return backend.pooledBytes();
        }
    }
}
