package megalodon4j.autograd;

import java.util.Arrays;
import megalodon4j.tensor.Tensor;

/** Several linear layers of one input, which is read once for all of them, in both directions: y_i = x · w_iᵀ + b_i. */
public final class Projections {
    private final Linear[] layers;
    private final Tensor[] w, bias, dw;

    /** @throws IllegalArgumentException if there is no layer, or the inner sizes of their weights differ */
    public Projections(Linear... layers) {
        if (layers.length == 0) {
            throw new IllegalArgumentException("projections: at least one layer is needed");
        }
        for (var layer : layers) {
            var shape = layer.weight().shape();
            if (shape.size(1) != layers[0].weight().shape().size(1)) {
                throw new IllegalArgumentException(
                        "projections: %s does not read what %s reads".formatted(layer.weight(), layers[0].weight()));
            }
        }
        this.layers = layers.clone();
        w = Arrays.stream(layers).map(layer -> layer.weight().value()).toArray(Tensor[]::new);
        bias = Arrays.stream(layers).map(layer -> Ops.value(layer.bias())).toArray(Tensor[]::new);
        dw = new Tensor[layers.length];
    }

    /** x: (…, K); residual: (…, N_0), nullable, is added to the first result; results: (…, N_i). */
    public Variable[] apply(Variable x, Variable residual) {
        var tape = x.tape();
        var y = new Tensor[layers.length];
        for (int i = 0; i < y.length; i++) {
            y[i] = tape.tensor(x.shape(), w[i].shape().size(0));
        }
        tape.backend().linear(x.value(), w, bias, Ops.value(residual), y);
        return tape.record(y, dy -> backward(x, residual, dy));
    }

    private void backward(Variable x, Variable residual, Tensor[] dy) {
        var backend = x.tape().backend();
        int given = 0;
        for (int i = 0; i < dy.length; i++) {
            given += dy[i].isBlank() ? 0 : 1;
            dw[i] = layers[i].weight().grad();
        }
        if (given == dy.length) {
            backend.linearGrad(dy, x.value(), w, x.grad(), dw);
        } else {
            for (int i = 0; i < dy.length; i++) {
                if (!dy[i].isBlank()) {
                    Ops.linearGrad(dy[i], x, layers[i].weight());
                }
            }
        }
        for (int i = 0; i < dy.length; i++) {
            if (!dy[i].isBlank()) {
                Ops.addedGrad(dy[i], layers[i].bias(), i == 0 ? residual : null);
            }
        }
    }
}
