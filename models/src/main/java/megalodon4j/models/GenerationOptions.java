package megalodon4j.models;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * How a text is continued.
 *
 * <pre>{@code
 * GenerationOptions.of(Sampling.minP(0.1f), 200).seed(1).stopAt("\n\n")
 * }</pre>
 *
 * @param sampling how a token is drawn
 * @param maxNewTokens how many at most
 * @param seed of all that is random; the same seed gives the same text
 * @param endOfText the token that ends a text and is not part of it; null for none
 * @param stops tokens after which the text ends, which are not part of it either; none is empty
 * @param cache which keys are kept for the attention of later tokens
 */
public record GenerationOptions(
        Sampling sampling,
        int maxNewTokens,
        long seed,
        Integer endOfText,
        List<List<Integer>> stops,
        CacheOptions cache) {
    /** @throws IllegalArgumentException if an option is out of its range */
    public GenerationOptions {
        Objects.requireNonNull(sampling, "sampling");
        Objects.requireNonNull(cache, "cache");
        require(maxNewTokens >= 0, "max-new-tokens must be at least 0, got " + maxNewTokens);
        require(endOfText == null || endOfText >= 0, "end-of-text must be a token or null, got " + endOfText);
        stops = stops.stream().map(List::copyOf).toList();
        require(stops.stream().noneMatch(List::isEmpty), "a stop string must have at least one byte");
    }

    private static void require(boolean condition, String otherwise) {
        if (!condition) {
            throw new IllegalArgumentException(otherwise);
        }
    }

    /** Ends after so many tokens and nowhere else; seed 0. */
    public static GenerationOptions of(Sampling sampling, int maxNewTokens) {
        return new GenerationOptions(sampling, maxNewTokens, 0, null, List.of(), CacheOptions.CHUNK_LOCAL);
    }

    /** The same with another seed. */
    public GenerationOptions seed(long seed) {
        return new GenerationOptions(sampling, maxNewTokens, seed, endOfText, stops, cache);
    }

    /** The same with a token that ends the text. */
    public GenerationOptions endOfText(int token) {
        return new GenerationOptions(sampling, maxNewTokens, seed, token, stops, cache);
    }

    /** The same with one more sequence of bytes that ends the text. */
    public GenerationOptions stopAt(byte[] bytes) {
        var stop = IntStream.of(Utf8Stream.tokens(bytes));
        var more = Stream.concat(stops.stream(), Stream.of(stop.boxed().toList()));
        return new GenerationOptions(sampling, maxNewTokens, seed, endOfText, more.toList(), cache);
    }

    /** {@link #stopAt(byte[])} with a text's UTF-8. */
    public GenerationOptions stopAt(String text) {
        return stopAt(text.getBytes(StandardCharsets.UTF_8));
    }

    /** The same with a cache that keeps other keys. */
    public GenerationOptions cache(CacheOptions cache) {
        return new GenerationOptions(sampling, maxNewTokens, seed, endOfText, stops, cache);
    }
}
