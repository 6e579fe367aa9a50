package megalodon4j.tensor.cuda;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Precision;
import megalodon4j.tensor.Recording;
import megalodon4j.tensor.Storage;
import megalodon4j.tensor.Tensor;

/** An NVIDIA GPU as a backend. All is asynchronous, in the order of the calls; only sums and copies to the host wait. */
public final class CudaBackend extends Backend {
    private final Device device;
    private final Allocations allocations;
    private final Launcher launcher;
    private final List<Recording> recordings = new ArrayList<>();
    private final Kernels kernels;

    /**
     * @param ordinal which GPU, from 0
     * @param home a folder with CUDA's libraries that goes before all others, nullable
     * @throws CudaException if CUDA or the GPU is missing
     */
    public CudaBackend(int ordinal, Path home, Precision precision) {
        device = Device.open(ordinal, home);
        allocations = new Allocations(device);
        launcher = new Launcher(device, this);
        var elementwise = new Elementwise(launcher);
        var reductions = new Reductions(launcher);
        kernels = new Kernels(
                elementwise,
                elementwise,
                elementwise,
                reductions,
                new Matmul(launcher, precision),
                new Norms(launcher, reductions),
                new TimestepNorm(launcher, reductions),
                new Rotary(launcher),
                new Attention(launcher),
                new EmaCoefficients(launcher),
                new Ema(launcher),
                new Tokens(launcher),
                elementwise);
    }

    @Override
    protected Kernels kernels() {
        return kernels;
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
}
