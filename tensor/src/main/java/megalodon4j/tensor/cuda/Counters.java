package megalodon4j.tensor.cuda;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * What has been asked of a device since the last {@link #reset}. Captured work counts once, when it is captured; each time that it is run
 * afterwards counts as a launch of a graph.
 */
final class Counters {
    private final TreeMap<String, Long> kernels = new TreeMap<>();
    private long products;
    private long productFlops;
    private long transforms;
    private long copies;
    private long graphs;
    private long bytes;

    void kernel(String name, long traffic) {
        kernels.merge(name, 1L, Long::sum);
        bytes += traffic;
    }

    void product(long flops, long traffic) {
        products++;
        productFlops += flops;
        bytes += traffic;
    }

    void transform(long traffic) {
        transforms++;
        bytes += traffic;
    }

    void copy(long traffic) {
        copies++;
        bytes += traffic;
    }

    void graph() {
        graphs++;
    }

    void reset() {
        kernels.clear();
        products = productFlops = transforms = copies = graphs = bytes = 0;
    }

    /** Launches by name of kernel. */
    Map<String, Long> kernels() {
        return Collections.unmodifiableMap(kernels);
    }

    /** All of {@link #kernels}, {@link #products}, {@link #transforms} and {@link #copies}. */
    long launches() {
        return kernels.values().stream().mapToLong(Long::longValue).sum() + products + transforms + copies;
    }

    /** Calls of cuBLAS. */
    long products() {
        return products;
    }

    /** Multiplications and additions in {@link #products}. */
    long productFlops() {
        return productFlops;
    }

    /** Calls of cuFFT. */
    long transforms() {
        return transforms;
    }

    /** Copies and fills. */
    long copies() {
        return copies;
    }

    /** Runs of captured work. */
    long graphs() {
        return graphs;
    }

    /** Bytes of device memory read and written, each operand once; kernels count what {@link Launch#traffic} says. */
    long bytes() {
        return bytes;
    }
}
