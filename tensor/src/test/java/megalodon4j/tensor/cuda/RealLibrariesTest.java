package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import megalodon4j.tensor.CudaException;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** NVIDIA's own NVRTC, cuBLAS and cuFFT, where CUDA_HOME or the usual folders have them; no GPU is needed. */
class RealLibrariesTest {
    private static final int ANY_DRIVER = 99_000;
    private static final List<Integer> ARCHITECTURES = List.of(80, 90, 120);
    private static final Pattern SPILLED = Pattern.compile("[1-9]\\d* bytes spill");

    static Stream<String> sources() throws Exception {
        return NvccTest.sources();
    }

    @ParameterizedTest
    @MethodSource("sources")
    void everyKernelCompilesWithoutWarningOrSpill(String name) {
        var compiler = new Compiler(find(Libraries.COMPILER));
        for (int architecture : ARCHITECTURES) {
            var options = Stream.concat(compiler.options(architecture).stream(), Stream.of("--ptxas-options=--verbose"))
                    .toList();
            var compiled = compiler.compile(name + ".cu", Modules.source(name), options);
            assertTrue(compiled.log().contains("'sm_" + architecture + "'"), compiled::log);
            assertFalse(compiled.log().contains("warning"), compiled::log);
            assertFalse(SPILLED.matcher(compiled.log()).find(), compiled::log);
            assertEquals("\177ELF", new String(compiled.image(), 0, 4, StandardCharsets.US_ASCII));
        }
    }

    @Test
    void anUnknownArchitectureGetsPtx() {
        var compiler = new Compiler(find(Libraries.COMPILER));
        int newest = compiler.architectures().getLast();
        var compiled = compiler.compile("cast.cu", Modules.source("cast"), compiler.options(newest + 1));
        var ptx = new String(compiled.image(), StandardCharsets.US_ASCII);
        assertTrue(ptx.contains(".target sm_" + newest) && ptx.contains(".entry toBfloat16("), ptx);
    }

    @Test
    void versionsAreThoseOfTheFiles() {
        for (var library : List.of(Libraries.BLAS, Libraries.FFT, Libraries.COMPILER)) {
            var found = find(library);
            var version = switch (library) {
                case Libraries.BLAS -> new Blas(found).version();
                case Libraries.FFT -> new Fft(found).version();
                default -> new Compiler(found).version();
            };
            assertTrue(version.matches("\\d+(\\.\\d+)+"), version);
            assertEquals(found.version().getFirst(), Integer.valueOf(version.split("\\.")[0]));
        }
    }

    @Test
    void statusCodesHaveTheirNames() {
        assertEquals(
                "CUBLAS_STATUS_INVALID_VALUE (an unsupported value or parameter was passed to the function)",
                new Blas(find(Libraries.BLAS)).explain(7));
        assertEquals("NVRTC_ERROR_COMPILATION", new Compiler(find(Libraries.COMPILER)).explain(6));
    }

    private static Libraries.Found find(String library) {
        try {
            return Libraries.of(null).toolkit(library, ANY_DRIVER);
        } catch (CudaException e) {
            return Assumptions.abort(e.getMessage());
        }
    }
}
