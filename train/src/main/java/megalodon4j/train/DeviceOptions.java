package megalodon4j.train;

import java.util.regex.Pattern;
import megalodon4j.tensor.Backend;
import picocli.CommandLine.Option;

/** What computes. */
final class DeviceOptions {
    private static final Pattern DEVICE = Pattern.compile("cpu|cuda(:\\d+)?");

    /** Why there is no CUDA. */
    static final String NO_CUDA = "this build has no CUDA backend yet";

    @Option(names = "--device", paramLabel = "D", defaultValue = "cpu", description = "cpu (default) or cuda[:N].")
    private String device;

    @Option(names = "--threads", paramLabel = "N", description = "CPU threads, at least 1; all cores if not given.")
    private Integer threads;

    /** Refuses what cannot be, before anything else is done. */
    void check() {
        if (!DEVICE.matcher(device).matches()) {
            throw Failure.usage("--device: \"%s\"; allowed: cpu, cuda, cuda:N", device);
        }
        if (threads != null && threads < 1) {
            throw Failure.usage("--threads: %d; allowed: a whole number, at least 1", threads);
        }
        if (!device.equals("cpu")) {
            throw Failure.job("--device: %s is not available, since %s; allowed: cpu", device, NO_CUDA);
        }
    }

    /** Refuses a precision that the device does not have. */
    void check(String precision) {
        if (!precision.equals("auto") && !precision.equals("fp32")) {
            throw Failure.usage("precision: \"%s\" is not available on the cpu; allowed: auto, fp32", precision);
        }
    }

    Backend open() {
        return threads == null ? Backend.cpu() : Backend.cpu(threads);
    }
}
