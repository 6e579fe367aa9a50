package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import megalodon4j.models.Generated.End;
import megalodon4j.tensor.Backend;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GeneratorTest {
    private static final int[] PROMPT = Utf8Stream.tokens("A keeper's log");

    private static Backend backend;
    private static Megalodon megalodon;
    private static Llama llama;

    @BeforeAll
    static void open() {
        backend = Backend.cpu(1);
        megalodon = TinyModels.megalodon(backend, 1);
        llama = TinyModels.random(TinyModels.llama().create(backend, 1), 1);
    }

    @AfterAll
    static void close() {
        backend.close();
    }

    private static LanguageModel model(String kind) {
        return kind.equals("llama") ? llama : megalodon;
    }

    private static GenerationOptions options(int count) {
        return GenerationOptions.of(Sampling.plain().temperature(5), count).seed(5);
    }

    private static int[] tokens(LanguageModel model, GenerationOptions options) {
        return new Generator(model, options).generate(PROMPT, _ -> {}).tokens();
    }

    @Test
    void theCacheIsTheOneOfTheOptions() {
        var window = CacheOptions.window(12);
        var options = options(3).cache(window);
        assertEquals(
                window,
                new Generator(megalodon, options)
                        .generate(PROMPT, _ -> {})
                        .session()
                        .cache()
                        .options());
        var tooShort = options(3).cache(CacheOptions.window(7));
        assertThrows(IllegalArgumentException.class, () -> new Generator(megalodon, tooShort));
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void theSeedDecides(String kind) {
        var model = model(kind);
        var one = tokens(model, options(30));
        assertEquals(30, one.length);
        assertArrayEquals(one, tokens(model, options(30)));
        assertFalse(Arrays.equals(one, tokens(model, options(30).seed(6))));
        assertArrayEquals(Arrays.copyOf(one, 20), tokens(model, options(20)));
    }

    @Test
    void greedyIsWhatTheLogitsSay() {
        var got = tokens(megalodon, GenerationOptions.of(Sampling.greedy(), 12));
        var text = PROMPT;
        for (int token : got) {
            var logits = megalodon.session().feed(text);
            int best = Sampling.greedy().sample(logits, null);
            assertEquals(best, token);
            text = append(text, token);
        }
    }

    private static int[] append(int[] a, int... b) {
        return IntStream.concat(Arrays.stream(a), Arrays.stream(b)).toArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void aRowIsWhatItIsAlone(String kind) {
        var generator = new Generator(model(kind), options(20));
        var prompts = List.of(PROMPT, new int[0], new int[] {7}, PROMPT);
        var streamed = new ArrayList<List<Integer>>();
        prompts.forEach(_ -> streamed.add(new ArrayList<>()));
        var rows = generator.generate(prompts, (row, token) -> streamed.get(row).add(token));
        for (int row = 0; row < prompts.size(); row++) {
            var alone = generator.generate(prompts.get(row), row, _ -> {});
            assertArrayEquals(alone.tokens(), rows.get(row).tokens());
            assertEquals(Arrays.stream(alone.tokens()).boxed().toList(), streamed.get(row));
        }
        assertNotEquals(streamed.get(0), streamed.get(3), "equal prompts have their own random numbers");
        assertEquals(List.of(), generator.generate(List.of(), (_, _) -> {}));
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void partsAreTheWhole(String kind) {
        var model = model(kind);
        var whole = tokens(model, options(30));
        var part = new Generator(model, options(0)).generate(PROMPT, _ -> {});
        var got = part.tokens();
        for (int count : new int[] {1, 11, 0, 18}) {
            part = new Generator(model, options(count)).resume(part, new int[0], _ -> {});
            got = append(got, part.tokens());
        }
        assertArrayEquals(whole, got);
        assertEquals(PROMPT.length + 29, part.session().position());
    }

    @Test
    void moreOfTheUsersTextIsReadAfterWhatWasWritten() {
        var greedy = new Generator(megalodon, GenerationOptions.of(Sampling.greedy(), 6));
        var first = greedy.generate(PROMPT, _ -> {});
        var whole = append(append(PROMPT, first.tokens()), 'a', 'b');
        var second = greedy.resume(first, new int[] {'a', 'b'}, _ -> {});
        assertArrayEquals(greedy.generate(whole, _ -> {}).tokens(), second.tokens());
        assertThrows(IllegalStateException.class, () -> greedy.resume(first, new int[0], _ -> {}));
        var other = new Generator(model("llama"), options(1));
        assertThrows(IllegalArgumentException.class, () -> other.resume(second, new int[0], _ -> {}));
    }

    @Test
    void anEmptyPromptIsTokenZero() {
        var generator = new Generator(megalodon, options(10));
        assertArrayEquals(
                generator.generate(new int[] {0}, _ -> {}).tokens(),
                generator.generate(new int[0], _ -> {}).tokens());
    }

    @Test
    void theEndOfTextIsNotPartOfIt() {
        var all = tokens(megalodon, options(30));
        int end = all[12];
        int first =
                IntStream.range(0, 30).filter(i -> all[i] == end).findFirst().orElseThrow();
        var generator = new Generator(megalodon, options(30).endOfText(end));
        var got = generator.generate(PROMPT, _ -> {});
        assertEquals(End.END_OF_TEXT, got.end());
        assertArrayEquals(Arrays.copyOf(all, first), got.tokens());
    }

    @Test
    void aStopStringIsNotPartOfItEither() {
        var all = tokens(megalodon, options(30));
        var stop = new byte[] {(byte) all[12], (byte) all[13], (byte) all[14]};
        var streamed = new ArrayList<Integer>();
        var generator = new Generator(
                megalodon, options(30).stopAt("never").stopAt(stop).stopAt(Arrays.copyOfRange(stop, 1, 3)));
        var got = generator.generate(PROMPT, streamed::add);
        assertEquals(End.STOP_STRING, got.end());
        assertArrayEquals(Arrays.copyOf(all, 12), got.tokens());
        assertEquals(Arrays.stream(got.tokens()).boxed().toList(), streamed);
        // It goes on behind the stop string.
        var rest = new Generator(megalodon, options(15)).resume(got, new int[0], _ -> {});
        assertArrayEquals(Arrays.copyOfRange(all, 15, 30), rest.tokens());
    }

    @Test
    void aStopStringMayBeginInAnEarlierPart() {
        var all = tokens(megalodon, options(30));
        var stop = new byte[] {(byte) all[12], (byte) all[13], (byte) all[14]};
        for (int first : new int[] {13, 14}) {
            var part = new Generator(megalodon, options(first).stopAt(stop)).generate(PROMPT, _ -> {});
            assertArrayEquals(Arrays.copyOf(all, first), part.tokens());
            assertEquals(End.LENGTH, part.end());
            part = new Generator(megalodon, options(0).stopAt(stop)).resume(part, new int[0], _ -> {});
            part = new Generator(megalodon, options(10).stopAt(stop)).resume(part, new int[0], _ -> {});
            assertEquals(End.STOP_STRING, part.end());
            assertEquals(0, part.tokens().length);
        }
        // One that does not come to its end is a part of the text.
        stop[2]++;
        var part = new Generator(megalodon, options(14).stopAt(stop)).generate(PROMPT, _ -> {});
        part = new Generator(megalodon, options(16).stopAt(stop)).resume(part, new int[0], _ -> {});
        assertArrayEquals(Arrays.copyOfRange(all, 14, 30), part.tokens());
        // Nor does one that the user's text interrupts.
        part = new Generator(megalodon, options(14).stopAt(stop)).generate(PROMPT, _ -> {});
        var more = new Generator(megalodon, options(0).stopAt(stop)).resume(part, new int[] {7}, _ -> {});
        assertEquals(List.of(), more.held());
    }

    @Test
    void nothingIsHeldBackLongerThanNeeded() {
        var text = new StringBuilder();
        var filter = new StopFilter(List.of(ints("abac"), ints("bx")), List.of(), token -> text.append((char) token));
        var fed = "ababaz";
        var seen = new String[] {"", "", "", "ab", "ab", "ababaz"};
        for (int i = 0; i < fed.length(); i++) {
            assertFalse(filter.add(fed.charAt(i)));
            assertEquals(seen[i], text.toString());
        }
        text.setLength(0);
        filter.add('a');
        filter.add('b');
        assertEquals("", text.toString());
        assertTrue(filter.add('x'));
        filter.finish();
        assertEquals("a", text.toString());
        text.setLength(0);
        filter.add('a');
        filter.add('b');
        filter.finish();
        assertEquals("ab", text.toString());
    }

    private static List<Integer> ints(String text) {
        return text.chars().boxed().toList();
    }

    @Test
    void whatTheSinkThrowsEndsIt() {
        var generator = new Generator(megalodon, options(30));
        var count = new int[1];
        assertThrows(
                IllegalStateException.class,
                () -> generator.generate(PROMPT, _ -> {
                    if (++count[0] == 3) {
                        throw new IllegalStateException();
                    }
                }));
        assertEquals(3, count[0]);
    }

    /** Between the blocks of a prompt, and before each token of its own is read. */
    @ParameterizedTest
    @CsvSource({"llama, 512, 3", "megalodon, 8, 15"})
    void whatTheCheckThrowsEndsItInThePromptAsWell(String kind, int block, int blocks) {
        var prompt = new int[(blocks - 1) * block + 1];
        for (int end : new int[] {1, 2, blocks, blocks + 1, blocks + 3}) {
            var text = new ArrayList<Integer>();
            var checks = new int[1];
            var generator = new Generator(model(kind), options(5).cache(CacheOptions.UNBOUNDED), () -> {
                if (++checks[0] == end) {
                    throw new IllegalStateException();
                }
            });
            assertThrows(IllegalStateException.class, () -> generator.generate(prompt, text::add));
            assertEquals(end, checks[0]);
            assertEquals(Math.max(0, end - blocks), text.size());
        }
    }

    /** More outputs than tokens that can be read, or fewer: every token drawn is fed back. */
    @ParameterizedTest
    @ValueSource(ints = {1000, 200})
    void whatCannotBeReadIsNotWritten(int outputs) {
        var model = TinyModels.random(TinyModels.megalodon(outputs).create(backend, 1), 1);
        var got = tokens(model, options(60));
        assertEquals(60, got.length);
        assertTrue(Arrays.stream(got).allMatch(token -> token < Math.min(outputs, 256)), Arrays.toString(got));
    }

    @Test
    void optionsAreChecked() {
        assertThrows(IllegalArgumentException.class, () -> options(-1));
        assertThrows(IllegalArgumentException.class, () -> options(1).endOfText(-1));
        assertThrows(IllegalArgumentException.class, () -> options(1).stopAt(""));
        assertThrows(
                IllegalArgumentException.class,
                () -> new Generator(megalodon, options(1).endOfText(256)));
        for (int tokens = 0; tokens < 2; tokens++) {
            var generator = new Generator(megalodon, options(tokens));
            assertThrows(IllegalArgumentException.class, () -> generator.generate(new int[] {1, 256}, _ -> {}));
        }
        assertEquals(options(3).stopAt("é"), options(3).stopAt(new byte[] {(byte) 0xC3, (byte) 0xA9}));
    }
}
