package megalodon4j.tensor.cpu;

import java.util.List;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Storage;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * The CPU as a backend: hands each operation to the class that knows it. Those share one team of workers, split every job over its outputs, and
 * keep working memory for each worker, so that they allocate nothing once warm.
 */
public final class CpuBackend extends Backend {
    private final Workers workers;
    private final Elementwise elementwise;
    private final Activations activations;
    private final Dropouts dropouts;
    private final Reductions reductions;
    private final Matmul matmul;
    private final Norms norms;
    private final TimestepNorm timestepNorm;
    private final Rotary rotary;
    private final Attention attention;
    private final EmaCoefficients emaCoefficients;
    private final Ema ema;
    private final Tokens tokens;
    private final Adam adam;

    /** @param threads at least 1 */
    public CpuBackend(int threads) {
        workers = new Workers(threads);
        elementwise = new Elementwise(workers);
        activations = new Activations(workers);
        dropouts = new Dropouts(workers);
        reductions = new Reductions(workers);
        matmul = new Matmul(workers);
        norms = new Norms(workers);
        timestepNorm = new TimestepNorm(workers);
        rotary = new Rotary(workers);
        attention = new Attention(workers, dropouts);
        emaCoefficients = new EmaCoefficients(workers);
        ema = new Ema(workers);
        tokens = new Tokens(workers);
        adam = new Adam(workers);
    }

    @Override
    public String describe() {
        return "cpu (" + workers.count() + (workers.count() == 1 ? " thread, " : " threads, ") + Lanes.W + " lanes)";
    }

    @Override
    public int vectorLanes() {
        return Lanes.W;
    }

    @Override
    public void close() {
        super.close();
        workers.close();
    }

    @Override
    protected Storage newStorage(int capacity) {
        return new CpuStorage(capacity);
    }

    @Override
    protected void download(Tensor from, float[] to) {
        System.arraycopy(CpuStorage.data(from), from.offset(), to, 0, from.elements());
    }

    @Override
    protected void upload(float[] from, Tensor to) {
        System.arraycopy(from, 0, CpuStorage.data(to), to.offset(), to.elements());
    }

    @Override
    protected void copyK(Tensor from, Tensor to) {
        elementwise.copy(from, to);
    }

    @Override
    protected void addK(float scale, Tensor x, Tensor y, boolean add) {
        elementwise.add(scale, x, y, add);
    }

    @Override
    protected void multiplyK(Tensor x, Tensor y, Tensor z, boolean add) {
        elementwise.multiply(x, y, z, add);
    }

    @Override
    protected double sumOfSquaresK(List<Tensor> tensors) {
        double sum = 0;
        for (var x : tensors) {
            sum += reductions.sumOfSquares(x);
        }
        return sum;
    }

    @Override
    protected double sumK(Tensor x) {
        return reductions.sum(x);
    }

    @Override
    protected void matmulK(
            boolean transposeA, boolean transposeB, int m, int n, int k, Tensor a, Tensor b, Tensor c, boolean add) {
        matmul.matmul(transposeA, transposeB, m, n, k, a, b, c, add);
    }

    @Override
    protected void linearK(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        matmul.linear(x, w, bias, residual, y);
    }

    @Override
    protected void linearsK(Tensor x, Tensor[] w, Tensor[] bias, Tensor residual, Tensor[] y) {
        matmul.linears(x, w, bias, residual, y);
    }

    @Override
    protected void linearsGradK(
            Tensor[] dy, Tensor x, Tensor[] w, Tensor dx, boolean addX, Tensor[] dw, boolean[] addW) {
        matmul.linearsGradX(dy, w, dx, addX);
        matmul.linearsGradW(dy, x, dw, addW);
    }

    @Override
    protected void sumRowsK(Tensor dy, Tensor dColumns, boolean add) {
        reductions.sumRows(dy, dColumns, add);
    }

    @Override
    protected void siluK(Tensor a, Tensor b, Tensor y) {
        activations.silu(a, b, y);
    }

    @Override
    protected void siluGradK(
            Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB, Tensor y) {
        activations.siluGrad(dy, a, b, da, db, addA, addB, y);
    }

    @Override
    protected void dropoutK(Dropout dropout, Tensor x, Tensor y) {
        dropouts.apply(dropout, x, y);
    }

    @Override
    protected void rmsNormK(Tensor x, Tensor gamma, float shift, float eps, Tensor y, Tensor rstd) {
        norms.rmsNorm(x, gamma, shift, eps, y, rstd);
    }

