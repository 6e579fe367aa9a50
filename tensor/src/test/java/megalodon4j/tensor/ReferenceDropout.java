package megalodon4j.tensor;

import java.util.Arrays;

/** The oracle of dropout: the definition, element by element. */
public final class ReferenceDropout {
    private ReferenceDropout() {}

    /** 0 where the element of the batch's sequence b is dropped, else 1 / (1 − p); 1 for null. */
    public static double factor(Dropout dropout, int b, int row, int column) {
        if (dropout == null) {
            return 1;
        }
        var words = new int[4];
        long low = (1L << 63) + row * (1L << 31) + column / 4;
        long high = (dropout.firstSequence() + b) * (1L << 20) + dropout.site();
        Philox.block(low, high, dropout.seed(), words, 0);
        double uniform = Integer.toUnsignedLong(words[column % 4]) / 0x1p32;
        return uniform < Math.floor(dropout.rate() * 0x1p32) / 0x1p32 ? 0 : 1 / (1 - dropout.rate());
    }

    /** x (batch, length, columns) with some elements dropped. */
    public static double[] dropout(Dropout dropout, int batch, int length, int columns, double[] x) {
        var y = Arrays.copyOf(x, x.length);
        for (int i = 0; i < batch * length * columns; i++) {
            int row = i / columns;
            y[i] *= factor(dropout, row / length, row % length, i % columns);
        }
        return y;
    }
}
