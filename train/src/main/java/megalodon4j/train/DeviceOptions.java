package megalodon4j.train;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Pattern;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.Precision;
import picocli.CommandLine.Option;

/** What computes. */
final class DeviceOptions {
    private static final Pattern DEVICE = Pattern.compile("cpu|cuda(?::(\\d{1,4}))?");

    private static final int MAX_THREADS = 1024; // more of them only take memory

    @Option(names = "--device", paramLabel = "D", defaultValue = "cpu", description = "cpu (default) or cuda[:N].")
    private String device;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "CPU threads, from 1 to " + MAX_THREADS + "; all cores if not given.")
    private Integer threads;

    @Option(
            names = "--cuda-home",
            paramLabel = "DIR",
            description = "The folder of CUDA's libraries; looked for where they usually are if not given.")
    private Path cudaHome;

    /** Refuses what cannot be, before anything else is done. */
    void check() {
        if (!DEVICE.matcher(device).matches()) {
            throw Failure.usage("--device: \"%s\"; allowed: cpu, cuda, cuda:N", device);
        }
        if (threads != null && (threads < 1 || threads > MAX_THREADS)) {
            throw Failure.usage("--threads: %d; allowed: a whole number from 1 to %d", threads, MAX_THREADS);
        }
        if (threads != null && isCuda()) {
            throw Failure.usage("--threads: %d; not allowed together with --device %s", threads, device);
        }
        if (cudaHome != null && !isCuda()) {
            throw Failure.usage("--cuda-home: %s; allowed only together with --device cuda", cudaHome);
        }
        requireFolder("--cuda-home", cudaHome);
    }

    /** @param folder nullable */
    static void requireFolder(String option, Path folder) {
        if (folder != null && !Files.isDirectory(folder)) {
            throw Failure.usage("%s: %s: %s", option, folder, Files.exists(folder) ? "not a folder" : "no such folder");
        }
    }

    private boolean isCuda() {
        return !device.equals("cpu");
    }

    /**
     * What a config's word for it means on the device.
     *
     * @param word auto, fp32, tf32 or bf16
     */
    Precision precision(String word) {
        if (word.equals("auto")) {
            return isCuda() ? Precision.TF32 : Precision.FP32;
        }
        var precision = Precision.valueOf(word.toUpperCase(Locale.ROOT));
        if (precision != Precision.FP32 && !isCuda()) {
            throw Failure.usage("precision: \"%s\" is not available on the cpu; allowed: auto, fp32", word);
        }
        return precision;
    }

    Backend open(Precision precision) {
        if (!isCuda()) {
            return threads == null ? Backend.cpu() : Backend.cpu(threads);
        }
        var ordinal = DEVICE.matcher(device).results().findFirst().orElseThrow().group(1);
        try {
            return Backend.cuda(ordinal == null ? 0 : Integer.parseInt(ordinal), cudaHome, precision);
        } catch (CudaException e) {
            throw Failure.job("--device: %s is not available: %s", device, e.getMessage())
                    .causedBy(e);
        }
    }
}
