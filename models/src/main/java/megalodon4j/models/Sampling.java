package megalodon4j.models;

import java.util.Arrays;
import java.util.Objects;
import megalodon4j.tensor.Philox;

/**
 * How the next token is drawn from logits. Filters first, in this order, each on the softmax of the <em>unscaled</em>
 * logits over the tokens that the one before it left:
 *
 * <ol>
 *   <li>min-p keeps the tokens with p ≥ minP · p_max (Nguyen et al. 2024),
 *   <li>top-k keeps the k most probable ones,
 *   <li>top-p keeps the most probable ones until their sum reaches topP; the one that reaches it is kept (Holtzman et
 *       al. 2020).
 * </ol>
 *
 * <p>Then the token with the greatest {@code logit / temperature + Gumbel noise} is taken, which draws from the softmax
 * of {@code logits / temperature} over what is left. Of equal tokens the one with the lower index comes first.
 *
 * <p>Each entry of the vocabulary owns one random word, survivor or not (others' words are skipped, not computed):
 * token {@code i} has word {@code position + i}, so its noise depends neither on the filters nor on other tokens.
 * Greedy sampling takes none.
 *
 * <pre>{@code
 * Sampling.minP(0.1f).topK(40).temperature(0.8f)
 * }</pre>
 *
 * @param temperature at least 0; 0 takes the most probable token
 * @param minP from 0 (off) to 1
 * @param topK at least 0; 0 is off
 * @param topP more than 0, at most 1 (off)
 */
public record Sampling(float temperature, float minP, int topK, float topP) {
    /** @throws IllegalArgumentException if an option is out of its range */
    public Sampling {
        require(
                temperature >= 0 && temperature < Float.POSITIVE_INFINITY,
                "temperature",
                "finite and at least 0 (greedy)",
                temperature);
        require(minP >= 0 && minP <= 1, "min-p", "from 0 (off) to 1", minP);
        require(topK >= 0, "top-k", "at least 0 (off)", topK);
        require(topP > 0 && topP <= 1, "top-p", "more than 0 and at most 1 (off)", topP);
    }

    /** Logits from which nothing can be drawn, as those of a model that has diverged. */
    public static final class BadLogits extends IllegalArgumentException {
        private static final long serialVersionUID = 1;

        private BadLogits(String message) {
            super(message);
        }
    }

    private static void require(boolean condition, String option, String allowed, Number got) {
        if (!condition) {
            throw new IllegalArgumentException(option + " must be " + allowed + ", got " + got);
        }
    }

    /** The most probable token, always. */
    public static Sampling greedy() {
        return new Sampling(0, 0, 0, 1);
    }

    /** The model's own distribution: temperature 1, no filter. */
    public static Sampling plain() {
        return new Sampling(1, 0, 0, 1);
    }

    /** {@link #plain} with min-p; the other options follow it. */
    public static Sampling minP(float minP) {
        return new Sampling(1, minP, 0, 1);
    }

    /** The same with another top-k; 0 is off. */
    public Sampling topK(int topK) {
        return new Sampling(temperature, minP, topK, topP);
    }

    /** The same with another top-p; 1 is off. */
    public Sampling topP(float topP) {
        return new Sampling(temperature, minP, topK, topP);
    }

    /** The same with another temperature; 0 is greedy. */
    public Sampling temperature(float temperature) {
        return new Sampling(temperature, minP, topK, topP);
    }

    /** {@link #sample(float[], int, int, Philox)} of the whole array. */
    public int sample(float[] logits, Philox random) {
        return sample(logits, 0, logits.length, random);
    }

    /**
     * Draws a token. Allocates nothing unless top-k or top-p is on, and then one long for each token that min-p leaves.
     *
     * @param logits holds those of the vocabulary from {@code offset} on; −∞ rules a token out; not changed
     * @param random moves on by {@code vocabulary} words, or not at all if the temperature is 0
     * @return the index of the token, in 0 … vocabulary - 1
     * @throws BadLogits if a logit is NaN or +∞, or all are −∞
     */
    public int sample(float[] logits, int offset, int vocabulary, Philox random) {
        Objects.checkFromIndexSize(offset, vocabulary, logits.length);
        int best = argmax(logits, offset, vocabulary);
        if (temperature == 0) {
            return best;
        }
        float max = logits[offset + best];
        long last = last(logits, offset, vocabulary, max);
        int chosen = gumbelMax(logits, offset, vocabulary, max, last, random);
        random.skip(vocabulary);
        return chosen;
    }

    private static int argmax(float[] logits, int offset, int vocabulary) {
        int best = -1;
        float max = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < vocabulary; i++) {
            float logit = logits[offset + i];
            if (!(logit < Float.POSITIVE_INFINITY)) {
                throw new BadLogits("sample: the logit of token " + i + " of " + vocabulary + " is " + logit
                        + "; must be finite or -Infinity: has the model diverged?");
            }
            if (logit > max) {
                max = logit;
                best = i;
            }
        }
        if (best < 0) {
            throw new BadLogits("sample: none of " + vocabulary + " tokens is possible, all logits are -Infinity");
        }
        return best;
    }

    /**
     * The rank of the least probable token that the filters leave: each of them keeps the head of the tokens ordered by
     * rank.
     */
    private long last(float[] logits, int offset, int vocabulary, float max) {
        float least = Math.max(-Float.MAX_VALUE, max + (float) StrictMath.log(minP));
        if (topK == 0 && topP == 1) {
            return rank(least, Integer.MAX_VALUE);
        }
        int survivors = 0;
        for (int i = 0; i < vocabulary; i++) {
            survivors += logits[offset + i] >= least ? 1 : 0;
        }
        var ranks = new long[survivors];
        for (int i = 0, n = 0; n < survivors; i++) {
            if (logits[offset + i] >= least) {
                ranks[n++] = rank(logits[offset + i], i);
            }
        }
        Arrays.sort(ranks);
        int first = topK == 0 ? 0 : Math.max(0, survivors - topK);
        return ranks[topP == 1 ? first : nucleus(ranks, first, max)];
    }

    /**
     * The lowest of the ranks from {@code first} on, summed up from the highest, with which topP of their probability
     * is reached.
     */
    private int nucleus(long[] ranks, int first, float max) {
        double total = 0;
        for (int n = ranks.length - 1; n >= first; n--) {
            total += StrictMath.exp(logit(ranks[n]) - (double) max);
        }
        int n = ranks.length;
        for (double sum = 0; sum < topP * total && n > first; ) {
            sum += StrictMath.exp(logit(ranks[--n]) - (double) max);
        }
        return n;
    }

    private int gumbelMax(float[] logits, int offset, int vocabulary, float max, long last, Philox random) {
        int chosen = -1;
        double highest = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < vocabulary; i++) {
            if (rank(logits[offset + i], i) >= last) {
                double noise = -StrictMath.log(-StrictMath.log(Philox.openUnit(random.peek(i))));
                double perturbed = (logits[offset + i] - (double) max) / temperature + noise;
                if (perturbed > highest) {
                    highest = perturbed;
                    chosen = i;
                }
            }
        }
        return chosen;
    }

    /** Orders tokens by logit (−0 as 0), then by descending index, in one long. */
    private static long rank(float logit, int index) {
        int bits = Float.floatToRawIntBits(logit + 0f);
        int ordered = bits ^ bits >> 31 & 0x7FFFFFFF;
        return (long) ordered << 32 | ~index & 0xFFFFFFFFL;
    }

    private static float logit(long rank) {
        int ordered = (int) (rank >> 32);
        return Float.intBitsToFloat(ordered ^ ordered >> 31 & 0x7FFFFFFF);
    }
}
