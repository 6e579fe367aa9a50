package megalodon4j.tensor;

import java.util.Arrays;
import java.util.stream.Collectors;

/** The sizes of a row-major tensor's dimensions, outermost first. A scalar has none; a size of 0 is allowed. */
public final class Shape {
    /**
     * The most elements of a tensor, 2³¹ − 2¹⁶: a Java array holds them behind what aligns them, and an index that passes their end by a block is
     * still an int.
     */
    public static final int MOST_ELEMENTS = Integer.MAX_VALUE - 0xFFFF;

    static final String TOO_LARGE = "sizes other than 0 multiply to more than 2^31 - 2^16";

    /** Not to be changed. */
    final int[] sizes;

    private final int elements;

    private Shape(int[] sizes) {
        this.sizes = sizes;
        this.elements = elements(sizes, columns(sizes));
    }

    /**
     * The shape of these sizes, outermost first; none for a scalar.
     *
     * @throws IllegalArgumentException if a size is negative, or the others than 0 multiply to more than {@link #MOST_ELEMENTS}: an empty
     *     shape's rows and strides are ints as well
     */
    public static Shape of(int... sizes) {
        return new Shape(sizes.clone());
    }

    /** The sizes with another last one; a scalar's can only be 1. */
    static Shape of(int[] sizes, int columns) {
        return new Shape(withColumns(sizes, columns));
    }

    private static int[] withColumns(int[] sizes, int columns) {
        if (sizes.length == 0 && columns != 1) {
            throw new IllegalArgumentException("a scalar has 1 column, got " + columns);
        }
        var changed = sizes.clone();
        if (sizes.length > 0) {
            changed[sizes.length - 1] = columns;
        }
        return changed;
    }

    /** The elements of {@code of(sizes, columns)}. */
    static int elements(int[] sizes, int columns) {
        long product = 1;
        boolean empty = false;
        for (int i = 0; i < sizes.length; i++) {
            int size = i < sizes.length - 1 ? sizes[i] : columns;
            empty |= size == 0;
            product *= size == 0 ? 1 : size;
            if (size < 0 || product > MOST_ELEMENTS) {
                String problem = size < 0 ? "a size must not be negative: " : TOO_LARGE + ": ";
                throw new IllegalArgumentException(problem + Arrays.toString(withColumns(sizes, columns)));
            }
        }
        return empty ? 0 : (int) product;
    }

    static int columns(int[] sizes) {
        return sizes.length == 0 ? 1 : sizes[sizes.length - 1];
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
        return columns(sizes);
    }

    /** The product of all sizes but the last: how many rows there are when all leading dimensions are taken as one. */
    public int rows() {
        int rows = 1;
        for (int i = 0; i < sizes.length - 1; i++) {
            rows *= sizes[i];
        }
        return rows;
    }

    /**
     * The same leading dimensions with another last one.
     *
     * @throws IllegalArgumentException as {@link #of}, and for a scalar, which has no dimension, if it is not 1
     */
    public Shape withColumns(int columns) {
        return columns == columns() ? this : of(sizes, columns);
    }

    /** The sizes, outermost first, in an array of the caller's own. */
    public int[] toArray() {
        return sizes.clone();
    }

    /** Whether this equals {@code of(sizes, columns)}. */
    boolean equals(int[] sizes, int columns) {
        int leading = Math.max(0, this.sizes.length - 1);
        return columns == columns()
                && sizes.length == this.sizes.length
                && (sizes == this.sizes || Arrays.equals(sizes, 0, leading, this.sizes, 0, leading));
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
