// The complex EMA as a convolution with k[j] = Re Σ_n γ_n p_n q_nʲ. Around the transforms, which want rows of time: x
// (batch, length, channels) becomes rows (batch, channels, size), zero behind the end.

#define EDGE 32
#define LINES 8
#define RUN 16

struct Complex {
    double re, im;
};

inline __device__ Complex operator*(Complex a, Complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

inline __device__ Complex power(Complex q, int exponent) {
    Complex result = {1, 0};
    for (; exponent > 0; exponent /= 2, q = q * q) {
        result = exponent % 2 ? result * q : result;
    }
    return result;
}

// kernel (channels, size). A thread a channel and run of times.
extern "C" __global__ void convolutionKernel(const float* c, float* kernel, int length, int size, int channels, int states) {
    int runs = (size + RUN - 1) / RUN, plane = states * channels;
    EACH(i, channels * runs) {
        int d = i / runs, from = i % runs * RUN;
        double sums[RUN] = {};
        for (int n = 0; n < states; n++) {
            int at = n * channels + d;
            Complex q = {c[at + plane], c[at + 2 * plane]};
            Complex term = Complex{c[at + 3 * plane], c[at + 4 * plane]} * Complex{c[at], 0} * power(q, from);
            UNROLL for (int j = 0; j < RUN; j++, term = term * q) {
                sums[j] += term.re;
            }
        }
        UNROLL for (int j = 0; j < RUN; j++) {
            if (from + j < size) {
                kernel[d * size + from + j] = from + j < length ? (float) sums[j] : 0;
            }
        }
    }
}

// rows = xᵀ, 0 where masked and beyond the length. Grid: tiles of size × channels, batch; 32 × 8 threads.
extern "C" __global__ void pad(const float* x, const float* mask, float* rows, int length, int size, int channels) {
    __shared__ float tile[EDGE][EDGE + 1];
    int tiles = (channels + EDGE - 1) / EDGE, column = threadIdx.x % EDGE, b = blockIdx.y;
    int time = blockIdx.x / tiles * EDGE, channel = blockIdx.x % tiles * EDGE;
    for (int line = threadIdx.x / EDGE; line < EDGE; line += LINES) {
        int token = b * length + time + line;
        bool valid = time + line < length && channel + column < channels && (!mask || mask[token] != 0);
        tile[line][column] = valid ? x[token * channels + channel + column] : 0;
    }
    __syncthreads();
    for (int line = threadIdx.x / EDGE; line < EDGE; line += LINES) {
        if (channel + line < channels && time + column < size) {
            rows[(b * channels + channel + line) * size + time + column] = tile[column][line];
        }
    }
}

// y (+)= rowsᵀ / size + omega · x; a masked token lacks the second, and the first unless `keep`. Grid as pad's, over
// the length.
extern "C" __global__ void unpad(
    const float* rows, const float* x, const float* mask, const float* omega, float* y, int length, int size,
    int channels, int keep, int add) {
    __shared__ float tile[EDGE][EDGE + 1];
    int tiles = (channels + EDGE - 1) / EDGE, column = threadIdx.x % EDGE, b = blockIdx.y;
    int time = blockIdx.x / tiles * EDGE, channel = blockIdx.x % tiles * EDGE;
    for (int line = threadIdx.x / EDGE; line < EDGE; line += LINES) {
        if (channel + line < channels && time + column < length) {
            tile[line][column] = rows[(b * channels + channel + line) * size + time + column] / size;
        }
    }
    __syncthreads();
    for (int line = threadIdx.x / EDGE; line < EDGE; line += LINES) {
        int token = b * length + time + line, at = token * channels + channel + column;
        if (time + line < length && channel + column < channels) {
            bool valid = !mask || mask[token] != 0;
            float sum = (valid || keep ? tile[column][line] : 0) + (valid ? omega[channel + column] * x[at] : 0);
            put(y[at], sum, add);
        }
    }
}

// Y = K X in place of x (batch, n), the kernel's spectrum (n), n = channels · frequencies.
extern "C" __global__ void convolve(const float2* kernel, float2* x, int batch, int n) {
    EACH(i, batch * n) {
        float2 k = kernel[i % n], z = x[i];
        x[i] = make_float2(k.x * z.x - k.y * z.y, k.x * z.y + k.y * z.x);
    }
}

// dX = conj(K) dY in place of dY, dK = Σ over sequences of conj(X) dY.
extern "C" __global__ void convolveGrad(const float2* kernel, const float2* x, float2* dy, float2* dkernel, int batch, int n) {
    EACH(i, n) {
        float2 k = kernel[i], sum = make_float2(0, 0);
        for (int at = i, b = 0; b < batch; b++, at += n) {
            float2 z = x[at], g = dy[at];
            sum.x += z.x * g.x + z.y * g.y;
            sum.y += z.x * g.y - z.y * g.x;
            dy[at] = make_float2(k.x * g.x + k.y * g.y, k.x * g.y - k.y * g.x);
        }
        dkernel[i] = sum;
    }
}

// With u_j = qʲ: ∂k/∂γ = p u, ∂k/∂p = γ u, ∂k/∂q = γ p j u_{j−1}, each in the sense of Re. A warp a channel and state;
// dkernel (channels, size), size times too large.
extern "C" __global__ void kernelGrad(
    const float* dkernel, const float* c, float* dc, int length, int size, int channels, int states, int add) {
    int d = WARP_OF_GRID / states, n = WARP_OF_GRID % states;
    if (d >= channels) {
        return;
    }
    int at = n * channels + d, plane = states * channels;
    Complex q = {c[at + plane], c[at + 2 * plane]}, far = power(q, 32), u = power(q, LANE);
    Complex sum = {0, 0}, slope = {0, 0}; // Σ dk_j qʲ, Σ dk_{j+1} (j + 1) qʲ
    for (int j = LANE; j < length; j += 32, u = u * far) {
        double g = dkernel[d * size + j], next = j + 1 < length ? dkernel[d * size + j + 1] * (j + 1.0) : 0;
        sum = {sum.re + g * u.re, sum.im + g * u.im};
        slope = {slope.re + next * u.re, slope.im + next * u.im};
    }
    sum = {warpSum(sum.re) / size, warpSum(sum.im) / size};
    slope = {warpSum(slope.re) / size, warpSum(slope.im) / size};
    double p = c[at], gr = c[at + 3 * plane], gi = c[at + 4 * plane];
    if (LANE == 0) {
        put(dc[at], (float) (gr * sum.re - gi * sum.im), add);
        put(dc[at + plane], (float) (p * (gr * slope.re - gi * slope.im)), add);
        put(dc[at + 2 * plane], (float) (-p * (gr * slope.im + gi * slope.re)), add);
        put(dc[at + 3 * plane], (float) (p * sum.re), add);
        put(dc[at + 4 * plane], (float) (-p * sum.im), add);
    }
}
