package megalodon4j.autograd;

import megalodon4j.tensor.Tensor;

/** A named tensor that is learned. Its gradient lives as long as it does, and is blank until something is added. */
public final class Parameter extends Variable {
    private final String name;
    private Tensor grad;

    Parameter(String name, Tensor value) {
        super(null, value, null);
        this.name = name;
    }

    /** The name that PyTorch's {@code state_dict} gives it, such as {@code layers.0.attn.wq.weight}. */
    public String name() {
        return name;
    }

    @Override
    public Tensor grad() {
        if (grad == null) {
            grad = value().backend().tensor(shape());
        }
        return grad;
    }

    @Override
    public String toString() {
        return name + " " + shape();
    }
}
