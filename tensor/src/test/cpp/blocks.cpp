// Runs the threads of a block as fibers, one at a time, each until it has to wait for others at a barrier or in its warp. The
// order between two meetings is any that the caller chooses: what depends on it is a race.

#include "simulated.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <memory>
#include <numeric>
#include <ucontext.h>

static constexpr size_t STACK_BYTES = 256 << 10;
static constexpr int MOST_DYNAMIC_BYTES = 227 << 10;
static constexpr int GUARD_BYTES = 64;
static constexpr char GUARD = 0x5a;

// --- orders ----------------------------------------------------------------------------------------------------------

static int order = 0;
static uint64_t randomState = 1;

extern "C" void simulatedOrder(int value) {
    order = value;
    randomState = 1;
}

// 0 … n-1 in the chosen order; if permuted, another one each time.
static std::vector<int> inOrder(int n) {
    std::vector<int> p(n);
    std::iota(p.begin(), p.end(), 0);
    if (order == 1) std::reverse(p.begin(), p.end());
    for (int i = n - 1; order == 2 && i > 0; i--) {
        randomState = randomState * 6364136223846793005u + 1442695040888963407u;
        std::swap(p[i], p[(randomState >> 33) % (i + 1)]);
    }
    return p;
}

// --- fibers ----------------------------------------------------------------------------------------------------------

struct Fiber {
    std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
    bool begun = false;
    jmp_buf place;
};

enum State { RUNNING, AT_BARRIER, IN_WARP, FINISHED };

struct Thread {
    State state = RUNNING;
    unsigned mask = 0;   // IN_WARP: for whom it waits
    uint64_t value = 0;  // IN_WARP: what it gives them
    Fiber* fiber = nullptr;
};

static CUfunc_st* function;
static void** arguments;
static Simulation simulation;
alignas(128) static char dynamicShared[MOST_DYNAMIC_BYTES + GUARD_BYTES];

static std::vector<Thread> threads;
static std::vector<int> toStart; // in this order
static size_t started;
static int current;
static std::vector<std::array<uint64_t, 32>> given; // by each lane of a warp at its last meeting

static std::vector<Fiber*> idle;
static Fiber* running;
static jmp_buf scheduler;

static void setCurrent(int thread) {
    current = thread;
    unsigned x = simulation.blockDim.x, y = simulation.blockDim.y;
    simulation.threadIdx = {thread % x, thread / x % y, thread / x / y};
}

static void leave() {
    if (!_setjmp(running->place)) _longjmp(scheduler, 1);
}

// A fiber goes on with one thread after the other; only when one has to wait does the next need another fiber.
static void live() {
    for (;;) {
        while (started < toStart.size()) {
            setCurrent(toStart[started++]);
            function->kernel.call(arguments);
            threads[current].state = FINISHED;
        }
        idle.push_back(running);
        leave();
    }
}

static void resume(Fiber* fiber) {
    running = fiber;
    if (_setjmp(scheduler)) return;
    if (fiber->begun) _longjmp(fiber->place, 1);
    fiber->begun = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber->stack.get();
    context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&context, live, 0);
    setcontext(&context);
}

static Fiber* idleFiber() {
    if (idle.empty()) return new Fiber; // for as long as the process lives
    Fiber* fiber = idle.back();
    idle.pop_back();
    return fiber;
}

static void wait(State state) {
    threads[current].state = state;
    threads[current].fiber = running;
    leave();
}

static void barrier() {
    wait(AT_BARRIER);
}

static const uint64_t* exchange(unsigned mask, uint64_t value) {
    threads[current].mask = mask;
    threads[current].value = value;
    wait(IN_WARP);
    return given[current / 32].data();
}

// --- meetings --------------------------------------------------------------------------------------------------------

static bool refuse(const char* why) {
    auto b = simulation.blockIdx;
    fail("kernel %s, block (%u, %u, %u): %s", function->name, b.x, b.y, b.z, why);
    return false;
}

