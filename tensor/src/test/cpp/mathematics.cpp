// cuBLAS and cuFFT as plain loops in double.

#include "simulated.h"

#include <cmath>
#include <complex>
#include <map>

#define REQUIRE(condition, error) \
    if (!(condition)) return error

// --- cuBLAS ----------------------------------------------------------------------------------------------------------

struct cublasContext : Counted {
    CUstream stream = nullptr;
    bool workspace = false;
};

// An operand by columns, as it is stored.
struct Operand {
    const void* memory;
    cudaDataType type;
    int rows, columns, stride;
    long long batchStride;
    bool transposed;
    bool tf32;

    size_t bytes() const { return type == CUDA_R_32F ? 4 : 2; }

    bool inMemory(int batch) const {
        size_t last = (size_t) stride * (columns - 1) + rows + (size_t) batchStride * (batch - 1);
        return onDevice(memory, last * bytes());
    }

    double at(int batch, int row, int column) const {
        long long i = transposed ? column + (long long) row * stride : row + (long long) column * stride;
        i += batch * batchStride;
        uint32_t bits = type == CUDA_R_32F ? ((uint32_t*) memory)[i] : (uint32_t) ((uint16_t*) memory)[i] << 16;
        if (tf32 && (bits & 0x7f800000) != 0x7f800000) bits = (bits + 0x1000) & ~0x1fffu; // 10 bits of mantissa are left
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
};

static void multiply(int m, int n, int k, float alpha, Operand a, Operand b, float beta, float* c, int stride, int batch) {
    std::vector<double> left((size_t) m * k), sums(m);
    for (int l = 0; l < k; l++) {
        for (int i = 0; i < m; i++) left[(size_t) l * m + i] = a.at(batch, i, l);
    }
    for (int j = 0; j < n; j++) {
        std::fill(sums.begin(), sums.end(), 0);
        for (int l = 0; l < k; l++) {
            double right = b.at(batch, l, j);
            for (int i = 0; i < m; i++) sums[i] += left[(size_t) l * m + i] * right;
        }
        float* column = c + (size_t) j * stride;
        for (int i = 0; i < m; i++) {
            // Where beta is 0, what was there does not count, not even a NaN.
            column[i] = (float) (alpha * sums[i] + (beta == 0 ? 0 : (double) beta * column[i]));
        }
    }
}

extern "C" {
cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
    REQUIRE(ready() == CUDA_SUCCESS, CUBLAS_STATUS_NOT_INITIALIZED);
    *handle = new cublasContext;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    handle->stream = stream;
    handle->workspace = false; // as the real one does
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
    REQUIRE(onDevice(workspace, bytes), CUBLAS_STATUS_INVALID_VALUE);
    handle->workspace = true;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
    *value = type == MAJOR_VERSION ? 13 : 0;
    return CUBLAS_STATUS_SUCCESS;
}

const char* cublasGetStatusString(cublasStatus_t status) {
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "simulated";
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transA, cublasOperation_t transB, int m, int n,
                                          int k, const void* alpha, const void* a, cudaDataType typeA, int lda, long long strideA,
                                          const void* b, cudaDataType typeB, int ldb, long long strideB, const void* beta, void* c,
                                          cudaDataType typeC, int ldc, long long strideC, int batch, cublasComputeType_t compute,
                                          cublasGemmAlgo_t) {
    REQUIRE(ready() == CUDA_SUCCESS, CUBLAS_STATUS_NOT_INITIALIZED);
    REQUIRE(handle->workspace || !anyCapture(), CUBLAS_STATUS_NOT_SUPPORTED); // it would allocate
    bool tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    REQUIRE(tf32 || compute == CUBLAS_COMPUTE_32F, CUBLAS_STATUS_NOT_SUPPORTED);
    REQUIRE(typeA == typeB && typeC == CUDA_R_32F, CUBLAS_STATUS_NOT_SUPPORTED);
    REQUIRE(typeA == CUDA_R_32F || (typeA == CUDA_R_16BF && !tf32), CUBLAS_STATUS_NOT_SUPPORTED);
    REQUIRE(m > 0 && n > 0 && k > 0 && batch > 0, CUBLAS_STATUS_INVALID_VALUE);
    bool ta = transA != CUBLAS_OP_N, tb = transB != CUBLAS_OP_N;
    Operand left{a, typeA, ta ? k : m, ta ? m : k, lda, strideA, ta, tf32};
    Operand right{b, typeB, tb ? n : k, tb ? k : n, ldb, strideB, tb, tf32};
    Operand result{c, typeC, m, n, ldc, strideC, false, false};
    for (auto& operand : {left, right, result}) {
        REQUIRE(operand.stride >= operand.rows && operand.inMemory(batch), CUBLAS_STATUS_INVALID_VALUE);
    }
    float alphaValue = *(float*) alpha, betaValue = *(float*) beta;
    handle->stream->compute([=] {
        for (int i = 0; i < batch; i++) {
            multiply(m, n, k, alphaValue, left, right, betaValue, (float*) c + i * strideC, ldc, i);
        }
    });
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transA, cublasOperation_t transB, int m, int n, int k,
                            const void* alpha, const void* a, cudaDataType typeA, int lda, const void* b, cudaDataType typeB, int ldb,
                            const void* beta, void* c, cudaDataType typeC, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t algorithm) {
    return cublasGemmStridedBatchedEx(handle, transA, transB, m, n, k, alpha, a, typeA, lda, 0, b, typeB, ldb, 0, beta, c, typeC, ldc,
                                      0, 1, compute, algorithm);
}
}

