/** Tensors and the kernels behind them; knows nothing of gradients. */
module megalodon4j.tensor {
    requires java.management;
    requires jdk.management;
    requires jdk.incubator.vector;
    requires JTransforms;
    requires org.slf4j;
    requires tools.jackson.databind;

    exports megalodon4j.tensor;
}
