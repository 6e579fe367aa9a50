package megalodon4j.tensor;

/**
 * The counter-based random numbers Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1,
 * 2, 3", 2011).
 *
 * <p>A seed and a stream name a fixed sequence of 2^63 random 32-bit words, and a position says which word comes next:
 * nothing else is state, so seed and position are all that has to be saved, and {@link #at} resumes anywhere at no
 * cost. Word {@code p} is word {@code p mod 4} of {@link #block block(p / 4, stream, seed)}, on every device. Each
 * method says how many words it takes.
 *
 * <p>Not thread-safe; streams that differ are independent.
 */
public final class Philox {
    private static final long M0 = 0xD2511F53L;
    private static final long M1 = 0xCD9E8D57L;
    private static final int W0 = 0x9E3779B9;
    private static final int W1 = 0xBB67AE85;

    private final long seed;
    private final long stream;
    private final int[] words = new int[4];
    private long loaded = -1; // the block that words holds
    private long position;

    private Philox(long seed, long stream, long position) {
        this.seed = seed;
        this.stream = stream;
        this.position = position;
    }

    /** The beginning of a stream: position 0. */
    public Philox(long seed, long stream) {
        this(seed, stream, 0);
    }

    /**
     * The same seed and stream at another position; this one does not move.
     *
     * @throws IllegalArgumentException if the position is negative
     */
    public Philox at(long position) {
        if (position < 0) {
            throw new IllegalArgumentException("a position counts words from 0, got " + position);
        }
        return new Philox(seed, stream, position);
    }

    public long seed() {
        return seed;
    }

    public long stream() {
        return stream;
    }

    /** How many words of the stream lie behind. */
    public long position() {
        return position;
    }

    /**
     * Moves on by so many words, at no cost.
     *
     * @throws IllegalArgumentException if the number is negative
     */
    public void skip(long count) {
        if (count < 0) {
            throw new IllegalArgumentException("cannot skip " + count + " words");
        }
        position += count;
    }

    /** The word that lies {@code ahead} ≥ 0 words further on; takes none. */
    public int peek(long ahead) {
        long word = position + ahead;
        if (word >>> 2 != loaded) {
            loaded = word >>> 2;
            block(loaded, stream, seed, words, 0);
        }
        return words[(int) word & 3];
    }

    /** 32 random bits; takes 1 word. */
    public int nextInt() {
        int word = peek(0);
        position++;
        return word;
    }

    /** 64 random bits, the low half first; takes 2 words. */
    public long nextLong() {
        long low = Integer.toUnsignedLong(nextInt());
        return (long) nextInt() << 32 | low;
    }

    /** Uniform in [0, 1), a multiple of 2^-24; takes 1 word. */
    public float nextFloat() {
        return unit(nextInt());
    }

    /** Uniform in [0, 1), a multiple of 2^-53; takes 2 words. */
    public double nextDouble() {
        return (nextLong() >>> 11) * 0x1p-53;
    }

    /**
     * Normal with mean 0 and variance 1, by Box and Muller (the cosine of each pair only), |x| < 6.8; takes 2 words.
     */
    public double nextGaussian() {
        double radius = StrictMath.sqrt(-2 * StrictMath.log(openUnit(nextInt())));
        return radius * StrictMath.cos(2 * Math.PI * openUnit(nextInt()));
    }

    /**
     * Uniform in 0 … bound - 1 without bias (Lemire 2019: multiply, and reject the rare uneven rest); takes 1 word,
     * seldom more.
     *
     * @throws IllegalArgumentException if bound is not positive
     */
    public int nextInt(int bound) {
        if (bound <= 0) {
            throw new IllegalArgumentException("bound must be positive, got " + bound);
        }
        long product = Integer.toUnsignedLong(nextInt()) * bound;
        if (Integer.compareUnsigned((int) product, bound) < 0) {
            int uneven = Integer.remainderUnsigned(-bound, bound);
            while (Integer.compareUnsigned((int) product, uneven) < 0) {
                product = Integer.toUnsignedLong(nextInt()) * bound;
            }
        }
        return (int) (product >>> 32);
    }

    /**
     * The numbers 0 … n - 1 in random order (Fisher and Yates); takes one {@link #nextInt(int)} for each but the first.
     */
    public int[] permutation(int n) {
        var order = new int[n];
        for (int i = 0; i < n; i++) {
            int j = i == 0 ? 0 : nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }

    /** What {@link #nextFloat} makes of a word: its upper 24 bits, in [0, 1). */
    public static float unit(int word) {
        return (word >>> 8) * 0x1p-24f;
    }

    /** A word as the middle of its interval of length 2^-32, in (0, 1): for logarithms. */
    public static double openUnit(int word) {
        return (Integer.toUnsignedLong(word) + 0.5) * 0x1p-32;
    }

    /**
     * Ten rounds of Philox4x32: the four words {@code to[at … at + 3]} that belong to a 128-bit counter and a 64-bit
     * key. Words of counter and key are numbered from the lowest.
     */
    public static void block(long counterLow, long counterHigh, long key, int[] to, int at) {
        int c0 = (int) counterLow;
        int c1 = (int) (counterLow >>> 32);
        int c2 = (int) counterHigh;
        int c3 = (int) (counterHigh >>> 32);
        int k0 = (int) key;
        int k1 = (int) (key >>> 32);
        for (int round = 0; round < 10; round++) {
            long p0 = M0 * Integer.toUnsignedLong(c0);
            long p1 = M1 * Integer.toUnsignedLong(c2);
            c0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            c1 = (int) p1;
            c2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c3 = (int) p0;
            k0 += W0;
            k1 += W1;
        }
        to[at] = c0;
        to[at + 1] = c1;
        to[at + 2] = c2;
        to[at + 3] = c3;
    }

    @Override
    public String toString() {
        return "Philox(seed " + seed + ", stream " + stream + ", position " + position + ")";
    }
}
