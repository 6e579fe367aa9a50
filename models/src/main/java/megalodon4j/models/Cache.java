package megalodon4j.models;

import java.io.IOException;
import java.nio.file.Path;

/**
 * What a model keeps of the tokens it has been fed, so that the next ones cost no more than themselves. Rows are sequences that are fed side by
 * side and share one position.
 */
public interface Cache {
    /** The number of rows B. */
    int batch();

    /** Tokens fed so far to each row. */
    long position();

    /** Which keys are kept. */
    CacheOptions options();

    /** How many of {@code remaining} tokens the model takes in one call: the rest follows in further ones. */
    int nextBlock(int remaining);

    /** A cache of the same contents that goes its own way. */
    Cache copy();

    /**
     * A cache of some of the rows, copied: row i of the result is row {@code rows[i]} of this one. A row may come several times.
     *
     * @throws IllegalArgumentException if there are no rows, or one does not exist
     */
    Cache select(int... rows);

    /**
     * Takes back all but the first {@code tokens} tokens of each row.
     *
     * @throws IllegalArgumentException if fewer have been fed
     * @throws UnsupportedOperationException if the model carries sums over all tokens, as Megalodon does, and any would have to go; or if keys have
     *     been forgotten that the first tokens need
     */
    void trim(long tokens);

    /**
     * Forgets all keys but the last {@code keys} of each layer, to free memory or to look back less far; positions and what else a model carries
     * stay. Later tokens add their own.
     *
     * @throws IllegalArgumentException if the number is negative
     */
    void keepKeys(int keys);

    /** Writes a SafeTensors file for {@link LanguageModel#loadCache}, bound to the model's config. */
    void save(Path file) throws IOException;
}
