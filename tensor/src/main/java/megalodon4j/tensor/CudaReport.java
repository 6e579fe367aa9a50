package megalodon4j.tensor;

import java.nio.file.Path;
import java.util.List;

/**
 * What there is of CUDA on this machine.
 *
 * @param problem why there is no backend for CUDA; null if there is one
 * @param libraries which version of what is taken from where, one line each
 * @param gpus what could compute, whether a backend supports it or not
 */
public record CudaReport(String problem, List<String> libraries, List<Gpu> gpus) {
    /**
     * A GPU.
     *
     * @param ordinal its number, from 0
     * @param capability the compute capability, for example 9.0
     */
    public record Gpu(int ordinal, String name, String capability, long memoryBytes) {}

    /** @param home a folder with CUDA's libraries that goes before all others, nullable */
    public static CudaReport of(Path home) {
        return megalodon4j.tensor.cuda.Survey.of(home);
    }

    public boolean available() {
        return problem == null;
    }
}
