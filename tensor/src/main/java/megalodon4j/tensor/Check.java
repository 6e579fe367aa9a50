package megalodon4j.tensor;

import java.util.Locale;

/**
 * The checks at a backend's border: every tensor is one of its own and as large as the kernel takes it to be, which knows no other bounds. A failure
 * is an {@link IllegalArgumentException} that names the operation.
 */
final class Check {
    private final Backend backend;

    Check(Backend backend) {
        this.backend = backend;
    }

    /** What is thrown where a check fails; made there alone, since arguments of a format cost an array and boxes. */
    static IllegalArgumentException error(String operation, String message, Object... arguments) {
        return new IllegalArgumentException(operation + ": " + String.format(Locale.ROOT, message, arguments));
    }

    void same(String operation, String nameA, Tensor a, String nameB, Tensor b) {
        if (a.rows() != b.rows() || a.columns() != b.columns()) {
            throw new IllegalArgumentException(operation + ": " + nameA + " " + a.shape() + " and " + nameB + " "
                    + b.shape() + " must have the same shape");
        }
        own(operation, nameA, a);
        own(operation, nameB, b);
    }

    void own(String operation, String name, Tensor x) {
        if (x.backend() != backend) {
            throw new IllegalArgumentException(operation + ": " + name + " is on "
                    + x.backend().describe() + ", not on this " + backend.describe());
        }
    }

    /** A null tensor passes. */
    void elements(String operation, String name, Tensor x, long elements) {
        if (x == null) {
            return;
        }
        if (x.elements() != elements) {
            throw new IllegalArgumentException(
                    operation + ": " + name + " must have " + elements + " elements, got " + x.shape());
        }
        own(operation, name, x);
    }

    /** Both are null, or none is. */
    static void together(String operation, String nameA, Object a, String nameB, Object b) {
        if ((a == null) != (b == null)) {
            throw new IllegalArgumentException(operation + ": " + nameA + " and " + nameB + " go together");
        }
    }

    void rank(String operation, String name, Tensor x, int rank) {
        if (x.shape().rank() != rank) {
            throw new IllegalArgumentException(
                    operation + ": " + name + " must have " + rank + " dimensions, got " + x.shape());
        }
        own(operation, name, x);
    }

    void rope(String operation, int length, int columns, int heads, Tensor cos, Tensor sin) {
        if (heads < 1 || columns % heads != 0 || columns / heads % 2 != 0) {
            throw error(operation, "%d features do not make %d heads of an even width", columns, heads);
        }
        elements(operation, "cos", cos, (long) length * (columns / heads / 2));
        elements(operation, "sin", sin, (long) length * (columns / heads / 2));
    }

    void attention(String operation, Tensor q, Tensor k, Tensor v, int keys, Tensor mask, int heads, int chunk) {
        rank(operation, "q", q, 3);
        rank(operation, "k", k, 3);
        rank(operation, "v", v, 3);
        int batch = q.shape().size(0),
                queries = q.shape().size(1),
                capacity = k.shape().size(1);
        if (!(k.shape().size(0) == batch
                && v.shape().size(0) == batch
                && v.shape().size(1) == capacity)) {
            throw error(operation, "q %s, k %s and v %s do not belong together", q.shape(), k.shape(), v.shape());
        }
        if (q.columns() != k.columns()) {
            throw error(operation, "q %s and k %s differ in width", q.shape(), k.shape());
        }
        if (heads < 1 || q.columns() % heads != 0 || v.columns() % heads != 0) {
            throw error(operation, "%d heads do not divide the widths of q %s and v %s", heads, q.shape(), v.shape());
        }
        if (queries > keys || keys > capacity) {
            throw error(operation, "%d keys for %d queries and a capacity of %d", keys, queries, capacity);
        }
        if (chunk < keys && (chunk <= 0 || queries != keys)) {
            throw error(operation, "a chunk of %d needs as many keys as queries, got %d and %d", chunk, keys, queries);
        }
        elements(operation, "mask", mask, (long) batch * keys);
    }

    void ema(String operation, Tensor x, Tensor mask, Tensor coefficients, Tensor omega) {
        rank(operation, "x", x, 3);
        if (coefficients.shape().rank() != 3
                || coefficients.shape().size(0) != 5
                || coefficients.columns() != x.columns()) {
            throw error(operation, "coefficients must be (5, N, %d), got %s", x.columns(), coefficients.shape());
        }
        own(operation, "coefficients", coefficients);
        elements(operation, "mask", mask, x.rows());
        elements(operation, "omega", omega, x.columns());
    }

    static void ids(String operation, int[] ids, int vocabulary) {
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabulary) {
                throw new IllegalArgumentException(operation + ": token " + ids[i] + " at position " + i
                        + " is outside the vocabulary of " + vocabulary);
            }
        }
    }

    static void labels(String operation, int[] labels, int vocabulary) {
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] != Backend.IGNORE_INDEX && (labels[i] < 0 || labels[i] >= vocabulary)) {
                throw new IllegalArgumentException(operation + ": label " + labels[i] + " at position " + i
                        + " is neither in the vocabulary of " + vocabulary + " nor " + Backend.IGNORE_INDEX);
            }
        }
    }
}
