package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

/** Fails if the tests of the CPU did not run on the vectors that the chip has. */
class SimdPathTest {
    private static final Path CPUINFO = Path.of("/proc/cpuinfo");

    private static int lanes() {
        try (var backend = Backend.cpu(1)) {
            int lanes = backend.vectorLanes();
            assertEquals("cpu (1 thread, " + lanes + " lanes)", backend.describe());
            return lanes;
        }
    }

    @Test
    void theLanesAreThoseOfTheJvm() {
        int preferred = FloatVector.SPECIES_PREFERRED.length();
        int lanes = Math.min(preferred, Integer.getInteger("megalodon.lanes", preferred));
        assertTrue(List.of(4, 8, 16).contains(lanes), "lanes " + lanes);
        assertEquals(lanes, lanes());
    }

    /** A run of the tests that is about one width says which by -Dmegalodon.test.lanes. */
    @Test
    void theLanesAreThoseMeant() throws IOException {
        var meant = Integer.getInteger("megalodon.test.lanes");
        assumeTrue(meant != null, "no width was asked for");
        assumeTrue(meant == 4 || chipHas("avx2"), "8 lanes need AVX2");
        assertEquals(meant, lanes());
    }

    private static boolean chipHas(String flag) throws IOException {
        return System.getProperty("os.arch").equals("amd64")
                && Files.isReadable(CPUINFO)
                && Pattern.compile("\\b" + flag + "\\b")
                        .matcher(Files.readString(CPUINFO))
                        .find();
    }

    @Test
    void theLanesAreThoseOfTheChip() throws IOException {
        var arguments = ManagementFactory.getRuntimeMXBean().getInputArguments();
        assumeTrue(
                arguments.stream()
                        .noneMatch(a -> a.matches("-XX:(UseAVX|UseSSE|MaxVectorSize)=.*|-Dmegalodon\\.lanes=.*")),
                "a narrower path was asked for: " + arguments);
        assumeTrue(chipHas("avx2"), "no x86 with AVX2 and /proc/cpuinfo");
        assertTrue(lanes() > 4, "4 lanes on a chip with AVX2");
    }

    /** Interpreted, or compiled by C1 alone, every vector is an object. */
    @Test
    void theCompilerKnowsVectors() {
        var arguments = ManagementFactory.getRuntimeMXBean().getInputArguments();
        assertTrue(
                arguments.stream()
                        .noneMatch(a -> a.matches("-Xint|-XX:TieredStopAtLevel=[0-3]|-XX:-EnableVectorSupport")),
                "vectors need C2, got " + arguments);
    }
}
