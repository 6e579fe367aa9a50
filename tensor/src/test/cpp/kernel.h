// CUDA C for g++: included in front of every kernel.
#pragma once

#include "simulation.h"

#include <cmath>
#include <cstring>
#include <utility>

typedef Size uint3;
typedef Size dim3;

static Simulation* sim;
extern "C" __attribute__((visibility("default"))) void simulatedBind(Simulation* simulation) { sim = simulation; }

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __shared__ static __attribute__((section("simulated_shared")))
#define threadIdx (sim->threadIdx)
#define blockIdx (sim->blockIdx)
#define blockDim (sim->blockDim)
#define gridDim (sim->gridDim)
#define warpSize 32

extern char __start_simulated_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_simulated_shared[] __attribute__((weak, visibility("hidden")));

// extern __shared__ T name[];
template <class T>
struct DynamicShared {
    operator T*() const { return (T*) sim->dynamicShared; }
};

// --- vectors ---------------------------------------------------------------------------------------------------------

#define SIMULATED_VECTOR(name, type, bytes)                                                        \
    struct alignas(2 * bytes) name##2 { type x, y; };                                              \
    struct name##3 { type x, y, z; };                                                              \
    struct alignas(4 * bytes) name##4 { type x, y, z, w; };                                        \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }                               \
    inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                    \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
SIMULATED_VECTOR(float, float, 4)
SIMULATED_VECTOR(int, int, 4)
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) double2 { double x, y; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

// --- numbers ---------------------------------------------------------------------------------------------------------

template <class To, class From>
inline To simulatedBits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &value, sizeof to);
    return to;
}

inline int __float_as_int(float x) { return simulatedBits<int>(x); }
inline unsigned __float_as_uint(float x) { return simulatedBits<unsigned>(x); }
inline float __int_as_float(int x) { return simulatedBits<float>(x); }
inline float __uint_as_float(unsigned x) { return simulatedBits<float>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned) ((uint64_t) a * b >> 32); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz((unsigned) x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float rsqrtf(float x) { return (float) (1 / std::sqrt((double) x)); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float sinpif(float x) { return (float) std::sin(M_PI * x); }
inline float cospif(float x) { return (float) std::cos(M_PI * x); }
template <class T>
inline T __ldg(const T* address) { return *address; }

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline long long min(long long a, long long b) { return a < b ? a : b; }
inline long long max(long long a, long long b) { return a > b ? a : b; }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }

// --- threads that meet -----------------------------------------------------------------------------------------------

inline void __syncthreads() { sim->barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffff) { sim->exchange(mask, 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}

inline int simulatedLane() {
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
}

// A lane that asks beyond its segment gets its own value, as on a device.
template <class T>
inline T simulatedShuffle(unsigned mask, T value, int from, bool valid) {
    static_assert(sizeof(T) <= 8);
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    auto slots = sim->exchange(mask, bits);
    T result;
    memcpy(&result, &slots[valid ? from : simulatedLane()], sizeof result);
    return result;
}

template <class T>
inline T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
    return simulatedShuffle(mask, value, simulatedLane() / width * width + from % width, true);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32) {
    int from = simulatedLane() ^ with;
    return simulatedShuffle(mask, value, from, from / width <= simulatedLane() / width);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
    int lane = simulatedLane();
    return simulatedShuffle(mask, value, lane + (int) by, lane % width + (int) by < width);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
    int lane = simulatedLane();
    return simulatedShuffle(mask, value, lane - (int) by, lane % width >= (int) by);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    auto slots = sim->exchange(mask, predicate != 0);
    unsigned votes = 0;
    for (int lane = 0; lane < 32; lane++) votes |= (mask >> lane & 1) && slots[lane] == 1 ? 1u << lane : 0;
    return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

// One thread runs at a time.
template <class T>
inline T atomicAdd(T* address, T value) {
    T old = *address;
    *address = old + value;
    return old;
}
template <class T>
inline T atomicMax(T* address, T value) {
    T old = *address;
    *address = old < value ? value : old;
    return old;
}

// --- how the simulated device finds a kernel and calls it ------------------------------------------------------------

template <auto kernel, class... T, size_t... i>
inline SimulatedKernel simulatedKernel(void (*)(T...), std::index_sequence<i...>) {
    static const size_t sizes[] = {sizeof(T)..., 0};
    return {sizeof...(T), sizes, [](void** arguments) { kernel(*(T*) arguments[i]...); }, __start_simulated_shared,
            (size_t) (__stop_simulated_shared - __start_simulated_shared)};
}
template <auto kernel, class... T>
inline SimulatedKernel simulatedKernel(void (*function)(T...)) {
    return simulatedKernel<kernel>(function, std::index_sequence_for<T...>());
}

#define SIMULATED_KERNEL(name)                                                                     \
    extern "C" __attribute__((visibility("default"))) SimulatedKernel simulated_##name() {        \
        return simulatedKernel<&name>(&name);                                                      \
    }
