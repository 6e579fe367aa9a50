// Kernels for the tests of the device itself.

extern "C" __global__ void scale(float* x, float factor, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        x[i] *= factor;
    }
}

// to[0 … 4] = what came, each as its own type.
extern "C" __global__ void arguments(long long* to, const long long* pointer, int i, long long l, float f) {
    to[0] = (long long) pointer;
    to[1] = i;
    to[2] = l;
    to[3] = __float_as_int(f);
    to[4] = gridDim.x * 1000000 + gridDim.y * 1000 + blockDim.x;
}

// sums[block] = Σ x of the block: by warps, then by the first warp. Blocks of whole warps.
extern "C" __global__ void blockSums(const float* x, float* sums) {
    __shared__ float ofWarp[32];
    float sum = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int by = 16; by > 0; by /= 2) {
        sum += __shfl_xor_sync(0xffffffff, sum, by);
    }
    if (threadIdx.x % 32 == 0) {
        ofWarp[threadIdx.x / 32] = sum;
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < blockDim.x / 32 ? ofWarp[threadIdx.x] : 0;
        for (int by = 16; by > 0; by /= 2) {
            sum += __shfl_down_sync(0xffffffff, sum, by);
        }
        if (threadIdx.x == 0) {
            sums[blockIdx.x] = sum;
        }
    }
}

// y[i] = x[i - 1], the first of a block 0: through shared memory, with two barriers.
extern "C" __global__ void shift(const float* x, float* y) {
    extern __shared__ float line[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    line[threadIdx.x] = x[i];
    __syncthreads();
    float left = threadIdx.x == 0 ? 0 : line[threadIdx.x - 1];
    __syncthreads();
    line[threadIdx.x] = left;
    y[i] = line[threadIdx.x];
}

// --- faults -----------------------------------------------------------------------------------------------------------

// As shift, without the first barrier.
extern "C" __global__ void shiftTooEarly(const float* x, float* y) {
    extern __shared__ float line[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    line[threadIdx.x] = x[i];
    y[i] = threadIdx.x == 0 ? 0 : line[threadIdx.x - 1];
}

// As shift, in place, without the second barrier.
extern "C" __global__ void shiftInPlace(const float* x, float* y) {
    extern __shared__ float line[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    line[threadIdx.x] = x[i];
    __syncthreads();
    line[threadIdx.x] = threadIdx.x == 0 ? 0 : line[threadIdx.x - 1];
    y[i] = line[threadIdx.x];
}

extern "C" __global__ void barrierForSome() {
    if (threadIdx.x < 7) {
        return;
    }
    __syncthreads();
}

extern "C" __global__ void shuffleForSome(float* x) {
    if (threadIdx.x % 2 == 0) {
        x[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 2);
    }
}

extern "C" __global__ void writeAt(float* x, int i) {
    x[i] = 1;
}

extern "C" __global__ void writeShared(int i) {
    extern __shared__ float line[];
    line[i] = 1;
}
