package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Where NVIDIA's own compiler is, it takes every kernel without a warning, and finds registers for all that the kernels keep. */
class NvccTest {
    private static final List<String> ARCHITECTURES = List.of("80", "90", "120");
    private static final Pattern SPILLED = Pattern.compile("[1-9]\\d* bytes spill");

    @TempDir
    private Path folder;

    static Stream<String> sources() throws Exception {
        var resources = Path.of(Modules.class.getResource("common.cuh").toURI()).getParent();
        try (var files = Files.list(resources)) {
            return files
                    .map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".cu"))
                    .map(name -> name.substring(0, name.length() - 3))
                    .sorted()
                    .toList()
                    .stream();
        }
    }

    @ParameterizedTest
    @MethodSource("sources")
    void compilesWithoutWarningOrSpill(String name) throws Exception {
        assumeTrue(onPath("nvcc"), "no nvcc on the PATH: the kernels are not compiled by it");
        var source = Files.writeString(folder.resolve(name + ".cu"), Modules.source(name));
        var command = new ArrayList<>(List.of("nvcc", "-fatbin", "-Werror", "all-warnings", "-Xptxas", "-v"));
        for (var architecture : ARCHITECTURES) {
            command.addAll(List.of("-gencode", "arch=compute_" + architecture + ",code=sm_" + architecture));
        }
        command.addAll(List.of("-o", folder.resolve(name).toString(), source.toString()));
        var output = run(command);
        for (var architecture : ARCHITECTURES) {
            assertTrue(output.contains("'sm_" + architecture + "'"), output);
        }
        assertFalse(output.contains("warning"), output);
        assertFalse(SPILLED.matcher(output).find(), output);
    }

    private static String run(List<String> command) throws IOException, InterruptedException {
        var process = new ProcessBuilder(command).redirectErrorStream(true).start();
        var output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        return output;
    }

    private static boolean onPath(String program) {
        return Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }
}
