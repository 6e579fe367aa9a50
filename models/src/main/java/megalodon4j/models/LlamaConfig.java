package megalodon4j.models;

import static megalodon4j.models.ModelConfig.require;
import static megalodon4j.models.ModelConfig.requireMatrix;
import static megalodon4j.models.ModelConfig.requirePositive;

import megalodon4j.tensor.Backend;

/**
 * A Llama-style transformer.
 *
 * @param numTokens vocabulary V
 * @param dim model width D
 * @param depth layers
 * @param heads H
 * @param dimHead width of a head, even
 * @param tiedEmbedding whether the logits use the embedding
 * @param ffnDimMultiplier the hidden width as a multiple of {@code dim}; null for 8/3 (see {@link #hiddenDim})
 */
public record LlamaConfig(
        int numTokens, int dim, int depth, int heads, int dimHead, boolean tiedEmbedding, Double ffnDimMultiplier)
        implements ModelConfig {

    /** @throws IllegalArgumentException naming the YAML key whose value is not allowed */
    public LlamaConfig {
        requirePositive("num_tokens", numTokens);
        requirePositive("dim", dim);
        requirePositive("depth", depth);
        requirePositive("heads", heads);
        require(dimHead >= 2 && dimHead % 2 == 0, "dim_head", dimHead, "be even and at least 2 (RoPE rotates pairs)");
        require(
                ffnDimMultiplier == null
                        || ffnDimMultiplier > 0 && ffnDimMultiplier * dim >= 1 && ffnDimMultiplier < 1e4,
                "ffn_dim_multiplier",
                ffnDimMultiplier,
                "give a hidden width of at least 1");
        requireMatrix("num_tokens, dim", numTokens, dim);
        requireMatrix("heads, dim_head, dim", (long) heads * dimHead, dim);
        requireMatrix("ffn_dim_multiplier, dim", hiddenDim(dim, ffnDimMultiplier), dim);
    }

    /** The matched baseline of the enwik8 comparison: 12,489,600 parameters. */
    public static LlamaConfig enwik8() {
        return new LlamaConfig(256, 384, 6, 6, 64, true, 2.67);
    }

    /** What the training repository's Llama is where a config is silent: 16 layers of width 512 for bytes. */
    public static LlamaConfig base() {
        return new LlamaConfig(256, 512, 16, 8, 64, true, null);
    }

    @Override
    public String kind() {
        return "llama";
    }

    @Override
    public int outputs() {
        return numTokens;
    }

    @Override
    public int widest() {
        return Math.max(Math.max(numTokens, dim), Math.max(heads * dimHead, hiddenDim()));
    }

    /** {@code int(multiplier · dim)} or {@code int(8 · dim / 3)}, rounded up to a multiple of 256. */
    public int hiddenDim() {
        return (int) hiddenDim(dim, ffnDimMultiplier);
    }

    private static long hiddenDim(int dim, Double multiplier) {
        long wanted = multiplier == null ? 8L * dim / 3 : (long) (multiplier * dim);
        return (wanted + 255) / 256 * 256;
    }

    @Override
    public void check(CacheOptions options) {} // any window will do

    @Override
    public Llama create(Backend backend, long seed) {
        return new Llama(this, backend, seed);
    }
}
