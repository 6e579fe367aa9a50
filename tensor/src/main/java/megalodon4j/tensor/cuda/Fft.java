package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;

/** cuFFT: Fourier transforms. */
final class Fft extends Library {
    static final int REAL_TO_COMPLEX = 0x2a;
    static final int COMPLEX_TO_REAL = 0x2c;

    private static final String[] STATUS = {
        "CUFFT_SUCCESS",
        "CUFFT_INVALID_PLAN",
        "CUFFT_ALLOC_FAILED",
        "CUFFT_INVALID_TYPE",
        "CUFFT_INVALID_VALUE",
        "CUFFT_INTERNAL_ERROR",
        "CUFFT_EXEC_FAILED",
        "CUFFT_SETUP_FAILED",
        "CUFFT_INVALID_SIZE",
        "CUFFT_UNALIGNED_DATA"
    };

    final Native planMany = function("cufftPlanMany", "pippiipiiii");
    final Native destroy = function("cufftDestroy", "i");
    final Native setStream = function("cufftSetStream", "ip");
    final Native realToComplex = function("cufftExecR2C", "ipp");
    final Native complexToReal = function("cufftExecC2R", "ipp");
    private final Native getVersion = function("cufftGetVersion", "p");

    Fft(Libraries.Found found) {
        super(found);
    }

    String version() {
        try (var arena = Arena.ofConfined()) {
            var version = arena.allocate(ValueLayout.JAVA_INT);
            getVersion.call(version.address());
            int number = version.get(ValueLayout.JAVA_INT, 0);
            return number / 1000 + "." + number % 1000 / 100 + "." + number % 100;
        }
    }

    @Override
    String explain(int status) {
        return status > 0 && status < STATUS.length ? STATUS[status] : "code " + status;
    }
}
