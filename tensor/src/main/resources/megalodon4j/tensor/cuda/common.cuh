// In front of every source of this folder.
//
// Sizes and pointers are a kernel's arguments, row-major as in Backend; `add` says whether a result is added to or
// overwritten; arguments that may be null say so. No sum depends on the order in which blocks run: there are no
// atomics, and what blocks have summed is added up by a second kernel.

#define UNROLL _Pragma("unroll")
#define ALL_LANES 0xffffffffu
#define MINUS_INFINITY __int_as_float(0xff800000)

// Each i in [0, n), shared by all threads of the grid.
#define EACH(i, n) \
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < (unsigned) (n); i += gridDim.x * blockDim.x)

// The warp's number in the grid, and the thread's in the warp.
#define WARP_OF_GRID int((blockIdx.x * blockDim.x + threadIdx.x) / 32)
#define LANE int(threadIdx.x % 32)
// The bits of lanes 0 … LANE.
#define LANES_SO_FAR ((2u << LANE) - 1)

inline __device__ void put(float& to, float value, int add) {
    to = add ? to + value : value;
}

inline __device__ float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

// --- dropout --------------------------------------------------------------------------------------------------------

// What a kernel is told of its Dropout: words below the threshold drop.
#define DROPOUT unsigned threshold, float keptScale, unsigned long long seed, unsigned long long firstSequence, int site
#define DROPOUT_FACTOR(sequence, row, column) \
    dropoutFactor(threshold, keptScale, seed, (firstSequence + (sequence)) << 20 | site, row, column)

// Word column mod 4 of Philox4x32-10 (Salmon et al. 2011).
inline __device__ unsigned philox(unsigned long long low, unsigned long long high, unsigned long long key, int word) {
    unsigned c0 = low, c1 = low >> 32, c2 = high, c3 = high >> 32, k0 = key, k1 = key >> 32;
    for (int round = 0; round < 10; round++) {
        unsigned h0 = __umulhi(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
        unsigned h1 = __umulhi(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return word < 2 ? (word == 0 ? c0 : c1) : (word == 2 ? c2 : c3);
}

// 0 for an element that is dropped, else the scale.
inline __device__ float dropoutFactor(
    unsigned threshold, float scale, unsigned long long seed, unsigned long long high, int row, int column) {
    if (threshold == 0) {
        return scale;
    }
    unsigned long long low = 1ull << 63 | (unsigned long long) row << 31 | column >> 2;
    return philox(low, high, seed, column & 3) < threshold ? 0 : scale;
}

// --- a warp: every lane gets the result -----------------------------------------------------------------------------

template <class T>
inline __device__ T warpSum(T x) {
    for (int other = 16; other > 0; other /= 2) {
        x += __shfl_xor_sync(ALL_LANES, x, other);
    }
    return x;
}

inline __device__ float warpMax(float x) {
    for (int other = 16; other > 0; other /= 2) {
        x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, other));
    }
    return x;
}

// Lane i gets the sum of lanes 0 … i.
inline __device__ double warpPrefixSum(double x) {
    for (int distance = 1; distance < 32; distance *= 2) {
        double before = __shfl_up_sync(ALL_LANES, x, distance);
        x += LANE >= distance ? before : 0;
    }
    return x;
}

// --- columns --------------------------------------------------------------------------------------------------------

#define STRIP_ROWS 256
#define STRIP_COLUMNS 32

// partial[strip][column] = Σ term(row, column) over the rows of a strip. Grid: columns / 32, strips; 256 threads.
template <class Term>
inline __device__ void columnSums(int rows, int columns, float* partial, Term term) {
    const int LINES = 8;
    __shared__ float sums[LINES][STRIP_COLUMNS];
    int x = threadIdx.x % STRIP_COLUMNS, line = threadIdx.x / STRIP_COLUMNS;
    int column = blockIdx.x * STRIP_COLUMNS + x;
    int end = min(rows, int(blockIdx.y + 1) * STRIP_ROWS);
    float sum = 0;
    for (int row = blockIdx.y * STRIP_ROWS + line; row < end && column < columns; row += LINES) {
        sum += term(row, column);
    }
    sums[line][x] = sum;
    __syncthreads();
    if (line == 0 && column < columns) {
        for (int other = 1; other < LINES; other++) {
            sum += sums[other][x];
        }
        partial[blockIdx.y * columns + column] = sum;
    }
}
