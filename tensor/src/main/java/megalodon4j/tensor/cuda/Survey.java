package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.CudaReport;
import megalodon4j.tensor.CudaReport.Gpu;

/** Looks what there is of CUDA, without using it. */
public final class Survey {
    private Survey() {}

    /** @param home a folder with CUDA's libraries that goes before all others, nullable */
    public static CudaReport of(Path home) {
        List<String> libraries = List.of();
        try {
            var toolkit = Toolkit.load(home);
            libraries = toolkit.lines();
            var gpus = gpus(toolkit.driver());
            return new CudaReport(problem(gpus), libraries, gpus);
        } catch (CudaException e) {
            return new CudaReport(e.getMessage(), libraries, List.of());
        }
    }

    private static String problem(List<Gpu> gpus) {
        boolean supported = gpus.stream()
                .anyMatch(gpu -> Integer.parseInt(gpu.capability().split("\\.")[0]) >= Device.LEAST_CAPABILITY);
        return supported ? null : "no GPU of compute capability " + Device.LEAST_CAPABILITY + ".0 or more";
    }

    private static List<Gpu> gpus(Driver driver) {
        try (var arena = Arena.ofConfined()) {
            var out = new Out(arena);
            driver.init.call(0);
            driver.deviceGetCount.call(out.address());
            return IntStream.range(0, out.integer())
                    .mapToObj(ordinal -> gpu(driver, ordinal, arena))
                    .toList();
        }
    }

    private static Gpu gpu(Driver driver, int ordinal, Arena arena) {
        var out = new Out(arena);
        driver.deviceGet.call(out.address(), ordinal);
        int device = out.integer();
        int[] capability = driver.capability(device);
        var version = capability[0] + "." + capability[1];
        return new Gpu(ordinal, driver.name(device), version, driver.totalMemory(device));
    }
}
