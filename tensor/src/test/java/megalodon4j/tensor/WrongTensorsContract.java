package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import megalodon4j.tensor.Backend.AdamStep;
import megalodon4j.tensor.Backend.EmaMethod;
import org.junit.jupiter.api.Test;

/**
 * Kernels know no bounds but those that the backend has checked: every operation refuses every tensor that is a little too large or too small, or
 * lies elsewhere.
 */
interface WrongTensorsContract extends Contract {
    int B = 2, L = 3, H = 2, D = 8, N = 3, G = 2, V = 5, ROWS = B * L;

    // Whose number of rows, or of elements, is free.
    Set<String> ANY_ROWS =
            Set.of("embedding 1", "embeddingGrad 4", "sumRows 0", "rope 0", "zero 0", "sum 0", "sumOfSquares 0");
    Set<String> ANY_COLUMNS = Set.of("zero 0", "sum 0", "sumOfSquares 0");

    /** An operation and arguments that it accepts. */
    record Call(String operation, Object... arguments) {
        void run(Backend backend, Object... arguments) throws Throwable {
            var method = Arrays.stream(Backend.class.getMethods())
                    .filter(m -> m.getName().equals(operation) && fits(m.getParameterTypes(), arguments))
                    .findFirst()
                    .orElseThrow(() -> new AssertionError("no " + operation + " of " + arguments.length));
            try {
                method.invoke(backend, arguments);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        }

        private static boolean fits(Class<?>[] types, Object[] arguments) {
            if (types.length != arguments.length) {
                return false;
            }
            for (int i = 0; i < types.length; i++) {
                if (!types[i].isPrimitive() && !types[i].isInstance(arguments[i])) {
                    return false;
                }
            }
            return true;
        }
    }

    private Tensor t(int... sizes) {
        return TestTensors.tensor(backend(), 1, sizes);
    }

    private Tensor x() {
        return t(B, L, D);
    }

    private List<Call> calls() {
        int[] ids = {0, 1, 2, 3, 4, 0};
        float eps = 1e-5f;
        return List.of(
                new Call("copy", t(2, 3), t(2, 3)),
                new Call("add", 1f, t(2, 3), t(2, 3)),
                new Call("multiply", t(2, 3), t(2, 3), t(2, 3)),
                new Call("multiplyGrad", t(2, 3), t(2, 3), t(2, 3), t(2, 3), t(2, 3)),
                new Call("sum", t(2, 3)),
                new Call("sumOfSquares", t(2, 3)),
                new Call("zero", t(2, 3)),
                new Call("matmul", true, false, t(4, 2), t(4, 3), t(2, 3)),
                new Call("matmul", false, true, t(2, 4), t(3, 4), t(2, 3)),
                new Call("linear", t(2, 4), t(3, 4), t(3), t(2, 3), t(2, 3)),
                new Call("sumRows", t(2, 3), t(3)),
                new Call("silu", t(2, 3), t(2, 3), t(2, 3)),
                new Call("siluGrad", t(2, 3), t(2, 3), t(2, 3), t(2, 3), t(2, 3), t(2, 3)),
                new Call("dropout", new Dropout(0.5, 1, 0, 0), x(), x()),
                new Call("rmsNorm", t(ROWS, D), t(D), 0f, eps, t(ROWS, D), t(ROWS)),
                new Call("rmsNormGrad", t(ROWS, D), t(ROWS, D), t(D), 0f, t(ROWS), t(ROWS, D), t(D)),
                new Call("layerNorm", t(ROWS, D), t(D), t(D), eps, t(ROWS, D), t(ROWS), t(ROWS)),
                new Call("layerNormGrad", t(ROWS, D), t(ROWS, D), t(D), t(ROWS), t(ROWS), t(ROWS, D), t(D), t(D)),
                new Call(
                        "timestepNorm",
                        x(),
                        t(B, L),
                        t(D),
                        t(D),
                        G,
                        eps,
                        t(B, 2, 1 + 2 * G),
                        x(),
                        t(B, L, G),
                        t(B, L, G)),
                new Call("timestepNormGrad", x(), x(), t(B, L), t(D), G, eps, t(B, L, G), t(B, L, G), x(), t(D), t(D)),
                new Call("rope", x(), t(L, D / H / 2), t(L, D / H / 2), H, true, false),
                new Call(
                        "queryKey",
                        x(),
                        t(2, D),
                        t(2, D),
                        t(L, D / H / 2),
                        t(L, D / H / 2),
                        H,
                        eps,
                        x(),
                        x(),
                        t(B, L, H)),
                new Call(
                        "queryKeyGrad",
                        x(),
                        x(),
                        x(),
                        t(2, D),
                        t(L, D / H / 2),
                        t(L, D / H / 2),
                        H,
                        t(B, L, H),
                        x(),
                        t(2, D),
                        t(2, D)),
                new Call("attention", x(), x(), x(), L, t(B, L), H, L, 1f, x(), t(B, H, L)),
                new Call("attentionGrad", x(), x(), x(), x(), t(B, L), H, L, 1f, x(), t(B, H, L), x(), x(), x()),
                new Call("emaCoefficients", t(D, N), t(D, N), t(D), t(D, N), t(D, N), t(5, N, D)),
                new Call(
                        "emaCoefficientsGrad",
                        t(5, N, D),
                        t(D, N),
                        t(D, N),
                        t(D),
                        t(D, N),
                        t(D, N),
                        t(D),
                        t(D, N),
                        t(D, N)),
                new Call("ema", x(), t(B, L), t(5, N, D), t(D), t(B, 2, N, D), EmaMethod.SCAN, x()),
                new Call("emaGrad", x(), x(), t(B, L), t(5, N, D), t(D), EmaMethod.SCAN, x(), t(5, N, D), t(D)),
                new Call("embedding", ids, t(V, D), 1f, t(ROWS, D)),
                new Call("embeddingGrad", t(ROWS, D), ids, -1, 1f, t(V, D)),
                new Call("crossEntropy", t(ROWS, V), ids, 1f, t(ROWS), t(ROWS, V)),
                new Call("adam", new AdamStep(1, 0.9f, 0.9f, 1, 0, 1, 1), t(3), t(3), t(3), t(3)));
    }

