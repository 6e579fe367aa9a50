package megalodon4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Results on the CPU depend on nothing but the numbers that go in: not on the number of threads, not on what ran
 * before, and not on whether the JVM has compiled a kernel yet.
 */
class CpuDeterminismTest {
    private static Map<String, float[]> largeOnOneThread;

    private static Map<String, float[]> largeOn(int threads) {
        try (var backend = Backend.cpu(threads)) {
            return EveryOperation.run(backend, EveryOperation.Sizes.LARGE);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5})
    void threadsMakeNoDifference(int threads) {
        if (largeOnOneThread == null) {
            largeOnOneThread = largeOn(1);
        }
        assertSame(largeOnOneThread, largeOn(threads));
    }

    @Test
    void aSecondRunMakesNoDifference() {
        try (var backend = Backend.cpu(3)) {
            var first = EveryOperation.run(backend, EveryOperation.Sizes.LARGE);
            assertSame(first, EveryOperation.run(backend, EveryOperation.Sizes.LARGE));
        }
    }

    private static void assertSame(Map<String, float[]> want, Map<String, float[]> got) {
        var different = new ArrayList<String>();
        want.forEach((name, bits) -> {
            if (!Arrays.equals(bits, got.get(name))) {
                different.add(name);
            }
        });
        assertTrue(different.isEmpty(), () -> "not the same bits: " + different);
        assertEquals(want.keySet(), got.keySet());
    }

    /**
     * A run that is resumed begins in the interpreter where the first had been compiled. Vector operations whose
     * order or whose last bit the JVM leaves open (reduceLanes of sums, EXP and LOG) are what differs between the
     * two.
     */
    @Test
    void compilationMakesNoDifference() throws Exception {
        var interpreted = interpreted();
        var different = new ArrayList<String>();
        try (var backend = Backend.cpu(1)) {
            for (int warm = 0; warm < 300; warm++) {
                for (var result : hashes(backend).entrySet()) {
                    boolean same = result.getValue().equals(interpreted.get(result.getKey()));
                    if (!same && !different.contains(result.getKey())) {
                        different.add(result.getKey());
                    }
                }
            }
        }
        assertTrue(different.isEmpty(), () -> "compiled code gives other bits than the interpreter: " + different);
    }

    private static Map<String, Integer> hashes(Backend backend) {
        var hashes = new LinkedHashMap<String, Integer>();
        EveryOperation.run(backend, EveryOperation.Sizes.SMALL)
                .forEach((name, bits) -> hashes.put(name, Arrays.hashCode(bits)));
        return hashes;
    }

    /** The hashes of another JVM that compiles nothing, but has this one's options. */
    private static Map<String, Integer> interpreted() throws Exception {
        var command = new ArrayList<>(
                List.of(System.getProperty("java.home") + File.separator + "bin" + File.separator + "java"));
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(argument -> !argument.startsWith("-javaagent") && !argument.startsWith("-agentlib"))
                .forEach(command::add);
        command.addAll(List.of("-Xint", "-cp", System.getProperty("java.class.path"), Interpreted.class.getName()));
        var process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        var output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        var hashes = new LinkedHashMap<String, Integer>();
        output.lines().map(line -> line.split("\t")).forEach(line -> hashes.put(line[0], Integer.valueOf(line[1])));
        return hashes;
    }

    /** What the other JVM runs. */
    static final class Interpreted {
        private Interpreted() {}

        public static void main(String[] arguments) {
            try (var backend = Backend.cpu(1)) {
                hashes(backend).forEach((name, hash) -> System.out.println(name + "\t" + hash));
            }
        }
    }
}
