package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PhiloxTest {
    /** The vectors of Random123's kat_vectors. */
    @Test
    void agreesWithThePublishedVectors() {
        assertBlock(0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8");
        assertBlock(-1, -1, -1, "408f276d 41c83b0e a20bc7c6 6d5451fd");
        assertBlock(
                0x85a308d3_243f6a88L,
                0x03707344_13198a2eL,
                0x299f31d0_a4093822L,
                "d16cfe09 94fdcceb 5001e420 24126ea1");
    }

    private static void assertBlock(long counterLow, long counterHigh, long key, String expected) {
        var words = new int[6];
        Philox.block(counterLow, counterHigh, key, words, 1);
        assertEquals(expected, String.format("%08x %08x %08x %08x", words[1], words[2], words[3], words[4]));
        assertEquals(0, words[0] | words[5]);
    }

    @Test
    void aStreamIsTheWordsOfItsBlocks() {
        var random = new Philox(12, 34);
        var words = new int[4];
        for (int block = 0; block < 5; block++) {
            Philox.block(block, 34, 12, words, 0);
            assertArrayEquals(
                    words, new int[] {random.nextInt(), random.nextInt(), random.nextInt(), random.nextInt()});
        }
        assertEquals(20, random.position());
        Philox.block(1L << 40, 34, 12, words, 0);
        assertEquals(words[3], random.at((1L << 42) + 3).nextInt());
    }

    @Test
    void resumesAtAnyPosition() {
        Consumer<Philox> use = r -> {
            r.nextInt();
            r.nextLong();
            r.nextFloat();
            r.nextDouble();
            r.nextGaussian();
            r.nextInt(1000);
            r.permutation(7);
        };
        var random = new Philox(7, 1);
        for (int i = 0; i < 50; i++) {
            use.accept(random);
            var resumed = new Philox(random.seed(), random.stream()).at(random.position());
            long position = random.position();
            assertEquals(random.peek(3), resumed.peek(3));
            assertEquals(position, resumed.position());
            var again = random.at(position);
            assertEquals(resumed.nextGaussian(), again.nextGaussian());
            assertEquals(resumed.nextLong(), again.nextLong());
            assertEquals(position, random.position());
        }
    }

    @Test
    void eachMethodTakesAsManyWordsAsItSays() {
        var random = new Philox(3, 0);
        random.nextInt();
        random.nextFloat();
        assertEquals(2, random.position());
        random.nextLong();
        random.nextDouble();
        random.nextGaussian();
        assertEquals(8, random.position());
        random.nextInt(1 << 20);
        assertEquals(9, random.position());
        random.peek(100);
        assertEquals(9, random.position());
        random.skip(91);
        assertEquals(random.at(0).peek(100), random.nextInt());
    }

    @Test
    void seedsAndStreamsDiffer() {
        var first = new Philox(1, 0).nextLong();
        assertNotEquals(first, new Philox(2, 0).nextLong());
        assertNotEquals(first, new Philox(1, 1).nextLong());
        assertNotEquals(first, new Philox(1L << 32 | 1, 0).nextLong());
        assertNotEquals(first, new Philox(1, 1L << 32).nextLong());
    }

    @Test
    void uniformNumbersHaveTheirMoments() {
        var random = new Philox(5, 5);
        int n = 200_000;
        double sum = 0;
        double squares = 0;
        for (int i = 0; i < n; i++) {
            double x = i % 2 == 0 ? random.nextFloat() : random.nextDouble();
            assertTrue(x >= 0 && x < 1);
            sum += x;
            squares += x * x;
        }
        assertEquals(0.5, sum / n, 5 * Math.sqrt(1 / 12.0 / n));
        assertEquals(1 / 3.0, squares / n, 5 * Math.sqrt(4 / 45.0 / n));
    }

    @Test
    void normalNumbersHaveTheirMoments() {
        var random = new Philox(6, 6);
        int n = 200_000;
        var powers = new double[5];
        double neighbours = 0;
        double before = 0;
        for (int i = 0; i < n; i++) {
            double x = random.nextGaussian();
            for (int k = 1; k <= 4; k++) {
                powers[k] += Math.pow(x, k) / n;
            }
            neighbours += x * before / n;
            before = x;
        }
        double sigma = 1 / Math.sqrt(n);
        assertEquals(0, powers[1], 5 * sigma);
        assertEquals(1, powers[2], 5 * Math.sqrt(2) * sigma);
        assertEquals(0, powers[3], 5 * Math.sqrt(15) * sigma);
        assertEquals(3, powers[4], 5 * Math.sqrt(96) * sigma);
        assertEquals(0, neighbours, 5 * sigma);
    }

    @Test
    void boundedNumbersAreUniform() {
        var random = new Philox(8, 0);
        for (int bound : new int[] {1, 2, 3, 7, 64, 1000}) {
            int n = 1000 * bound;
            var counts = new int[bound];
            for (int i = 0; i < n; i++) {
                counts[random.nextInt(bound)]++;
            }
            double chi = Arrays.stream(counts)
                    .mapToDouble(c -> (c - 1000.0) * (c - 1000.0) / 1000)
                    .sum();
            assertTrue(chi <= bound + 5 * Math.sqrt(2.0 * bound), "bound " + bound + ": chi² " + chi);
        }
    }

    /** With a bound of 3 · 2^29 a word taken modulo the bound would fall into the lower third twice as often. */
    @Test
    void greatBoundsAreUnbiased() {
        var random = new Philox(9, 0);
        int bound = 3 << 29;
        int n = 60_000;
        long low = IntStream.range(0, n)
                .filter(i -> random.nextInt(bound) < bound / 3)
                .count();
        assertEquals(n / 3.0, low, 5 * Math.sqrt(n * 2 / 9.0));
    }

    @Test
    void permutationsHoldEachNumberOnceAndAreUniform() {
        var random = new Philox(10, 0);
        var sorted = random.permutation(1000);
        Arrays.sort(sorted);
        assertArrayEquals(IntStream.range(0, 1000).toArray(), sorted);
        assertEquals(0, random.permutation(0).length);

        var counts = new int[6];
        for (int i = 0; i < 6000; i++) {
            var p = random.permutation(3);
            counts[2 * p[0] + (p[1] > p[2] ? 1 : 0)]++;
        }
        double chi = Arrays.stream(counts)
                .mapToDouble(c -> (c - 1000.0) * (c - 1000.0) / 1000)
                .sum();
        assertTrue(chi < 25, "chi² " + chi);
    }

    @Test
    void wordsBecomeNumbersInsideTheirIntervals() {
        assertEquals(0f, Philox.unit(0));
        assertEquals(1 - 0x1p-24f, Philox.unit(-1));
        assertEquals(0x1p-33, Philox.openUnit(0));
        assertEquals(1 - 0x1p-33, Philox.openUnit(-1));
    }

    @Test
    void refusesWhatCannotBe() {
        var random = new Philox(1, 1);
        assertThrows(IllegalArgumentException.class, () -> random.at(-1));
        assertThrows(IllegalArgumentException.class, () -> random.skip(-1));
        assertThrows(IllegalArgumentException.class, () -> random.nextInt(0));
    }
}
