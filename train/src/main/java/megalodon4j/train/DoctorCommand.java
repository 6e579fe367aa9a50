package megalodon4j.train;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.CudaReport;
import megalodon4j.tensor.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code megalodon doctor}. */
@Command(name = "doctor", description = "Says what this machine offers.", sortOptions = false)
final class DoctorCommand extends Subcommand {
    private static final String ALIGNMENT = "ObjectAlignmentInBytes";
    private static final String BOUNDS_CHECK = "jdk.incubator.vector.VECTOR_ACCESS_OOB_CHECK";
    private static final String MODULE = "jdk.incubator.vector";
    private static final int N = 1024;
    private static final double MEASURE_SECONDS = 0.7;

    @Option(names = "--json", description = "Prints one JSON object.")
    private boolean json;

    @Option(names = "--cuda-home", paramLabel = "DIR", description = "The folder of CUDA's libraries.")
    private Path cudaHome;

    /** One number of the SGEMM measurement, or why there is none. */
    private record Speed(int threads, int lanes, double gflops, String failure) {}

    @Override
    int execute() {
        DeviceOptions.requireFolder("--cuda-home", cudaHome);
        var cuda = CudaReport.of(cudaHome);
        int cores = Runtime.getRuntime().availableProcessors();
        var one = measure(1);
        var all = cores == 1 ? one : measure(cores);
        if (json) {
            printJson(cores, one, all, cuda);
        } else {
            printText(cores, one, all, cuda);
        }
        out().flush();
        return 0;
    }

    private static Speed measure(int threads) {
        try (var backend = Backend.cpu(threads)) {
            var random = new SplittableRandom(1);
            var a = backend.tensor(N, N).set(uniform(random));
            var b = backend.tensor(N, N).set(uniform(random));
            var c = backend.tensor(N, N);
            multiply(backend, a, b, c);
            return new Speed(threads, backend.vectorLanes(), multiply(backend, a, b, c), null);
        } catch (RuntimeException | LinkageError e) {
            return new Speed(threads, 0, 0, e.toString());
        }
    }

    private static float[] uniform(SplittableRandom random) {
        var elements = new float[N * N];
        for (int i = 0; i < elements.length; i++) {
            elements[i] = (float) random.nextDouble(-1, 1);
        }
        return elements;
    }

    /** Multiplies for a while; GFLOP/s of the best of the products. */
    private static double multiply(Backend backend, Tensor a, Tensor b, Tensor c) {
        long end = System.nanoTime() + (long) (MEASURE_SECONDS * 1e9);
        long best = Long.MAX_VALUE;
        for (long started = System.nanoTime(); started < end; started = System.nanoTime()) {
            c.makeBlank();
            backend.matmul(false, false, a, b, c);
            best = Math.min(best, System.nanoTime() - started);
        }
        return 2.0 * N * N * N / best;
    }

    private static boolean boundsCheckIsOff() {
        return "0".equals(System.getProperty(BOUNDS_CHECK));
    }

    private static boolean objectsAreAligned() {
        var hotspot = ManagementFactory.getPlatformMXBean(com.sun.management.HotSpotDiagnosticMXBean.class);
        return hotspot.getVMOption(ALIGNMENT).getValue().equals("64");
    }

    private static boolean moduleIsThere() {
        return ModuleLayer.boot().findModule(MODULE).isPresent();
    }

    private static List<String> missingFlags() {
        var missing = new ArrayList<String>();
        if (!boundsCheckIsOff()) {
            missing.add("-D" + BOUNDS_CHECK + "=0");
        }
        if (!moduleIsThere()) {
            missing.add("--add-modules=" + MODULE);
        }
        if (!objectsAreAligned()) {
            missing.add("-XX:" + ALIGNMENT + "=64");
        }
        return missing;
    }

    private static long memory() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean os
                ? os.getTotalMemorySize()
                : 0;
    }

    private void printText(int cores, Speed one, Speed all, CudaReport cuda) {
        line(
                "Java",
                "%s, %s, %s",
                Runtime.version(),
                System.getProperty("java.vm.name"),
                System.getProperty("java.vendor"));
        line("system", "%s, %s", System.getProperty("os.name"), System.getProperty("os.arch"));
        var missing = missingFlags();
        line(
                "flags",
                missing.isEmpty() ? "complete" : "missing: %s (start through ./megalodon)",
                String.join(" ", missing));
        line("vectors", one.lanes() == 0 ? "unknown" : "%d lanes of float32", one.lanes());
        line("cores", "%d", cores);
        line(
                "memory",
                "%,d MB, of which up to %,d MB for Java's heap",
                memory() >> 20,
                Runtime.getRuntime().maxMemory() >> 20);
        if (one.failure() == null && all.failure() == null) {
            line("SGEMM", "%.0f GFLOP/s with 1 thread, %.0f with %d", one.gflops(), all.gflops(), all.threads());
        } else {
            line("SGEMM", "failed: %s", one.failure() == null ? all.failure() : one.failure());
        }
        if (!cuda.available()) {
            line("CUDA", "not available: %s", cuda.problem());
        }
        cuda.libraries().forEach(library -> line("CUDA", "%s", library));
        cuda.gpus()
                .forEach(gpu -> line(
                        "GPU",
                        "cuda:%d: %s, compute capability %s, %,d MB",
                        gpu.ordinal(),
                        gpu.name(),
                        gpu.capability(),
                        gpu.memoryBytes() >> 20));
    }

    private void line(String name, String format, Object... arguments) {
        out().printf(Locale.ROOT, "%-9s%s%n", name, String.format(Locale.ROOT, format, arguments));
    }

    private void printJson(int cores, Speed one, Speed all, CudaReport cuda) {
        var object = Json.object()
                .put("megalodon4j", Main.version())
                .put("jdk", Runtime.version().toString())
                .put("vendor", System.getProperty("java.vendor"))
                .put("os", System.getProperty("os.name"))
                .put("arch", System.getProperty("os.arch"));
        var flags = object.putObject("flags")
                .put("vector_bounds_check_off", boundsCheckIsOff())
                .put("vector_module", moduleIsThere());
        missingFlags().forEach(flags.putArray("missing")::add);
        object.put("vector_lanes", one.lanes())
                .put("cores", cores)
                .put("memory_bytes", memory())
                .put("max_heap_bytes", Runtime.getRuntime().maxMemory());
        var sgemm =
                object.putObject("sgemm_gflops").put("one_thread", one.gflops()).put("all_threads", all.gflops());
        if (one.failure() != null || all.failure() != null) {
            sgemm.put("failure", one.failure() == null ? all.failure() : one.failure());
        }
        var ofCuda = object.putObject("cuda").put("available", cuda.available());
        if (!cuda.available()) {
            ofCuda.put("reason", cuda.problem());
        }
        cuda.libraries().forEach(ofCuda.putArray("libraries")::add);
        var gpus = ofCuda.putArray("gpus");
        cuda.gpus()
                .forEach(gpu -> gpus.addObject()
                        .put("ordinal", gpu.ordinal())
                        .put("name", gpu.name())
                        .put("capability", gpu.capability())
                        .put("memory_bytes", gpu.memoryBytes()));
        out().println(Json.line(object));
    }
}
