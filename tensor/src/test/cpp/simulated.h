// What the parts of the simulated device share.
#pragma once

#include "api.h"
#include "simulation.h"

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

// Every handle that is given out counts until it is given back: what is left at the end has leaked.
struct Counted {
    Counted();
    ~Counted();
    Counted(const Counted&) = delete;
};

typedef std::function<void()> Work;

// Work waits in a stream until someone waits for it: who reads too early does so every time.
struct CUstream_st : Counted {
    std::vector<Work> queue;
    bool capturing = false;
    bool invalidated = false;

    void add(Work work) { queue.push_back(std::move(work)); }
    // Work that is left out in a dry run.
    void compute(Work work);
    void run();
};

struct CUfunc_st {
    const char* name;
    SimulatedKernel kernel;
    std::shared_ptr<int> uses; // of its module
    int dynamicSharedLimit = 48 << 10;
};

// NaN as float, as double, as bfloat16; -1 as an integer.
inline void poison(void* memory, size_t bytes) { memset(memory, 0xff, bytes); }

// CUDA_SUCCESS where a context is current and nothing has failed in it so far.
CUresult ready();

// The context fails from here on, as after a fault on a real device; the reason goes to stderr.
void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// In front of what stands for machine code.
static constexpr char IMAGE_MAGIC[] = "SIMCUBIN";

bool anyCapture();
bool onDevice(const void* memory, size_t bytes);

// Runs all blocks of a grid.
void runGrid(CUfunc_st& function, Size grid, Size block, int dynamicShared, void** arguments);

Simulation* theSimulation();

extern "C" {
// 0 forward, 1 reversed, 2 permuted: in which order blocks and the threads between two barriers run.
void simulatedOrder(int order);
// Handles, allocations and page-locked memory that have not been given back.
long long simulatedOutstanding();
// From now on nothing is computed, if dry: for who wants to see the calls only.
void simulatedDry(int dry);
// What the device says it is: 90 for compute capability 9.0.
void simulatedCapability(int capability);
// How much memory the device has: 1,048,576 MB at first.
void simulatedMemory(int megabytes);
}
