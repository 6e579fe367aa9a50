package megalodon4j.tensor.cuda;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.Recording;
import megalodon4j.tensor.Storage;
import megalodon4j.tensor.Tensor;

/**
 * An NVIDIA GPU as a backend: hands each operation to the class that knows it, which launches kernels. All is asynchronous, in the order of the
 * calls; only sums and copies to the host wait.
 */
public final class CudaBackend extends Backend {
    private final Device device;
    private final Allocations allocations;
    private final Launcher launcher;
    private final List<Recording> recordings = new ArrayList<>();
    private final Elementwise elementwise;
    private final Reductions reductions;
    private final Matmul matmul;
    private final Norms norms;
    private final TimestepNorm timestepNorm;
    private final Rotary rotary;
    private final Attention attention;
    private final Ema ema;
    private final EmaFft emaFft;
    private final Tokens tokens;

    /**
     * @param ordinal which GPU, from 0
     * @param home a folder with CUDA's libraries that goes before all others, nullable
     * @throws CudaException if CUDA or the GPU is missing
     */
    public CudaBackend(int ordinal, Path home, Precision precision) {
        device = Device.open(ordinal, home);
        allocations = new Allocations(device);
        launcher = new Launcher(device, this);
        elementwise = new Elementwise(launcher);
        reductions = new Reductions(launcher);
        matmul = new Matmul(launcher, precision);
        norms = new Norms(launcher, reductions);
        timestepNorm = new TimestepNorm(launcher, reductions);
        rotary = new Rotary(launcher);
        attention = new Attention(launcher);
        ema = new Ema(launcher);
        emaFft = new EmaFft(launcher, ema);
        tokens = new Tokens(launcher);
    }

    /** As the constructor, for who must not know this class: the verifier would load it with theirs. */
    public static Backend open(int ordinal, Path home, Precision precision) {
        return new CudaBackend(ordinal, home, precision);
    }

    @Override
    public String describe() {
        return "cuda (" + device.name() + ")";
    }

    /** The device, for tests. */
    Device device() {
        return device;
    }

    @Override
    public void close() {
        super.close();
        recordings.forEach(Recording::close);
        allocations.close();
        device.close();
    }

    @Override
    public Runnable repeated(Runnable work) {
        return replayed(work, this::newRecording);
    }

    private Recording newRecording() {
        var recording = new Replayed(launcher, allocations);
        recordings.add(recording);
        return recording;
    }

    @Override
    protected Storage newStorage(int capacity) {
        return allocations.allocate(capacity);
    }

    @Override
    protected void download(Tensor from, float[] to) {
        if (to.length > 0) {
            device.download(launcher.at(from), to, 0, to.length);
        }
    }

    @Override
    protected void upload(float[] from, Tensor to) {
        if (from.length > 0) {
            device.upload(from, 0, from.length, launcher.at(to));
        }
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
        return tensors.isEmpty() ? 0 : reductions.sum(tensors, true);
    }

    @Override
    protected double sumK(Tensor x) {
        return reductions.sum(List.of(x), false);
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
    protected void sumRowsK(Tensor dy, Tensor dColumns, boolean add) {
        reductions.sumRows(dy, dColumns, add);
    }

    @Override
    protected void siluK(Tensor a, Tensor b, Tensor y) {
        elementwise.silu(a, b, y);
    }

    @Override
    protected void siluGradK(
            Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, boolean addA, boolean addB, Tensor y) {
        elementwise.siluGrad(dy, a, b, da, db, addA, addB, y);
    }

    @Override
    protected void dropoutK(Dropout dropout, Tensor x, Tensor y) {
        elementwise.dropout(dropout, x, y);
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
        ema.coefficients(alpha, delta, theta, gammaReal, gammaImag, coefficients);
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
        ema.coefficientsGrad(
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
        if (byFft(method, x)) {
            emaFft.forward(x, mask, coefficients, omega, y);
        } else {
            ema.forward(x, mask, coefficients, omega, state, y);
        }
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
        if (byFft(method, x)) {
            emaFft.backward(
                    dy, x, mask, coefficients, omega, dx, dcoefficients, domega, addX, addCoefficients, addOmega);
        } else {
            ema.backward(dy, x, mask, coefficients, omega, dx, dcoefficients, domega, addX, addCoefficients, addOmega);
        }
    }

    // There is no transform of nothing.
    private static boolean byFft(EmaMethod method, Tensor x) {
        return method == EmaMethod.FFT && x.elements() > 0;
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
        elementwise.adam(step, p, grad, m, v);
    }

    @Override
    protected void zeroK(Tensor x) {
        elementwise.zero(x);
    }
}
