package megalodon4j.tensor.cuda;

import java.util.Map;
import java.util.TreeMap;

/** What has been asked of a device since the last {@link #reset}. Work that is captured counts once, when it is captured. */
final class Counters {
    private final Map<String, Long> kernels = new TreeMap<>();

    /** Launches by name of kernel. */
    Map<String, Long> kernels() {
        return kernels;
    }
}
