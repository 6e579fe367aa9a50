package megalodon4j.tensor.cuda;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import megalodon4j.tensor.CudaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The four libraries, loaded and old enough for each other. */
record Toolkit(Driver driver, Blas blas, Fft fft, Compiler compiler) {
    private static final Logger LOG = LoggerFactory.getLogger(Toolkit.class);
    private static final int OLDEST_DRIVER = 12000;

    /**
     * @param home a folder with the libraries that goes before all others, nullable
     * @throws CudaException if one is missing
     */
    static Toolkit load(Path home) {
        var libraries = Libraries.of(home);
        var driver = new Driver(libraries.driver());
        int version = driver.version();
        if (version < OLDEST_DRIVER) {
            throw driver.failure("it serves CUDA %d.%d; needed: 12.0 or newer", version / 1000, version % 1000 / 10);
        }
        var toolkit = new Toolkit(
                driver,
                new Blas(libraries.toolkit(Libraries.BLAS, version)),
                new Fft(libraries.toolkit(Libraries.FFT, version)),
                new Compiler(libraries.toolkit(Libraries.COMPILER, version)));
        toolkit.lines().forEach(LOG::debug);
        return toolkit;
    }

    /** Which version of what was taken from where. */
    List<String> lines() {
        int version = driver.version();
        return List.of(
                line("driver for CUDA " + version / 1000 + "." + version % 1000 / 10, driver),
                line("cuBLAS " + blas.version(), blas),
                line("cuFFT " + fft.version(), fft),
                line("NVRTC " + compiler.version(), compiler));
    }

    private static String line(String what, Library library) {
        return String.format(Locale.ROOT, "%s from %s", what, library.found().file());
    }
}
