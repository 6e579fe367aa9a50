package megalodon4j.tensor;

import java.util.List;
import megalodon4j.tensor.Backend.AdamStep;
import megalodon4j.tensor.Backend.EmaMethod;

/**
 * What a device computes, a family of operations each: adding a device is implementing them, and a {@link Backend} that knows its memory.
 *
 * <p>A kernel has the arguments of the backend's operation of the same name, where its equation stands and its shapes are checked, and trusts
 * them. Nothing is blank to it: a result is overwritten unless its flag {@code add…} says that it holds something, to which it is added.
 */
public record Kernels(
        Elementwise elementwise,
        Activations activations,
        Dropouts dropouts,
        Reductions reductions,
        Products products,
        Norms norms,
        TimestepNorm timestepNorm,
        Rotary rotary,
        Attention attention,
        EmaCoefficients emaCoefficients,
        Ema ema,
        Tokens tokens,
        Optimizer optimizer) {

    /** Whole tensors, element by element. */
    public interface Elementwise {
        void copy(Tensor from, Tensor to);

        void zero(Tensor x);

        /** y (+)= scale · x. */
        void add(float scale, Tensor x, Tensor y, boolean add);

        /** z (+)= x · y. */
        void multiply(Tensor x, Tensor y, Tensor z, boolean add);
    }

    /** Gates. */
    public interface Activations {
        void silu(Tensor a, Tensor b, Tensor y);

        /** y receives the gate once more, unless null. */
        void siluGrad(Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB, Tensor y);
    }

    /** Dropped elements. */
    public interface Dropouts {
        void dropout(Dropout dropout, Tensor x, Tensor y);
    }

    /** Sums. */
    public interface Reductions {
        double sum(Tensor x);

        /** Of all of them together; there may be none. */
        double sumOfSquares(List<Tensor> tensors);

        void sumRows(Tensor dy, Tensor dColumns, boolean add);
    }

    /** Matrix products. */
    public interface Products {
        /** C[m × n] (+)= op(A)[m × k] · op(B)[k × n]. */
        void matmul(
                boolean transposeA, boolean transposeB, int m, int n, int k, Tensor a, Tensor b, Tensor c, boolean add);

        void linear(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y);

        /** Several layers of one input: one after the other, unless a device knows better. */
        default void linear(Tensor x, Tensor[] w, Tensor[] bias, Tensor residual, Tensor[] y) {
            for (int i = 0; i < w.length; i++) {
                linear(x, w[i], bias[i], i == 0 ? residual : null, y[i]);
            }
        }

        /** One after the other, unless a device knows better. */
        default void linearGrad(
                Tensor[] dy, Tensor x, Tensor[] w, Tensor dx, boolean addX, Tensor[] dw, boolean[] addW) {
            int rows = x.rows(), inputs = x.columns();
            for (int i = 0; i < w.length; i++) {
                int outputs = w[i].rows();
                matmul(false, false, rows, inputs, outputs, dy[i], w[i], dx, addX || i > 0);
                matmul(true, false, outputs, inputs, rows, dy[i], x, dw[i], addW[i]);
            }
        }
    }

    /** Norms of rows. */
    public interface Norms {
        void rmsNorm(Tensor x, Tensor gamma, float shift, float eps, Tensor y, Tensor rstd);

        void rmsNormGrad(
                Tensor dy,
                Tensor x,
                Tensor gamma,
                float shift,
                Tensor rstd,
                Tensor dx,
                Tensor dgamma,
                boolean addX,
                boolean addGamma);

        void layerNorm(Tensor x, Tensor w, Tensor b, float eps, Tensor y, Tensor mean, Tensor rstd);

        void layerNormGrad(
                Tensor dy,
                Tensor x,
                Tensor w,
                Tensor mean,
                Tensor rstd,
                Tensor dx,
                Tensor dw,
                Tensor db,
                boolean addX,
                boolean addW,
                boolean addB);
    }

    /** The norm whose statistics run over time. */
    public interface TimestepNorm {
        void timestepNorm(
                Tensor x,
                Tensor mask,
                Tensor w,
                Tensor b,
                int groups,
                float eps,
                Tensor state,
                Tensor y,
                Tensor mean,
                Tensor rstd);

        void timestepNormGrad(
                Tensor dy,
                Tensor x,
                Tensor mask,
                Tensor w,
                int groups,
                float eps,
                Tensor mean,
                Tensor rstd,
                Tensor dx,
                Tensor dw,
                Tensor db,
                boolean addX,
                boolean addW,
                boolean addB);
    }

    /** Rotary positions, and Megalodon's queries and keys. */
    public interface Rotary {
        void rope(Tensor x, Tensor cos, Tensor sin, int heads, boolean adjacent, boolean inverse);

        void queryKey(
                Tensor z,
                Tensor gamma,
                Tensor beta,
                Tensor cos,
                Tensor sin,
                int heads,
                float eps,
                Tensor q,
                Tensor k,
                Tensor rstd);

        void queryKeyGrad(
                Tensor dq,
                Tensor dk,
                Tensor z,
                Tensor gamma,
                Tensor cos,
                Tensor sin,
                int heads,
                Tensor rstd,
                Tensor dz,
                Tensor dgamma,
                Tensor dbeta,
                boolean addZ,
                boolean addGamma,
                boolean addBeta);
    }

    /** Causal attention. */
    public interface Attention {
        void attention(
                Tensor q,
                Tensor k,
                Tensor v,
                int keys,
                Tensor mask,
                int heads,
                int chunk,
                float scale,
                Dropout dropout,
                Tensor o,
                Tensor logSum);

        void attentionGrad(
                Tensor dO,
                Tensor q,
                Tensor k,
                Tensor v,
                Tensor mask,
                int heads,
                int chunk,
                float scale,
                Dropout dropout,
                Tensor o,
                Tensor logSum,
                Tensor dq,
                Tensor dk,
                Tensor dv,
                boolean addQ,
                boolean addK,
                boolean addV);
    }

    /** What the complex EMA computes from its parameters alone. */
    public interface EmaCoefficients {
        void emaCoefficients(
                Tensor alpha, Tensor delta, Tensor theta, Tensor gammaReal, Tensor gammaImag, Tensor coefficients);

        void emaCoefficientsGrad(
                Tensor dcoefficients,
                Tensor alpha,
                Tensor delta,
                Tensor theta,
                Tensor dalpha,
                Tensor ddelta,
                Tensor dtheta,
                Tensor dgammaReal,
                Tensor dgammaImag,
                boolean addAlpha,
                boolean addDelta,
                boolean addTheta,
                boolean addReal,
                boolean addImag);
    }

    /** The complex EMA. */
    public interface Ema {
        void ema(Tensor x, Tensor mask, Tensor coefficients, Tensor omega, Tensor state, EmaMethod method, Tensor y);

        void emaGrad(
                Tensor dy,
                Tensor x,
                Tensor mask,
                Tensor coefficients,
                Tensor omega,
                EmaMethod method,
                Tensor dx,
                Tensor dcoefficients,
                Tensor domega,
                boolean addX,
                boolean addCoefficients,
                boolean addOmega);
    }

    /** What begins and ends with tokens. */
    public interface Tokens {
        void embedding(int[] ids, Tensor table, float scale, Tensor y);

        void embeddingGrad(Tensor dy, int[] ids, int paddingId, float scale, Tensor dtable, boolean add);

        void crossEntropy(Tensor logits, int[] labels, float scale, Tensor losses, Tensor dlogits);
    }

    /** A step of the optimizer. */
    public interface Optimizer {
        void adam(AdamStep step, Tensor p, Tensor grad, Tensor m, Tensor v);
    }
}
