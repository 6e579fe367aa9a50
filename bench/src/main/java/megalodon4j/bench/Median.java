package megalodon4j.bench;

import java.util.Arrays;

/** The middle of what was measured. */
final class Median {
    private Median() {}

    /** The middle value, or the mean of the two in the middle; sorts the array. */
    static double of(double... values) {
        Arrays.sort(values);
        return (values[(values.length - 1) / 2] + values[values.length / 2]) / 2;
    }
}
