package megalodon4j.models;

/**
 * Makes a {@link MegalodonConfig} by naming what differs from the defaults, which are those of megalodon-hf and megalodon-jax ({@link
 * MegalodonConfig#base}), or from another config ({@link MegalodonConfig#toBuilder}). The setters are the config's components.
 *
 * <pre>{@code
 * MegalodonConfig.enwik8().toBuilder().numTokens(1000).dropout(0.1).build()
 * }</pre>
 */
public final class MegalodonConfigBuilder {
    private int numTokens = 32_000;
    private int modelDim = 1024;
    private int numLayers = 12;
    private int numHeads = 1;
    private int zDim = 256;
    private int valueDim = 2048;
    private int ffnHiddenDim = 2560;
    private int cemaNdim = 16;
    private int chunkSize = 2048;
    private int normNumGroups = 32;
    private double dropout;
    private double attentionDropout;
    private double hiddenDropout;
    private boolean swiglu;
    private boolean rescaleNffn;
    private boolean scaleEmb;
    private boolean normAffine = true;
    private Double ropeBase;
    private InitMode initMode = InitMode.HE;
    private boolean gradientCheckpointing;
    private int outputSize;
    private EmaChoice cema = EmaChoice.AUTO;

    /** From the defaults. */
    public MegalodonConfigBuilder() {}

    MegalodonConfigBuilder(MegalodonConfig config) {
        numTokens = config.numTokens();
        modelDim = config.modelDim();
        numLayers = config.numLayers();
        numHeads = config.numHeads();
        zDim = config.zDim();
        valueDim = config.valueDim();
        ffnHiddenDim = config.ffnHiddenDim();
        cemaNdim = config.cemaNdim();
        chunkSize = config.chunkSize();
        normNumGroups = config.normNumGroups();
        dropout = config.dropout();
        attentionDropout = config.attentionDropout();
        hiddenDropout = config.hiddenDropout();
        swiglu = config.swiglu();
        rescaleNffn = config.rescaleNffn();
        scaleEmb = config.scaleEmb();
        normAffine = config.normAffine();
        ropeBase = config.ropeBase();
        initMode = config.initMode();
        gradientCheckpointing = config.gradientCheckpointing();
        outputSize = config.outputSize();
        cema = config.cema();
    }

    public MegalodonConfigBuilder numTokens(int numTokens) {
        this.numTokens = numTokens;
        return this;
    }

    public MegalodonConfigBuilder modelDim(int modelDim) {
        this.modelDim = modelDim;
        return this;
    }

    public MegalodonConfigBuilder numLayers(int numLayers) {
        this.numLayers = numLayers;
        return this;
    }

    public MegalodonConfigBuilder numHeads(int numHeads) {
        this.numHeads = numHeads;
        return this;
    }

    public MegalodonConfigBuilder zDim(int zDim) {
        this.zDim = zDim;
        return this;
    }

    public MegalodonConfigBuilder valueDim(int valueDim) {
        this.valueDim = valueDim;
        return this;
    }

    public MegalodonConfigBuilder ffnHiddenDim(int ffnHiddenDim) {
        this.ffnHiddenDim = ffnHiddenDim;
        return this;
    }

    public MegalodonConfigBuilder cemaNdim(int cemaNdim) {
        this.cemaNdim = cemaNdim;
        return this;
    }

    public MegalodonConfigBuilder chunkSize(int chunkSize) {
        this.chunkSize = chunkSize;
        return this;
    }

    public MegalodonConfigBuilder normNumGroups(int normNumGroups) {
        this.normNumGroups = normNumGroups;
        return this;
    }

    public MegalodonConfigBuilder dropout(double dropout) {
        this.dropout = dropout;
        return this;
    }

    public MegalodonConfigBuilder attentionDropout(double attentionDropout) {
        this.attentionDropout = attentionDropout;
        return this;
    }

    public MegalodonConfigBuilder hiddenDropout(double hiddenDropout) {
        this.hiddenDropout = hiddenDropout;
        return this;
    }

    public MegalodonConfigBuilder swiglu(boolean swiglu) {
        this.swiglu = swiglu;
        return this;
    }

    public MegalodonConfigBuilder rescaleNffn(boolean rescaleNffn) {
        this.rescaleNffn = rescaleNffn;
        return this;
    }

    public MegalodonConfigBuilder scaleEmb(boolean scaleEmb) {
        this.scaleEmb = scaleEmb;
        return this;
    }

    public MegalodonConfigBuilder normAffine(boolean normAffine) {
        this.normAffine = normAffine;
        return this;
    }

    public MegalodonConfigBuilder ropeBase(Double ropeBase) {
        this.ropeBase = ropeBase;
        return this;
    }

    public MegalodonConfigBuilder initMode(InitMode initMode) {
        this.initMode = initMode;
        return this;
    }

    public MegalodonConfigBuilder gradientCheckpointing(boolean gradientCheckpointing) {
        this.gradientCheckpointing = gradientCheckpointing;
        return this;
    }

    public MegalodonConfigBuilder outputSize(int outputSize) {
        this.outputSize = outputSize;
        return this;
    }

    public MegalodonConfigBuilder cema(EmaChoice cema) {
        this.cema = cema;
        return this;
    }

    /** @throws IllegalArgumentException naming the YAML key whose value is not allowed */
    public MegalodonConfig build() {
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
}
