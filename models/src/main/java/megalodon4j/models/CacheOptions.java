package megalodon4j.models;

import static megalodon4j.models.ModelConfig.require;

/**
 * Which keys a cache keeps for the attention of later tokens.
 *
 * @param maxCacheLen the number of keys, for a sliding window; 0 for as many as make streaming equal to the forward pass over the whole sequence:
 *     a Megalodon's are those of the current chunk, so that its chunk size says the same as 0, a Llama's are all
 * @param unbounded whether all keys are kept; then {@code maxCacheLen} is 0
 */
public record CacheOptions(int maxCacheLen, boolean unbounded) {
    /** The keys that the forward pass over the whole sequence sees: a Megalodon's of the current chunk, a Llama's all. */
    public static final CacheOptions CHUNK_LOCAL = new CacheOptions(0, false);

    /** All keys. */
    public static final CacheOptions UNBOUNDED = new CacheOptions(0, true);

    /** @throws IllegalArgumentException naming the option whose value is not allowed */
    public CacheOptions {
        require(maxCacheLen >= 0, "max_cache_len", maxCacheLen, "be positive, or 0 for the keys of the forward pass");
        require(!unbounded || maxCacheLen == 0, "max_cache_len", maxCacheLen, "be 0 when cache_unbounded is set");
    }

    /** The last {@code keys} keys; a Megalodon needs at least a chunk's. */
    public static CacheOptions window(int keys) {
        ModelConfig.requirePositive("max_cache_len", keys);
        return new CacheOptions(keys, false);
    }
}
