package megalodon4j.tensor.cpu;

import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Storage;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * The CPU as a backend. Its kernels share one team of workers, split every job over its outputs, and keep working memory for each worker, so that
 * they allocate next to nothing once warm.
 */
public final class CpuBackend extends Backend {
    private final Workers workers;
    private final Kernels kernels;

    /** @param threads at least 1 */
    public CpuBackend(int threads) {
        workers = new Workers(threads);
        var dropouts = new Dropouts(workers);
        kernels = new Kernels(
                new Elementwise(workers),
                new Activations(workers),
                dropouts,
                new Reductions(workers),
                new Matmul(workers),
                new Norms(workers),
                new TimestepNorm(workers),
                new Rotary(workers),
                new Attention(workers, dropouts),
                new EmaCoefficients(workers),
                new Ema(workers),
                new Tokens(workers),
                new Adam(workers));
    }

    @Override
    protected Kernels kernels() {
        return kernels;
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
}
