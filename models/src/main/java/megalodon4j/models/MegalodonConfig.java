package megalodon4j.models;

import static megalodon4j.models.ModelConfig.require;
import static megalodon4j.models.ModelConfig.requirePositive;

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
 * @param hiddenDropout the same for inner activations: the attention block's m and o · r, and the FFN's hidden layer
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
    }

    private static void requireRate(String name, double value) {
        require(value >= 0 && value < 1, name, value, "be at least 0 and less than 1");
    }

    /** The model of the enwik8 comparison: chunks of 256, 11,277,696 parameters. */
    public static MegalodonConfig enwik8() {
        return new MegalodonConfig(
                256,
                384,
                6,
                3,
                192,
                384,
                1024,
                8,
                256,
                32,
                0,
                0,
                0,
                true,
                false,
                false,
                true,
                null,
                InitMode.BERT,
                false,
                0,
                EmaChoice.AUTO);
    }

    /** The same with these rates of dropout. */
    public MegalodonConfig withDropout(double dropout, double attentionDropout, double hiddenDropout) {
        return new MegalodonConfig(
                numTokens,
                modelDim,
                numLayers,
                numHeads,
                zDim,
                valueDim,
                ffnHiddenDim,
                cemaNdim,
                chunkSize,
                normNumGroups,
                dropout,
                attentionDropout,
                hiddenDropout,
                swiglu,
                rescaleNffn,
                scaleEmb,
                normAffine,
                ropeBase,
                initMode,
                gradientCheckpointing,
                outputSize,
                cema);
    }

    /** The same, recomputing blocks in the backward pass or not. */
    public MegalodonConfig withGradientCheckpointing(boolean gradientCheckpointing) {
        return new MegalodonConfig(
                numTokens,
                modelDim,
                numLayers,
                numHeads,
                zDim,
                valueDim,
                ffnHiddenDim,
                cemaNdim,
                chunkSize,
                normNumGroups,
                dropout,
                attentionDropout,
                hiddenDropout,
                swiglu,
                rescaleNffn,
                scaleEmb,
                normAffine,
                ropeBase,
                initMode,
                gradientCheckpointing,
                outputSize,
                cema);
    }

    @Override
    public String kind() {
        return "megalodon";
    }

    /** Whether training drops anything. */
    public boolean dropsOut() {
        return dropout > 0 || attentionDropout > 0 || hiddenDropout > 0;
    }

    /** Whether the logits use the embedding. */
    public boolean tied() {
        return outputSize == 0 || outputSize == numTokens;
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