static int count(State state) {
    return (int) std::count_if(threads.begin(), threads.end(), [&](auto& thread) { return thread.state == state; });
}

// Releases the threads of a warp that have met all those whom they wait for.
static bool releaseWarp(int warp) {
    int first = warp * 32, lanes = std::min<int>(32, threads.size() - first);
    unsigned waiting = 0, released = 0;
    for (int lane = 0; lane < lanes; lane++) waiting |= (threads[first + lane].state == IN_WARP) << lane;
    unsigned existing = lanes == 32 ? ~0u : (1u << lanes) - 1;
    for (int lane = 0; lane < lanes; lane++) {
        auto& thread = threads[first + lane];
        if (thread.state != IN_WARP) continue;
        if (!(thread.mask >> lane & 1)) return refuse("a lane is not in its own mask");
        unsigned partners = thread.mask & existing;
        for (int other = 0; other < lanes; other++) {
            if ((partners >> other & 1) && threads[first + other].state == FINISHED) {
                return refuse("a warp waits for a lane that has returned");
            }
            if ((partners >> other & 1) && (waiting >> other & 1) && threads[first + other].mask != thread.mask) {
                return refuse("lanes of a warp meet with different masks");
            }
        }
        if ((partners & waiting) == partners) released |= 1u << lane;
    }
    if (released) poison(given[warp].data(), sizeof given[warp]);
    for (int lane = 0; lane < lanes; lane++) {
        if (!(released >> lane & 1)) continue;
        given[warp][lane] = threads[first + lane].value;
        threads[first + lane].state = RUNNING;
    }
    return true;
}

// Lets go on who may; false if that is nobody, or if something is wrong.
static bool release() {
    int finished = count(FINISHED), atBarrier = count(AT_BARRIER);
    if (finished == (int) threads.size()) return false;
    if (atBarrier + finished == (int) threads.size()) {
        if (finished > 0) return refuse("some threads wait at a barrier, others have returned");
        for (auto& thread : threads) thread.state = RUNNING;
        return true;
    }
    for (size_t warp = 0; warp < given.size(); warp++) {
        if (!releaseWarp(warp)) return false;
    }
    return count(RUNNING) > 0 || refuse("threads wait for each other at different places");
}

// --- blocks ----------------------------------------------------------------------------------------------------------

static void abandon() {
    for (auto& thread : threads) {
        if (thread.state == FINISHED) continue;
        thread.fiber->begun = false; // its stack is not unwound
        idle.push_back(thread.fiber);
    }
}

static void runBlock(int threadCount) {
    threads.assign(threadCount, {});
    given.assign((threadCount + 31) / 32, {});
    toStart = inOrder(threadCount);
    started = 0;
    while (started < toStart.size()) resume(idleFiber());
    while (release()) {
        for (int thread : inOrder(threadCount)) {
            if (threads[thread].state != RUNNING) continue;
            setCurrent(thread);
            resume(threads[thread].fiber);
        }
    }
    abandon();
}

void runGrid(CUfunc_st& which, Size grid, Size block, int dynamicBytes, void** values) {
    function = &which;
    arguments = values;
    simulation.gridDim = grid;
    simulation.blockDim = block;
    simulation.dynamicShared = dynamicShared;
    simulation.barrier = barrier;
    simulation.exchange = exchange;
    memset(dynamicShared + dynamicBytes, GUARD, GUARD_BYTES);
    for (int at : inOrder(grid.x * grid.y * grid.z)) {
        unsigned i = at;
        simulation.blockIdx = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        poison(dynamicShared, dynamicBytes);
        poison(function->kernel.staticShared, function->kernel.staticSharedBytes);
        runBlock(block.x * block.y * block.z);
        char* guard = dynamicShared + dynamicBytes;
        if (std::any_of(guard, guard + GUARD_BYTES, [](char c) { return c != GUARD; })) {
            refuse("wrote behind its dynamic shared memory");
        }
        if (ready() != CUDA_SUCCESS) return;
    }
}

Simulation* theSimulation() {
    return &simulation;
}
