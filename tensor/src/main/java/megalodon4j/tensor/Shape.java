package megalodon4j.tensor;

import java.util.Arrays;
import java.util.stream.Collectors;

/** The sizes of a row-major tensor's dimensions, outermost first. A scalar has none; a size of 0 is allowed. */
public final class Shape {
    private final int[] sizes;
    private final int elements;

    private Shape(int[] sizes) {
        long product = 1;
        for (int size : sizes) {
            if (size < 0) {
                throw new IllegalArgumentException("a size must not be negative: " + Arrays.toString(sizes));
            }
            product *= size;
            if (product > Integer.MAX_VALUE) {
                throw new IllegalArgumentException("more than 2^31 - 1 elements: " + Arrays.toString(sizes));
            }
        }
        this.sizes = sizes;
        this.elements = (int) product;
    }

    public static Shape of(int... sizes) {
        return new Shape(sizes.clone());
    }

    /** The number of dimensions. */
    public int rank() {
        return sizes.length;
    }

    /** The size of dimension i; counted from the end if i is negative. */
    public int size(int i) {
        return sizes[i < 0 ? sizes.length + i : i];
    }

    /** The product of all sizes. */
    public int elements() {
        return elements;
    }

    /** The size of the last dimension; 1 for a scalar. */
    public int columns() {
        return sizes.length == 0 ? 1 : sizes[sizes.length - 1];
    }

    /** The product of all sizes but the last: how many rows there are when all leading dimensions are taken as one. */
    public int rows() {
        int rows = 1;
        for (int i = 0; i < sizes.length - 1; i++) {
            rows *= sizes[i];
        }
        return rows;
    }

    /** The same leading dimensions with another last one; a scalar has none to change. */
    public Shape withColumns(int columns) {
        if (columns == columns()) {
            return this;
        }
        var changed = sizes.clone();
        changed[changed.length - 1] = columns;
        return new Shape(changed);
    }

    public int[] toArray() {
        return sizes.clone();
    }

    /** {@code withColumns(columns).elements()}. */
    int elements(int columns) {
        long product = (long) rows() * columns;
        if (product > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("more than 2^31 - 1 elements: " + rows() + " rows of " + columns);
        }
        return (int) product;
    }

    /** Whether this is {@code leading.withColumns(columns)}. */
    boolean equals(Shape leading, int columns) {
        int last = sizes.length - 1;
        return columns == columns()
                && (leading == this
                        || leading.sizes.length == sizes.length
                                && Arrays.equals(sizes, 0, last, leading.sizes, 0, last));
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Shape that && Arrays.equals(sizes, that.sizes);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(sizes);
    }

    /** For example {@code (4, 512, 384)}. */
    @Override
    public String toString() {
        return Arrays.stream(sizes).mapToObj(Integer::toString).collect(Collectors.joining(", ", "(", ")"));
    }
}
