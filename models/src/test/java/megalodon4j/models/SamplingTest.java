package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import megalodon4j.tensor.Philox;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SamplingTest {
    private static final float NEVER = Float.NEGATIVE_INFINITY;

    /** Logits of these probabilities. */
    private static float[] logits(double... probabilities) {
        var logits = new float[probabilities.length];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) Math.log(probabilities[i]);
        }
        return logits;
    }

    /** The tokens that come up when it is drawn often at a temperature that makes all nearly equal. */
    private static Set<Integer> survivors(Sampling sampling, float... logits) {
        var random = new Philox(1, 2);
        var seen = new TreeSet<Integer>();
        for (int i = 0; i < 400; i++) {
            seen.add(sampling.temperature(1000).sample(logits, random));
        }
        return seen;
    }

    @Test
    void minPKeepsWhatReachesItsPartOfTheMaximum() {
        var logits = logits(0.05, 0.4, 0.2, 0.25, 0.1);
        assertEquals(Set.of(0, 1, 2, 3, 4), survivors(Sampling.minP(0), logits));
        assertEquals(Set.of(0, 1, 2, 3, 4), survivors(Sampling.minP(0.12f), logits));
        assertEquals(Set.of(1, 2, 3, 4), survivors(Sampling.minP(0.13f), logits));
        assertEquals(Set.of(1, 2, 3), survivors(Sampling.minP(0.5f), logits)); // 0.2 is just enough
        assertEquals(Set.of(1, 3), survivors(Sampling.minP(0.51f), logits));
        assertEquals(Set.of(1), survivors(Sampling.minP(1), logits));
        assertEquals(Set.of(0, 2), survivors(Sampling.minP(1), 3, 1, 3));
    }

    @Test
    void topKKeepsThatManyAndOfEqualsTheFirst() {
        var plain = Sampling.plain();
        assertEquals(Set.of(1, 3), survivors(plain.topK(2), logits(0.05, 0.4, 0.2, 0.25, 0.1)));
        assertEquals(Set.of(0, 1, 2), survivors(plain.topK(7), 1, 2, 3));
        assertEquals(Set.of(1, 2, 4), survivors(plain.topK(3), 0, 1, 5, 0, 1, 1));
        assertEquals(Set.of(0, 1), survivors(plain.topK(2), 0f, -0f, 0f));
        assertEquals(Set.of(1, 2), survivors(plain.topK(2), -3f, -1f, -2f, -1e30f));
    }

    @Test
    void topPKeepsTheOneThatCrosses() {
        var plain = Sampling.plain();
        var logits = logits(0.05, 0.4, 0.2, 0.25, 0.1);
        assertEquals(Set.of(1), survivors(plain.topP(1e-6f), logits));
        assertEquals(Set.of(1), survivors(plain.topP(0.39f), logits));
        assertEquals(Set.of(1, 3), survivors(plain.topP(0.41f), logits));
        assertEquals(Set.of(1, 3), survivors(plain.topP(0.64f), logits));
        assertEquals(Set.of(1, 2, 3), survivors(plain.topP(0.66f), logits));
        assertEquals(Set.of(0, 1, 2, 3, 4), survivors(plain.topP(0.96f), logits));
        assertEquals(Set.of(0, 1), survivors(plain.topP(0.5f), 2, 2, 2, 2)); // reached, not crossed
        assertEquals(Set.of(0, 1, 2), survivors(plain.topP(0.51f), 2, 2, 2, 2));
    }

    @Test
    void eachFilterSeesWhatTheOneBeforeItLeft() {
        // Alone, top-p 0.6 takes 0.4 and 0.25; of 0.4, 0.25 and 0.2 it is 0.47 and 0.76; of 0.4 and 0.25 alone, the
        // first has 0.615.
        var logits = logits(0.4, 0.25, 0.2, 0.1, 0.05);
        assertEquals(Set.of(0, 1), survivors(Sampling.minP(0.4f).topP(0.6f), logits));
        assertEquals(Set.of(0), survivors(Sampling.plain().topK(2).topP(0.6f), logits));
        assertEquals(Set.of(0), survivors(Sampling.minP(0.6f).topP(0.6f), logits));
        assertEquals(Set.of(0), survivors(Sampling.minP(0.4f).topK(2).topP(0.6f), logits));
        assertEquals(Set.of(0, 1, 2), survivors(Sampling.minP(0.4f).topK(4), logits));
    }

    @Test
    void filtersLookAtUnscaledLogits() {
        var logits = logits(0.6, 0.3, 0.1);
        for (float temperature : new float[] {0.5f, 1, 5}) {
            var random = new Philox(3, 0);
            var sampling = Sampling.minP(0.4f).temperature(temperature);
            long second = IntStream.range(0, 2000)
                    .filter(i -> sampling.sample(logits, random) == 1)
                    .count();
            double ratio = Math.pow(2, 1 / temperature);
            double p = 1 / (1 + ratio);
            assertEquals(2000 * p, second, 5 * Math.sqrt(2000 * p * (1 - p)));
        }
    }

    @Test
    void greedyTakesTheFirstMaximumAndNoRandomNumber() {
        var random = new Philox(1, 1);
        assertEquals(1, Sampling.greedy().sample(new float[] {1, 3, 2, 3}, random));
        assertEquals(2, Sampling.greedy().sample(new float[] {NEVER, NEVER, -1e30f}, random));
        assertEquals(1, Sampling.minP(0.1f).topK(3).topP(0.5f).temperature(0).sample(new float[] {1, 3, 2}, random));
        assertEquals(0, random.position());
    }

    @Test
    void everyEntryOwnsOneWord() {
        var random = new Philox(5, 0);
        var logits = logits(0.3, 0.3, 0.2, 0.1, 0.1);
        for (var sampling :
                List.of(Sampling.plain(), Sampling.minP(0.5f), Sampling.plain().topK(1))) {
            long before = random.position();
            sampling.sample(logits, random);
            assertEquals(before + 5, random.position());
        }
        // What one filter lets through is drawn alike under another that lets it through too.
        for (int i = 0; i < 200; i++) {
            var start = random.at(5L * i);
            int free = Sampling.plain().sample(logits, start);
            if (free < 3) {
                assertEquals(free, Sampling.minP(0.5f).sample(logits, random.at(5L * i)));
                assertEquals(free, Sampling.plain().topK(3).sample(logits, random.at(5L * i)));
            }
        }
    }

    @Test
    void impossibleTokensAreNeverDrawn() {
        assertEquals(Set.of(1, 3), survivors(Sampling.plain(), NEVER, -1e30f, NEVER, -1e30f));
        assertEquals(Set.of(1, 3), survivors(Sampling.plain().topK(4).topP(0.999f), NEVER, 0, NEVER, 0));
        assertEquals(Set.of(0), survivors(Sampling.plain(), 7));
    }

    @ParameterizedTest
    @ValueSource(floats = {0.5f, 0.8f, 1, 2})
    void frequenciesAreThoseOfTheSoftmax(float temperature) {
        var logits = new float[20];
        var random = new Philox(17, 0);
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) random.nextGaussian();
        }
        int n = 100_000;
        var counts = new int[logits.length];
        var sampling = Sampling.plain().temperature(temperature);
        for (int i = 0; i < n; i++) {
            counts[sampling.sample(logits, random)]++;
        }
        double total = IntStream.range(0, 20)
                .mapToDouble(i -> Math.exp(logits[i] / temperature))
                .sum();
        double chi = 0;
        for (int i = 0; i < logits.length; i++) {
            double expected = n * Math.exp(logits[i] / temperature) / total;
            chi += (counts[i] - expected) * (counts[i] - expected) / expected;
        }
        assertTrue(chi < 19 + 5 * Math.sqrt(2 * 19), "chi² " + chi);
    }

    @Test
    void agreesWithTheNaiveChainOfFilters() {
        var random = new Philox(23, 0);
        for (int trial = 0; trial < 3000; trial++) {
            var logits = new float[1 + random.nextInt(trial % 10 == 0 ? 3000 : 40)];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = random.nextInt(10) == 0 ? random.nextInt(3) : (float) (3 * random.nextGaussian());
            }
            var sampling = new Sampling(
                    0.1f + 2 * random.nextFloat(),
                    random.nextInt(2) * random.nextFloat() * random.nextFloat(),
                    random.nextInt(2) * random.nextInt(50),
                    random.nextInt(2) == 0 ? 1 : 1 - random.nextFloat());
            int expected = naive(sampling, logits, random.at(random.position()));
            assertEquals(expected, sampling.sample(logits, random), sampling + " of " + logits.length);
        }
    }

    /** The chain as one would write it with no thought for speed. */
    private static int naive(Sampling sampling, float[] logits, Philox random) {
        var tokens = new ArrayList<>(IntStream.range(0, logits.length).boxed().toList());
        tokens.sort(Comparator.comparing(i -> -logits[i])); // stable: equals stay in order

        var p = softmax(logits, tokens);
        double least = sampling.minP() * p[0];
        tokens.removeIf(i -> Math.exp(logits[i] - (double) logits[tokens.get(0)]) * p[0] < least * (1 - 1e-7));
        if (sampling.topK() > 0 && sampling.topK() < tokens.size()) {
            tokens.subList(sampling.topK(), tokens.size()).clear();
        }
        if (sampling.topP() < 1) {
            var left = softmax(logits, tokens);
            int kept = 0;
            for (double sum = 0; kept < left.length && sum < sampling.topP(); kept++) {
                sum += left[kept];
            }
            tokens.subList(kept, tokens.size()).clear();
        }

        var noise = new double[logits.length];
        for (int i = 0; i < noise.length; i++) {
            noise[i] = -Math.log(-Math.log(Philox.openUnit(random.nextInt())));
        }
        tokens.sort(Comparator.naturalOrder());
        return tokens.stream()
                .max(Comparator.comparingDouble(i -> logits[i] / (double) sampling.temperature() + noise[i]))
                .orElseThrow();
    }

    private static double[] softmax(float[] logits, List<Integer> tokens) {
        double total = tokens.stream().mapToDouble(i -> Math.exp(logits[i])).sum();
        return tokens.stream().mapToDouble(i -> Math.exp(logits[i]) / total).toArray();
    }

    @Test
    void readsOneRowOfMany() {
        var rows = new float[] {9, 0, 0, 0, 0, 5, 9, 9};
        assertEquals(2, Sampling.greedy().sample(rows, 3, 3, new Philox(0, 0)));
        var random = new Philox(4, 4);
        for (int i = 0; i < 100; i++) {
            var row = new float[] {1, 0, 2};
            int alone = Sampling.minP(0.1f).topP(0.9f).sample(row, random.at(random.position()));
            assertEquals(alone, Sampling.minP(0.1f).topP(0.9f).sample(new float[] {7, 1, 0, 2, 7}, 1, 3, random));
        }
        assertThrows(IndexOutOfBoundsException.class, () -> Sampling.greedy().sample(rows, 6, 3, random));
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
    void refusesLogitsThatAreNoNumbers(float bad) {
        for (var sampling :
                List.of(Sampling.greedy(), Sampling.plain(), Sampling.minP(0.1f).topK(1))) {
            var random = new Philox(0, 0);
            var error = assertThrows(Sampling.BadLogits.class, () -> sampling.sample(new float[] {1, bad, 2}, random));
            assertEquals(
                    "sample: the logit of token 1 of 3 is " + bad
                            + "; must be finite or -Infinity: has the model diverged?",
                    error.getMessage());
            assertEquals(0, random.position());
        }
    }

    @Test
    void refusesToDrawFromNothing() {
        var random = new Philox(0, 0);
        var none = assertThrows(
                Sampling.BadLogits.class, () -> Sampling.plain().sample(new float[] {NEVER, NEVER}, random));
        assertEquals("sample: none of 2 tokens is possible, all logits are -Infinity", none.getMessage());
        assertThrows(IllegalArgumentException.class, () -> Sampling.greedy().sample(new float[0], random));
    }

    @Test
    void optionsAreChecked() {
        assertRefused("temperature must be finite and at least 0 (greedy), got -0.1", -0.1f, 0, 0, 1);
        assertRefused("temperature must be finite and at least 0 (greedy), got NaN", Float.NaN, 0, 0, 1);
        assertRefused(
                "temperature must be finite and at least 0 (greedy), got Infinity", Float.POSITIVE_INFINITY, 0, 0, 1);
        assertRefused("min-p must be from 0 (off) to 1, got 1.5", 1, 1.5f, 0, 1);
        assertRefused("min-p must be from 0 (off) to 1, got NaN", 1, Float.NaN, 0, 1);
        assertRefused("top-k must be at least 0 (off), got -1", 1, 0, -1, 1);
        assertRefused("top-p must be more than 0 and at most 1 (off), got 0.0", 1, 0, 0, 0);
        assertRefused("top-p must be more than 0 and at most 1 (off), got NaN", 1, 0, 0, Float.NaN);
        assertEquals(
                new Sampling(0.8f, 0.1f, 40, 0.9f),
                Sampling.minP(0.1f).topK(40).topP(0.9f).temperature(0.8f));
    }

    private static void assertRefused(String message, float temperature, float minP, int topK, float topP) {
        var error = assertThrows(IllegalArgumentException.class, () -> new Sampling(temperature, minP, topK, topP));
        assertEquals(message, error.getMessage());
    }
}