    @Override
    protected void rmsNormGradK(
            Tensor dy,
            Tensor x,
            Tensor gamma,
            float shift,
            Tensor rstd,
            Tensor dx,
            Tensor dgamma,
            boolean addX,
            boolean addGamma) {
        norms.rmsNormGrad(dy, x, gamma, shift, rstd, dx, dgamma, addX, addGamma);
    }

    @Override
    protected void layerNormK(Tensor x, Tensor w, Tensor b, float eps, Tensor y, Tensor mean, Tensor rstd) {
        norms.layerNorm(x, w, b, eps, y, mean, rstd);
    }

    @Override
    protected void layerNormGradK(
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
            boolean addB) {
        norms.layerNormGrad(dy, x, w, mean, rstd, dx, dw, db, addX, addW, addB);
    }

    @Override
    protected void timestepNormK(
            Tensor x,
            Tensor mask,
            Tensor w,
            Tensor b,
            int groups,
            float eps,
            Tensor state,
            Tensor y,
            Tensor mean,
            Tensor rstd) {
        timestepNorm.forward(x, mask, w, b, groups, eps, state, y, mean, rstd);
    }

    @Override
    protected void timestepNormGradK(
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
            boolean addB) {
        timestepNorm.backward(dy, x, mask, w, groups, eps, mean, rstd, dx, dw, db, addX, addW, addB);
    }

    @Override
    protected void ropeK(Tensor x, Tensor cos, Tensor sin, int heads, boolean adjacent, boolean inverse) {
        rotary.rope(x, cos, sin, heads, adjacent, inverse);
    }

    @Override
    protected void queryKeyK(
            Tensor z,
            Tensor gamma,
            Tensor beta,
            Tensor cos,
            Tensor sin,
            int heads,
            float eps,
            Tensor q,
            Tensor k,
            Tensor rstd) {
        rotary.queryKey(z, gamma, beta, cos, sin, heads, eps, q, k, rstd);
    }

    @Override
    protected void queryKeyGradK(
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
            boolean addBeta) {
        rotary.queryKeyGrad(dq, dk, z, gamma, cos, sin, heads, rstd, dz, dgamma, dbeta, addZ, addGamma, addBeta);
    }

    @Override
    protected void attentionK(
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
            Tensor logSum) {
        attention.forward(q, k, v, keys, mask, heads, chunk, scale, dropout, o, logSum);
    }

    @Override
    protected void attentionGradK(
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
            boolean addV) {
        attention.backward(dO, q, k, v, mask, heads, chunk, scale, dropout, o, logSum, dq, dk, dv, addQ, addK, addV);
    }

    @Override
    protected void emaCoefficientsK(
            Tensor alpha, Tensor delta, Tensor theta, Tensor gammaReal, Tensor gammaImag, Tensor coefficients) {
        emaCoefficients.forward(alpha, delta, theta, gammaReal, gammaImag, coefficients);
    }

    @Override
    protected void emaCoefficientsGradK(
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
            boolean addImag) {
        emaCoefficients.backward(
                dcoefficients,
                alpha,
                delta,
                theta,
                dalpha,
                ddelta,
                dtheta,
                dgammaReal,
                dgammaImag,
                addAlpha,
                addDelta,
                addTheta,
                addReal,
                addImag);
    }

    @Override
    protected void emaK(
            Tensor x, Tensor mask, Tensor coefficients, Tensor omega, Tensor state, EmaMethod method, Tensor y) {
        ema.forward(x, mask, coefficients, omega, state, method, y);
    }

    @Override
    protected void emaGradK(
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
            boolean addOmega) {
        ema.backward(
                dy, x, mask, coefficients, omega, method, dx, dcoefficients, domega, addX, addCoefficients, addOmega);
    }

    @Override
    protected void embeddingK(int[] ids, Tensor table, float scale, Tensor y) {
        tokens.embedding(ids, table, scale, y);
    }

    @Override
    protected void embeddingGradK(Tensor dy, int[] ids, int paddingId, float scale, Tensor dtable, boolean add) {
        tokens.embeddingGrad(dy, ids, paddingId, scale, dtable, add);
    }

    @Override
    protected void crossEntropyK(Tensor logits, int[] labels, float scale, Tensor losses, Tensor dlogits) {
        tokens.crossEntropy(logits, labels, scale, losses, dlogits);
    }

    @Override
    protected void adamK(AdamStep step, Tensor p, Tensor grad, Tensor m, Tensor v) {
        adam.step(step, p, grad, m, v);
    }

    @Override
    protected void zeroK(Tensor x) {
        elementwise.zero(x);
    }
}
