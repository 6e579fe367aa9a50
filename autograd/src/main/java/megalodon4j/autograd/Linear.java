package megalodon4j.autograd;

import megalodon4j.tensor.Dropout;

/**
 * y = x · wᵀ + b.
 *
 * @param weight (N, K)
 * @param bias (N), or null for none
 */
public record Linear(Parameter weight, Parameter bias) {
    /** x: (…, K); result: (…, N). */
    public Variable apply(Variable x) {
        return Ops.linear(x, weight, bias, null);
    }

    /** The result added to {@code residual}, (…, N). */
    public Variable apply(Variable x, Variable residual) {
        return Ops.linear(x, weight, bias, residual);
    }

    /** {@link #apply(Variable, Variable)} of drop(silu(a) · b), which is not kept: {@link Ops#gatedLinear}. a, b: (…, K), b nullable. */
    public Variable applyGated(Variable a, Variable b, Dropout dropout, Variable residual) {
        return Ops.gatedLinear(a, b, dropout, weight, bias, residual);
    }
}
