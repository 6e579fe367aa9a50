package megalodon4j.models;

import static megalodon4j.models.ModelConfig.require;

/**
 * Which keys a cache keeps for the attention of later tokens. Llama keeps all of them in any case.
 *
 * @param maxCacheLen the number of keys: 0 or Megalodon's chunk size for those of the current chunk, which makes streaming equal to the forward
 *     pass over the whole sequence; more for a sliding window of that many
 * @param unbounded whether all keys are kept; then {@code maxCacheLen} is 0
 */
public record CacheOptions(int maxCacheLen, boolean unbounded) {
    /** The keys of the current chunk. */
    public static final CacheOptions CHUNK_LOCAL = new CacheOptions(0, false);

    /** All keys. */
    public static final CacheOptions UNBOUNDED = new CacheOptions(0, true);

    /** @throws IllegalArgumentException naming the option whose value is not allowed */
    public CacheOptions {
        require(maxCacheLen >= 0, "max_cache_len", maxCacheLen, "be positive, or 0 for the chunk size");
        require(!unbounded || maxCacheLen == 0, "max_cache_len", maxCacheLen, "be 0 when cache_unbounded is set");
    }

    /** The last {@code keys} keys, at least a chunk's. */
    public static CacheOptions window(int keys) {
        ModelConfig.requirePositive("max_cache_len", keys);
        return new CacheOptions(keys, false);
    }
}