    @Test
    default void everyTensorMustFit() throws Throwable {
        try (var elsewhere = Backend.cpu(1)) {
            for (var call : calls()) {
                call.run(backend(), call.arguments);
                for (int i = 0; i < call.arguments.length; i++) {
                    if (call.arguments[i] instanceof Tensor x) {
                        refuses(
                                call,
                                i,
                                TestTensors.tensor(elsewhere, 1, x.shape().toArray()));
                        String place = call.operation + " " + i;
                        for (int change : new int[] {-1, 1}) {
                            if (!ANY_ROWS.contains(place)) {
                                refuses(call, i, t(changed(x, 0, change)));
                            }
                            if (!ANY_COLUMNS.contains(place)) {
                                refuses(call, i, t(changed(x, x.shape().rank() - 1, change)));
                            }
                        }
                    }
                }
            }
        }
    }

    private static int[] changed(Tensor x, int dimension, int change) {
        var sizes = x.shape().toArray();
        sizes[dimension] += change;
        return sizes;
    }

    private void refuses(Call call, int place, Tensor wrong) {
        var arguments = call.arguments.clone();
        arguments[place] = wrong;
        Throwable thrown = null;
        try {
            call.run(backend(), arguments);
        } catch (Throwable e) {
            thrown = e;
        }
        String what = call.operation + ", argument " + place + " replaced by " + wrong + ": " + thrown;
        assertNotNull(thrown, what);
        assertInstanceOf(IllegalArgumentException.class, thrown, what);
        assertTrue(thrown.getMessage().startsWith(call.operation + ": "), what);
    }

    @Test
    default void noOperationIsLeftOut() {
        var tested = calls().stream().map(Call::operation).collect(Collectors.toSet());
        var missing = new TreeSet<String>();
        for (var method : Backend.class.getDeclaredMethods()) {
            boolean takesTensors = Arrays.stream(method.getParameterTypes()).anyMatch(Tensor.class::isAssignableFrom);
            if (Modifier.isPublic(method.getModifiers()) && takesTensors) {
                missing.add(method.getName());
            }
        }
        missing.removeAll(tested);
        missing.remove("linearGrad"); // of several layers, in arrays: ErrorsContract has it
        assertTrue(missing.isEmpty(), "operations without a call: " + missing);
    }
}
