package megalodon4j.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Set;
import org.bytedeco.openblas.global.openblas_full;

/** The OpenBLAS that bytedeco packs, and which of its kernels runs. */
final class OpenBlas {
    /** Chooses the kernels by name when OpenBLAS is loaded. */
    static final String CORE_VARIABLE = "OPENBLAS_CORETYPE";

    /** The one that every CPU with AVX-512 can run. */
    static final String AVX512_CORE = "SkylakeX";

    private static final Set<String> AVX512_CORES = Set.of("skylakex", "cooperlake", "sapphirerapids");

    private OpenBlas() {}

    /** The core whose kernels it chose, for example {@code SkylakeX}. */
    static String core() {
        return openblas_full.openblas_get_corename().getString();
    }

    /** Whether it chose kernels for narrower vectors than the CPU has, though nobody asked for them. */
    static boolean isSlowed() {
        return System.getenv(CORE_VARIABLE) == null
                && cpuHasAvx512()
                && !AVX512_CORES.contains(core().toLowerCase(Locale.ROOT));
    }

    private static boolean cpuHasAvx512() {
        try {
            return Files.readString(Path.of("/proc/cpuinfo")).contains(" avx512f ");
        } catch (IOException notLinux) {
            return false;
        }
    }

    static void threads(int threads) {
        openblas_full.openblas_set_num_threads(threads);
        int got = openblas_full.openblas_get_num_threads();
        Verify.that(got == threads, "OpenBLAS runs on " + got + " threads, not on " + threads);
    }
}
