/** Gradients of tensors; knows nothing of models. */
module megalodon4j.autograd {
    requires transitive megalodon4j.tensor;

    exports megalodon4j.autograd;
}