// --- cuFFT -----------------------------------------------------------------------------------------------------------

typedef std::complex<double> Complex;

struct Plan : Counted {
    int n, batch;
    cufftType type;
    CUstream stream = nullptr;
};

static std::map<cufftHandle, Plan> plans;

// y[j] = Σ x[i·step] e^(sign·2πi·ij/n), by halves while there are some.
static void fourier(const Complex* x, Complex* y, int n, int step, int sign) {
    if (n % 2 == 1) {
        for (int j = 0; j < n; j++) {
            y[j] = 0;
            for (int i = 0; i < n; i++) y[j] += x[(size_t) i * step] * std::polar(1.0, sign * 2 * M_PI * ((long long) i * j % n) / n);
        }
        return;
    }
    fourier(x, y, n / 2, 2 * step, sign);
    fourier(x + step, y + n / 2, n / 2, 2 * step, sign);
    for (int j = 0; j < n / 2; j++) {
        Complex even = y[j], odd = y[j + n / 2] * std::polar(1.0, sign * 2 * M_PI * j / n);
        y[j] = even + odd;
        y[j + n / 2] = even - odd;
    }
}

static void forward(int n, const float* real, float* complex) {
    std::vector<Complex> x(real, real + n), y(n);
    fourier(x.data(), y.data(), n, 1, -1);
    for (int j = 0; j <= n / 2; j++) {
        complex[2 * j] = (float) y[j].real();
        complex[2 * j + 1] = (float) y[j].imag();
    }
}

static void inverse(int n, const float* complex, float* real) {
    std::vector<Complex> x(n), y(n);
    for (int j = 0; j < n; j++) {
        int k = j <= n / 2 ? j : n - j;
        x[j] = Complex(complex[2 * k], j <= n / 2 ? complex[2 * k + 1] : -complex[2 * k + 1]);
    }
    fourier(x.data(), y.data(), n, 1, +1);
    for (int i = 0; i < n; i++) real[i] = (float) y[i].real();
}

extern "C" {
cufftResult cufftGetVersion(int* version) {
    *version = 12000;
    return CUFFT_SUCCESS;
}

cufftResult cufftPlanMany(cufftHandle* handle, int rank, int* n, int* inembed, int, int, int* onembed, int, int, cufftType type,
                          int batch) {
    REQUIRE(ready() == CUDA_SUCCESS && !anyCapture(), CUFFT_SETUP_FAILED);
    REQUIRE(rank == 1 && *n > 0 && batch > 0 && !inembed && !onembed, CUFFT_INVALID_VALUE);
    static int last = 0;
    *handle = ++last;
    auto& plan = plans[last];
    plan.n = *n;
    plan.batch = batch;
    plan.type = type;
    return CUFFT_SUCCESS;
}

cufftResult cufftDestroy(cufftHandle handle) { return plans.erase(handle) == 1 ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN; }

cufftResult cufftSetStream(cufftHandle handle, cudaStream_t stream) {
    REQUIRE(plans.count(handle), CUFFT_INVALID_PLAN);
    plans[handle].stream = stream;
    return CUFFT_SUCCESS;
}

static cufftResult execute(cufftHandle handle, cufftType type, float* real, float* complex) {
    REQUIRE(ready() == CUDA_SUCCESS, CUFFT_EXEC_FAILED);
    REQUIRE(plans.count(handle) && plans[handle].type == type, CUFFT_INVALID_PLAN);
    int n = plans[handle].n, batch = plans[handle].batch;
    size_t reals = n, complexes = 2 * (n / 2 + 1);
    REQUIRE(onDevice(real, 4 * batch * reals) && onDevice(complex, 4 * batch * complexes), CUFFT_INVALID_VALUE);
    plans[handle].stream->compute([=] {
        for (int i = 0; i < batch; i++) {
            if (type == CUFFT_R2C) {
                forward(n, real + i * reals, complex + i * complexes);
            } else {
                inverse(n, complex + i * complexes, real + i * reals);
            }
        }
        if (type == CUFFT_C2R) poison(complex, 4 * batch * complexes); // the real one may use it for work
    });
    return CUFFT_SUCCESS;
}

cufftResult cufftExecR2C(cufftHandle plan, cufftReal* real, cufftComplex* complex) {
    return execute(plan, CUFFT_R2C, real, (float*) complex);
}

cufftResult cufftExecC2R(cufftHandle plan, cufftComplex* complex, cufftReal* real) {
    return execute(plan, CUFFT_C2R, real, (float*) complex);
}
}
