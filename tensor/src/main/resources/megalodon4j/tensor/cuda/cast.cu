// to (batch, rows, columns) of bfloat16 = from (batch, rows, columns) of floats with strides, rounded to the nearest, ties to even.
extern "C" __global__ void toBfloat16(const float* from, unsigned short* to, int rows, int columns, int rowStride, long long batchStride,
                                      long long count) {
    for (long long i = blockIdx.x * (long long) blockDim.x + threadIdx.x; i < count; i += gridDim.x * (long long) blockDim.x) {
        long long row = i / columns;
        long long at = row / rows * batchStride + row % rows * rowStride + i % columns;
        unsigned int bits = __float_as_uint(from[at]);
        bool isNan = (bits & 0x7fffffffu) > 0x7f800000u;
        to[i] = isNan ? 0x7fff : (unsigned short) ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}
