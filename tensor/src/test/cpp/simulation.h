// What the simulated device and the kernels that run on it know of each other.
#pragma once

#include <cstddef>
#include <cstdint>

struct Size {
    unsigned x, y, z;
};

// The thread that runs, and what it can ask of its block.
struct Simulation {
    Size threadIdx, blockIdx, blockDim, gridDim;
    void* dynamicShared;
    void (*barrier)();
    // Waits for all lanes of the mask; then entry i is what lane i gave.
    const uint64_t* (*exchange)(unsigned mask, uint64_t value);
};

struct SimulatedKernel {
    int parameters;
    const size_t* sizes;
    void (*call)(void** arguments);
    char* staticShared;
    size_t staticSharedBytes;
};
