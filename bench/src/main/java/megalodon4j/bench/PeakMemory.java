package megalodon4j.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryType;
import java.nio.file.Files;
import java.nio.file.Path;

/** The most memory that this process has had at any time. */
final class PeakMemory {
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final boolean RESIDENT = Files.isReadable(STATUS);

    private PeakMemory() {}

    /** What is counted: all that is resident where the system tells it, as Linux does; else the heap alone. */
    static String kind() {
        return RESIDENT ? "resident" : "heap";
    }

    static long bytes() {
        return RESIDENT ? resident() : heap();
    }

    // "VmHWM:	  123456 kB"
    private static long resident() {
        try (var lines = Files.lines(STATUS)) {
            var line = lines.filter(l -> l.startsWith("VmHWM:")).findFirst().orElseThrow();
            return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    // The peaks of its parts, which need not have been at the same time.
    private static long heap() {
        return ManagementFactory.getMemoryPoolMXBeans().stream()
                .filter(pool -> pool.getType() == MemoryType.HEAP)
                .mapToLong(pool -> pool.getPeakUsage().getUsed())
                .sum();
    }
}
