package megalodon4j.autograd;

import java.util.IdentityHashMap;
import java.util.Map;
import megalodon4j.tensor.Backend.AdamStep;
import megalodon4j.tensor.Tensor;

/**
 * Adam with weight decay coupled into the gradient, as {@code torch.optim.Adam} has it, behind clipping by the global norm (see
 * {@link megalodon4j.tensor.Backend#adam}).
 */
public final class Adam {
    private final Parameters parameters;
    private final float beta1;
    private final float beta2;
    private final float eps;
    private final Map<Parameter, Tensor> m = new IdentityHashMap<>();
    private final Map<Parameter, Tensor> v = new IdentityHashMap<>();
    private int steps;

    public Adam(Parameters parameters, float beta1, float beta2, float eps) {
        this.parameters = parameters;
        this.beta1 = beta1;
        this.beta2 = beta2;
        this.eps = eps;
        for (var p : parameters) {
            m.put(p, p.value().backend().tensor(p.shape()));
            v.put(p, p.value().backend().tensor(p.shape()));
        }
    }

    /**
     * Updates all parameters by their gradients.
     *
     * @param maxNorm gradients of a greater norm are scaled down to it; infinite for no clipping
     * @return the norm of all gradients together, before clipping
     */
    public double step(float learningRate, float weightDecay, double maxNorm) {
        double norm = Math.sqrt(parameters.backend().sumOfSquares(parameters.gradients()));
        float scale = (float) Math.min(1, maxNorm / (norm + 1e-6));
        steps++;
        var step = new AdamStep(learningRate, beta1, beta2, eps, weightDecay, scale, steps);
        for (var p : parameters) {
            p.value().backend().adam(step, p.value(), p.grad(), m.get(p), v.get(p));
        }
        return norm;
    }

    /** Steps taken so far. */
    public int steps() {
        return steps;
    }

    /** Goes on as if so many steps had been taken: after the moments have been loaded. */
    public void steps(int done) {
        steps = done;
    }

    /** The running mean of a parameter's gradient. */
    public Tensor m(Parameter parameter) {
        return m.get(parameter);
    }

    /** The running mean of its square. */
    public Tensor v(Parameter parameter) {
        return v.get(parameter);
    }
}
