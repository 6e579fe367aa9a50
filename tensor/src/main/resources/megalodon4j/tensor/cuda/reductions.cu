// Sums of whole tensors, in double, and of columns.

#define RUN 4096

// Thread 0 of 256 gets the sum of all.
inline __device__ double blockSum(double x) {
    __shared__ double sums[8];
    x = warpSum(x);
    if (LANE == 0) {
        sums[threadIdx.x / 32] = x;
    }
    __syncthreads();
    for (int warp = 1; threadIdx.x == 0 && warp < 8; warp++) {
        x += sums[warp];
    }
    return x;
}

// partial[block] = Σ x or Σ x² over a run of elements.
extern "C" __global__ void partialSums(const float* x, int n, int squared, double* partial) {
    unsigned end = min((unsigned) n, (blockIdx.x + 1) * RUN);
    double sum = 0;
    for (unsigned i = blockIdx.x * RUN + threadIdx.x; i < end; i += blockDim.x) {
        sum += squared ? (double) x[i] * x[i] : x[i];
    }
    sum = blockSum(sum);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = sum;
    }
}

// The sum of partial sums as two floats, the nearest one and what it lacks. One block.
extern "C" __global__ void total(const double* partial, int n, float* total) {
    double sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        sum += partial[i];
    }
    sum = blockSum(sum);
    if (threadIdx.x == 0) {
        total[0] = (float) sum;
        total[1] = (float) (sum - total[0]);
    }
}

extern "C" __global__ void sumRows(const float* x, int rows, int columns, float* partial) {
    columnSums(rows, columns, partial, [&](int row, int column) { return x[row * columns + column]; });
}

// to (columns) (+)= Σ over strips of partial (strips, columns): the end of every columnSums.
extern "C" __global__ void addStrips(const float* partial, int strips, int columns, float* to, int add) {
    EACH(column, columns) {
        float sum = 0;
        for (int strip = 0; strip < strips; strip++) {
            sum += partial[strip * columns + column];
        }
        put(to[column], sum, add);
    }
}
