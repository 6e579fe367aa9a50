package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.stream.Stream;
import megalodon4j.autograd.Adam;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Logits, losses, every gradient and optimizer steps agree with PyTorch. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class ParityContract {
    private Backend backend;

    abstract Backend device();

    @BeforeAll
    void open() {
        backend = device();
    }

    @AfterAll
    void close() {
        assertEquals(0, backend.outstanding(), "tensors that were not given back");
        backend.close();
    }

    static Stream<Arguments> cases() {
        return Stream.of("llama", "llama_untied", "megalodon", "megalodon_plain_ffn", "megalodon_one_chunk")
                .flatMap(name -> name.startsWith("llama")
                        ? Stream.of(Arguments.of(name, EmaChoice.AUTO))
                        : Stream.of(Arguments.of(name, EmaChoice.SCAN), Arguments.of(name, EmaChoice.FFT)));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void logitsLossAndGradients(String name, EmaChoice cema) throws IOException {
        var fixture = Fixture.of(name);
        var model = fixture.model(backend, cema);
        var want = fixture.tensors("train");
        var ids = Fixture.ints(want, "input_ids");
        var labels = Fixture.ints(want, "labels");
        int batch = want.shape("input_ids").size(0);
        try (var tape = Tape.inference(backend)) {
            assertClose(
                    "logits",
                    want.floats("logits"),
                    model.logits(tape, ids, batch).value().toArray(),
                    1e-4);
        }
        try (var tape = Tape.training(backend)) {
            var loss = model.loss(tape, ids, labels, batch, null);
            assertEquals(want.floats("loss")[0], loss.mean(), 1e-4 * loss.mean(), "loss");
            tape.backward(loss.losses());
        }
        assertGradients(want, model);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void threeAdamSteps(String name, EmaChoice cema) throws IOException {
        var fixture = Fixture.of(name);
        var model = fixture.model(backend, cema);
        var want = fixture.tensors("train");
        var ids = Fixture.ints(want, "input_ids");
        var labels = Fixture.ints(want, "labels");
        var adam = fixture.json().get("adam");
        float learningRate = (float) adam.get("lr").asDouble();
        var optimizer = new Adam(model.parameters(), 0.9f, 0.999f, 1e-8f);
        for (int step = 0; step < adam.get("steps").asInt(); step++) {
            model.parameters().zeroGrad();
            try (var tape = Tape.training(backend)) {
                var logits = model.logits(tape, ids, want.shape("input_ids").size(0));
                var loss = Ops.crossEntropy(logits, labels, 1f / ids.length);
                double mean = backend.sum(loss.value()) / ids.length;
                assertEquals(want.floats("adam.losses")[step], mean, 1e-4 * mean, "loss of step " + step);
                tape.backward(loss);
            }
            double norm = optimizer.step(
                    learningRate,
                    (float) adam.get("weight_decay").asDouble(),
                    adam.get("grad_clip_norm").asDouble());
            assertEquals(want.floats("adam.grad_norms")[step], norm, 1e-3 * norm, "norm of step " + step);
        }
        for (var p : model.parameters()) {
            assertSteps(
                    p.name(), want.floats("adam.param." + p.name()), p.value().toArray(), learningRate);
        }
    }

    /** Right padding: logits at the valid positions, loss and gradients. */
    @ParameterizedTest
    @EnumSource(EmaChoice.class)
    void paddedSequences(EmaChoice cema) throws IOException {
        var fixture = Fixture.of("megalodon");
        var model = fixture.model(backend, cema);
        var want = fixture.tensors("padded");
        var ids = Fixture.ints(want, "input_ids");
        var valid = Fixture.ints(want, "attention_mask");
        int batch = want.shape("input_ids").size(0), length = ids.length / batch;
        var mask = backend.tensor(batch, length).set(floats(valid));
        try (var tape = Tape.inference(backend)) {
            var logits = model.head(model.hidden(tape, ids, batch, mask, null));
            var wantLogits = want.floats("logits");
            var got = logits.value().toArray();
            assertClose("logits", where(valid, wantLogits), where(valid, got), 1e-4);
        }
        try (var tape = Tape.training(backend)) {
            var loss = model.loss(tape, ids, Fixture.ints(want, "labels"), batch, mask);
            assertEquals(want.floats("loss")[0], loss.mean(), 1e-4 * loss.mean(), "loss");
            tape.backward(loss.losses());
        }
        assertGradients(want, model);
    }

    /** The rows whose flag is set, the others cleared. */
    private static float[] where(int[] valid, float[] rows) {
        var kept = rows.clone();
        int width = rows.length / valid.length;
        for (int i = 0; i < kept.length; i++) {
            kept[i] *= valid[i / width];
        }
        return kept;
    }

    private static float[] floats(int[] values) {
        var floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = values[i];
        }
        return floats;
    }

    private static void assertGradients(SafeTensors want, LanguageModel model) throws IOException {
        for (var p : model.parameters()) {
            assertClose(
                    "gradient of " + p.name(),
                    want.floats("grad." + p.name()),
                    p.grad().toArray(),
                    1e-3);
        }
    }

    /**
     * Adam divides each gradient by its own size, so that an element whose gradient is all but zero magnifies its rounding: single elements may
     * be off by a tenth of a step, on average they must agree to a ten-thousandth.
     */
    private static void assertSteps(String name, float[] want, float[] got, double learningRate) {
        double sum = 0;
        for (int i = 0; i < want.length; i++) {
            double difference = Math.abs(want[i] - got[i]);
            assertTrue(difference <= 0.1 * learningRate, name + "[" + i + "]: want " + want[i] + ", got " + got[i]);
            sum += difference;
        }
        double mean = sum / want.length;
        assertTrue(mean <= 1e-4 * learningRate, name + ": off by " + mean + " on average");
    }

    /** Relative to the largest entry. */
    static void assertClose(String what, float[] want, float[] got, double tolerance) {
        assertEquals(want.length, got.length, what);
        double largest = 0, worst = 0;
        int where = 0;
        for (int i = 0; i < want.length; i++) {
            largest = Math.max(largest, Math.abs(want[i]));
            double difference = Math.abs(want[i] - got[i]);
            if (!(difference <= worst)) {
                worst = difference;
                where = i;
            }
        }
        double error = worst, limit = tolerance * largest;
        int index = where;
        assertTrue(
                error <= limit,
                () -> what + "[" + index + "]: want " + want[index] + ", got " + got[index] + ", off by " + error
                        + " where " + limit + " is allowed");
    }
}
