package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import megalodon4j.tensor.Backend.EmaMethod;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What does not fit is refused before anything is computed, by an error that names the operation and what came. */
interface ErrorsContract extends Contract {
    private static void refuses(String operation, String part, Executable call) {
        var message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.startsWith(operation + ": "), message);
        assertTrue(message.contains(part), message);
    }

    private Tensor filled(int... sizes) {
        return TestTensors.tensor(backend(), 1, sizes);
    }

    @Test
    default void wrongShapesOfProducts() {
        refuses("copy", "(2, 3)", () -> backend().copy(filled(2, 3), filled(2, 4)));
        refuses("add", "(3, 2)", () -> backend().add(1, filled(2, 3), filled(3, 2)));
        refuses("matmul", "(4, 5)", () -> backend().matmul(false, false, filled(2, 3), filled(4, 5), filled(2, 5)));
        refuses("matmul", "2 × 5", () -> backend().matmul(false, false, filled(2, 3), filled(3, 5), filled(5, 2)));
        refuses("linear", "(4, 5)", () -> backend().linear(filled(2, 3), filled(4, 5), null, null, filled(2, 4)));
        refuses("linear", "bias", () -> backend().linear(filled(2, 3), filled(4, 3), filled(3), null, filled(2, 4)));
        refuses(
                "linear",
                "residual",
                () -> backend().linear(filled(2, 3), filled(4, 3), null, filled(2, 3), filled(2, 4)));
        Tensor x = filled(2, 3), w = filled(4, 3), y = filled(2, 4);
        Tensor[] none = {}, one = {w}, two = {w, w};
        refuses("linear", "at least one", () -> backend().linear(x, none, none, null, none));
        refuses(
                "linear",
                "2 w and 1 y",
                () -> backend().linear(x, two, new Tensor[] {null, null}, null, new Tensor[] {y}));
        refuses(
                "linearGrad",
                "2 dy and 1 w",
                () -> backend().linearGrad(new Tensor[] {y, y}, x, one, filled(2, 3), one));
        refuses("linearGrad", "dx", () -> backend().linearGrad(new Tensor[] {y}, x, one, filled(2, 4), one));
        refuses(
                "linearGrad",
                "dw",
                () -> backend().linearGrad(new Tensor[] {y}, x, one, filled(2, 3), new Tensor[] {filled(3, 4)}));
        refuses("sumRows", "4", () -> backend().sumRows(filled(2, 3), filled(4)));
        refuses("silu", "(2, 4)", () -> backend().silu(filled(2, 3), filled(2, 4), filled(2, 3)));
    }

    @Test
    default void wrongShapesOfNorms() {
        refuses(
                "rmsNorm",
                "gamma",
                () -> backend().rmsNorm(filled(2, 3), filled(2), 0, 1e-5f, filled(2, 3), filled(2)));
        refuses(
                "layerNorm",
                "rstd",
                () -> backend().layerNorm(filled(2, 3), null, null, 1e-5f, filled(2, 3), filled(2), filled(3)));
        refuses(
                "timestepNorm",
                "4 groups",
                () -> backend()
                        .timestepNorm(
                                filled(1, 2, 6),
                                null,
                                null,
                                null,
                                4,
                                1e-5f,
                                null,
                                filled(1, 2, 6),
                                filled(8),
                                filled(8)));
        refuses(
                "timestepNorm",
                "state",
                () -> backend()
                        .timestepNorm(
                                filled(1, 2, 6),
                                null,
                                null,
                                null,
                                2,
                                1e-5f,
                                filled(4),
                                filled(1, 2, 6),
                                filled(4),
                                filled(4)));
    }

    @Test
    default void wrongShapesOfAttention() {
        refuses("rope", "heads", () -> backend().rope(filled(1, 2, 6), filled(2, 1), filled(2, 1), 2, false, false));
        var x = filled(1, 4, 6);
        refuses("attention", "4 heads", () -> backend().attention(x, x, x, 4, null, 4, 4, 1, filled(1, 4, 6), null));
        refuses("attention", "5 keys", () -> backend().attention(x, x, x, 5, null, 2, 8, 1, filled(1, 4, 6), null));
        refuses("attention", "3 keys", () -> backend().attention(x, x, x, 3, null, 2, 8, 1, filled(1, 4, 6), null));
        refuses("attention", "mask", () -> backend().attention(x, x, x, 4, filled(3), 2, 8, 1, filled(1, 4, 6), null));
        refuses("attention", "chunk", () -> backend().attention(x, x, x, 4, null, 2, 0, 1, filled(1, 4, 6), null));
        var q = filled(1, 2, 6);
        refuses("attention", "chunk of 3", () -> backend().attention(q, x, x, 4, null, 2, 3, 1, filled(1, 2, 6), null));
    }

    @Test
    default void wrongShapesOfTheEma() {
        Tensor x = filled(1, 4, 6), y = filled(1, 4, 6), omega = filled(6);
        refuses("ema", "(5, 2, 7)", () -> backend().ema(x, null, filled(5, 2, 7), omega, null, EmaMethod.SCAN, y));
        refuses(
                "ema",
                "scan",
                () -> backend().ema(x, null, filled(5, 2, 6), omega, filled(1, 2, 2, 6), EmaMethod.FFT, y));
        refuses(
                "ema",
                "state",
                () -> backend().ema(x, null, filled(5, 2, 6), omega, filled(1, 2, 3, 6), EmaMethod.SCAN, y));
        refuses("ema", "omega", () -> backend().ema(x, null, filled(5, 2, 6), filled(5), null, EmaMethod.SCAN, y));
    }

    @Test
    default void tokensOutsideOfTheVocabulary() {
        var table = filled(7, 3);
        refuses(
                "embedding",
                "token 7 at position 1",
                () -> backend().embedding(new int[] {0, 7}, table, 1, filled(2, 3)));
        refuses("embedding", "token -1", () -> backend().embedding(new int[] {-1}, table, 1, filled(1, 3)));
        refuses(
                "crossEntropy",
                "label 3",
                () -> backend().crossEntropy(filled(1, 3), new int[] {3}, 1, filled(1), null));
        refuses("crossEntropy", "2 labels", () -> backend().crossEntropy(filled(1, 3), new int[2], 1, filled(2), null));
    }

    @Test
    default void tensorsOfTwoBackends() {
        try (var other = Backend.cpu(1)) {
            var x = TestTensors.tensor(other, 1, 3);
            refuses("add", "on cpu (1 thread", () -> backend().add(1, x, filled(3)));
            var w = TestTensors.tensor(other, 1, 2, 3);
            refuses(
                    "linear",
                    "w is on cpu (1 thread",
                    () -> backend().linear(filled(1, 3), w, null, null, filled(1, 2)));
            refuses(
                    "embedding",
                    "table is on cpu (1 thread",
                    () -> backend().embedding(new int[] {1}, w, 1, filled(1, 3)));
        }
    }
}
