package megalodon4j.models;

import static megalodon4j.models.ModelConfig.require;
import static megalodon4j.models.ModelConfig.requireMatrix;
import static megalodon4j.models.ModelConfig.requirePositive;

import java.util.stream.IntStream;
import megalodon4j.tensor.Backend;

/**
 * A Megalodon (Ma et al. 2024). Letters: D {@code modelDim}, H {@code numHeads}, Z {@code zDim}, E {@code valueDim}, N {@code cemaNdim}.
 *
 * @param numTokens vocabulary V
 * @param modelDim D
 * @param numLayers blocks
 * @param numHeads H, divides Z and E
 * @param zDim Z, width of the shared projection of queries and keys; Z / H is even
 * @param valueDim E
 * @param ffnHiddenDim hidden width of the FFN
 * @param cemaNdim N, complex states of the EMA a channel
 * @param chunkSize tokens that attend to each other
 * @param normNumGroups groups of the timestep norms, divides D
 * @param dropout the probability with which training drops an element of the results of attention and FFN, less than 1
 * @param attentionDropout the same for the attention weights
 * @param hiddenDropout the same for inner activations: the attention block's m and its gated output, and the FFN's hidden layer
 * @param swiglu whether the FFN is gated
 * @param rescaleNffn whether the FFN of layer i is scaled by 0.1 · 0.5ⁱ
 * @param scaleEmb whether embeddings are multiplied by √D
 * @param normAffine whether the norms have weights
 * @param ropeBase null for 10000
 * @param initMode how weights start
 * @param gradientCheckpointing whether blocks are recomputed in the backward pass
 * @param outputSize width of an own output layer; 0 for logits over the vocabulary by the embedding
 * @param cema how training evaluates the EMA
 */
public record MegalodonConfig(
        int numTokens,
        int modelDim,
        int numLayers,
        int numHeads,
        int zDim,
        int valueDim,
        int ffnHiddenDim,
        int cemaNdim,
        int chunkSize,
        int normNumGroups,
        double dropout,
        double attentionDropout,
        double hiddenDropout,
        boolean swiglu,
        boolean rescaleNffn,
        boolean scaleEmb,
        boolean normAffine,
        Double ropeBase,
        InitMode initMode,
        boolean gradientCheckpointing,
        int outputSize,
        EmaChoice cema)
        implements ModelConfig {

    /** @throws IllegalArgumentException naming the YAML key whose value is not allowed */
    public MegalodonConfig {
        requirePositive("num_tokens", numTokens);
        requirePositive("model_dim", modelDim);
        requirePositive("num_layers", numLayers);
        requirePositive("num_heads", numHeads);
        requirePositive("z_dim", zDim);
        requirePositive("value_dim", valueDim);
        requirePositive("ffn_hidden_dim", ffnHiddenDim);
        requirePositive("cema_ndim", cemaNdim);
        requirePositive("chunk_size", chunkSize);
        requirePositive("norm_num_groups", normNumGroups);
        require(
                zDim % numHeads == 0 && zDim / numHeads % 2 == 0,
                "z_dim",
                zDim,
                "be a multiple of 2 * num_heads = " + 2 * numHeads);
        require(valueDim % numHeads == 0, "value_dim", valueDim, "be a multiple of num_heads = " + numHeads);
        require(modelDim % normNumGroups == 0, "norm_num_groups", normNumGroups, "divide model_dim = " + modelDim);
        requireRate("dropout", dropout);
        requireRate("attention_dropout", attentionDropout);
        requireRate("hidden_dropout", hiddenDropout);
        require(ropeBase == null || ropeBase > 1, "rope_base", ropeBase, "be greater than 1, or null for 10000");
        require(outputSize >= 0, "output_size", outputSize, "be positive, or 0 for the vocabulary");
        requireMatrix("num_tokens, model_dim", numTokens, modelDim);
        requireMatrix("output_size, model_dim", outputSize, modelDim);
        requireMatrix("model_dim", modelDim, modelDim);
        requireMatrix("z_dim, model_dim", zDim, modelDim);
        requireMatrix("value_dim, model_dim", valueDim, modelDim);
        requireMatrix("ffn_hidden_dim, model_dim", ffnHiddenDim, modelDim);
        requireMatrix("cema_ndim, model_dim", 5L * cemaNdim, modelDim); // the EMA's coefficients
    }

    private static void requireRate(String name, double value) {
        require(value >= 0 && value < 1, name, value, "be at least 0 and less than 1");
    }

    /** The model of the enwik8 comparison: chunks of 256, 11,277,696 parameters. */
    public static MegalodonConfig enwik8() {
        return new MegalodonConfigBuilder()
                .numTokens(256)
                .modelDim(384)
                .numLayers(6)
                .numHeads(3)
                .zDim(192)
                .valueDim(384)
                .ffnHiddenDim(1024)
                .cemaNdim(8)
                .chunkSize(256)
                .swiglu(true)
                .initMode(InitMode.BERT)
                .build();
    }

    /** What megalodon-hf and megalodon-jax are where nothing is said: 12 layers of width 1024 for 32,000 tokens, chunks of 2048. */
    public static MegalodonConfig base() {
        return new MegalodonConfigBuilder().build();
    }

    /** The 7B set-up of megalodon-hf: 32 layers of width 4096 for 32,000 tokens, chunks of 4096. */
    public static MegalodonConfig sevenB() {
        return new MegalodonConfigBuilder()
                .modelDim(4096)
                .numLayers(32)
                .numHeads(4)
                .zDim(1024)
                .valueDim(8192)
                .ffnHiddenDim(11_264)
                .chunkSize(4096)
                .normNumGroups(64)
                .ropeBase(100_000.0)
                .swiglu(true)
                .build();
    }

    /** A builder of configs that differ from this one in what is set. */
    public MegalodonConfigBuilder toBuilder() {
        return new MegalodonConfigBuilder(this);
    }

    @Override
    public String kind() {
        return "megalodon";
    }

    /** Whether training drops anything. */
    public boolean dropsOut() {
        return dropout > 0 || attentionDropout > 0 || hiddenDropout > 0;
    }

    @Override
    public int outputs() {
        return outputSize == 0 ? numTokens : outputSize;
    }

    @Override
    public int widest() {
        return IntStream.of(outputs(), modelDim, zDim, valueDim, ffnHiddenDim)
                .max()
                .getAsInt();
    }

    /** Whether the logits use the embedding. */
    public boolean tied() {
        return outputs() == numTokens;
    }

    @Override
    public void check(CacheOptions options) {
        int keys = options.maxCacheLen();
        require(keys == 0 || keys >= chunkSize, "max_cache_len", keys, "be at least chunk_size = " + chunkSize);
    }

    @Override
    public Megalodon create(Backend backend, long seed) {
        return new Megalodon(this, backend, seed);
    }
}
