package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import megalodon4j.tensor.Precision;

/** cuBLAS: matrix products. */
final class Blas extends Library {
    /** cudaDataType. */
    static final int FLOAT32 = 0;

    static final int BFLOAT16 = 14;
    static final int DEFAULT_ALGORITHM = -1;

    final Native create = function("cublasCreate_v2", "p");
    final Native destroy = function("cublasDestroy_v2", "p");
    final Native setStream = function("cublasSetStream_v2", "pp");
    final Native setWorkspace = function("cublasSetWorkspace_v2", "ppl");
    final Native gemm = function("cublasGemmEx", "piiiiippiipiippiiii");
    final Native gemmBatched = function("cublasGemmStridedBatchedEx", "piiiiippiilpiilppiiliii");
    private final Native getProperty = function("cublasGetProperty", "ip");

    Blas(Libraries.Found found) {
        super(found);
    }

    /** cublasComputeType_t: CUBLAS_COMPUTE_32F or its variant that may use TF32. */
    static int computeType(Precision precision) {
        return precision == Precision.TF32 ? 77 : 68;
    }

    String version() {
        return property(0) + "." + property(1) + "." + property(2);
    }

    private int property(int type) {
        try (var arena = Arena.ofConfined()) {
            var value = arena.allocate(ValueLayout.JAVA_INT);
            getProperty.call(type, value.address());
            return value.get(ValueLayout.JAVA_INT, 0);
        }
    }

    @Override
    String explain(int status) {
        var name = switch (status) {
            case 1 -> "CUBLAS_STATUS_NOT_INITIALIZED";
            case 3 -> "CUBLAS_STATUS_ALLOC_FAILED";
            case 7 -> "CUBLAS_STATUS_INVALID_VALUE";
            case 8 -> "CUBLAS_STATUS_ARCH_MISMATCH";
            case 11 -> "CUBLAS_STATUS_MAPPING_ERROR";
            case 13 -> "CUBLAS_STATUS_EXECUTION_FAILED";
            case 14 -> "CUBLAS_STATUS_INTERNAL_ERROR";
            case 15 -> "CUBLAS_STATUS_NOT_SUPPORTED";
            default -> "code " + status;
        };
        return name + " (" + text("cublasGetStatusString", status) + ")";
    }
}
