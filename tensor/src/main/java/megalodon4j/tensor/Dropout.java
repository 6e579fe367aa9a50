package megalodon4j.tensor;

/**
 * What is dropped at one site of a model (Srivastava et al. 2014): every element with probability p, on its own; the others are divided by
 * 1 − p.
 *
 * <p>Nothing is stored: sequence s of a training run, seen as rows × columns, loses the element (row, column) at a site if word
 * {@code column mod 4} of this Philox block, as an unsigned number, is less than p · 2³²:
 *
 * <pre>counter = (2⁶³ + row · 2³¹ + column / 4, s · 2²⁰ + site)        key = seed</pre>
 *
 * Thus it does not matter with which others a sequence is computed, by how many threads, or how often. The highest bit sets these words
 * apart from those of {@link Philox} streams of the same seed.
 *
 * @param rate p, at least 0 and less than 1
 * @param seed of the run
 * @param firstSequence the number s of a batch's first sequence, counted through the whole run; the others follow
 * @param site where in the model, from 0 to 2²⁰ − 1
 */
public record Dropout(double rate, long seed, long firstSequence, int site) {
    private static final int SITES = 20;

    /** @throws IllegalArgumentException if an argument is out of its range */
    public Dropout {
        if (!(rate >= 0 && rate < 1)) {
            throw new IllegalArgumentException("dropout: a rate must be at least 0 and less than 1, got " + rate);
        }
        if (firstSequence < 0 || firstSequence >>> (63 - SITES) != 0) {
            throw new IllegalArgumentException(
                    "dropout: sequences are counted from 0 to 2^" + (63 - SITES) + ", got " + firstSequence);
        }
        if (site < 0 || site >>> SITES != 0) {
            throw new IllegalArgumentException("dropout: sites are numbered from 0 to 2^" + SITES + ", got " + site);
        }
    }

    /** Words below it, taken as unsigned, drop their element. */
    public int threshold() {
        return (int) (long) (rate * 0x1p32);
    }

    /** What the elements that stay are multiplied by: 1 / (1 − p). */
    public float scale() {
        return (float) (1 / (1 - rate));
    }

    /** The words of four neighbouring columns of a row, from {@code column} on, a multiple of 4, in the batch's sequence {@code b}. */
    public void words(int b, int row, int column, int[] to) {
        long low = Long.MIN_VALUE | (long) row << 31 | column >>> 2;
        Philox.block(low, firstSequence + b << SITES | site, seed, to, 0);
    }
}
