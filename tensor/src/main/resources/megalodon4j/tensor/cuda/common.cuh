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
