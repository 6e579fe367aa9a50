package megalodon4j.autograd;

import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;

/** A named tensor that is learned. Its gradient lives as long as it does, and is blank until something is added. */
public final class Parameter {
    private final String name;
    private final Tensor value;
    private Tensor grad;

    Parameter(String name, Tensor value) {
        this.name = name;
        this.value = value;
    }

    /** The name that PyTorch's {@code state_dict} gives it, such as {@code layers.0.attn.wq.weight}. */
    public String name() {
        return name;
    }

    public Tensor value() {
        return value;
    }

    public Shape shape() {
        return value.shape();
    }

    /** Where gradients are accumulated: blank until the first operation has added its part. */
    public Tensor grad() {
        if (grad == null) {
            grad = value.backend().tensor(shape());
        }
        return grad;
    }

    @Override
    public String toString() {
        return name + " " + shape();
    }
}
