// The driver API on the host: memory is the host's, streams are queues that run when someone waits for them.

#include "simulated.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>

#define REQUIRE(condition, error) \
    if (!(condition)) return error
#define READY() \
    if (CUresult status = ready()) return status

static constexpr size_t GUARD_BYTES = 256; // what CUDA aligns to
static constexpr unsigned char GUARD = 0x5a;
static constexpr size_t QUARANTINE_BYTES = 64 << 20;
static constexpr unsigned char FREED = 0xff;

// --- state -----------------------------------------------------------------------------------------------------------

struct CUctx_st {};
struct CUmemPoolHandle_st {};
struct CUevent_st : Counted {
    CUstream stream = nullptr;
    bool pending = false;
};
struct CUmod_st : Counted {
    void* library;
    std::shared_ptr<int> uses = std::make_shared<int>(); // shared with the work that runs its kernels
    std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
    ~CUmod_st() { dlclose(library); }
};
struct CUgraph_st : Counted {
    std::vector<Work> work;
};
struct CUgraphExec_st : Counted {
    std::vector<Work> work;
};
struct Freed {
    char* memory;
    size_t bytes;
};

static bool initialised = false;
static int capability = 90;
static bool dry = false;
static size_t totalMemory = (size_t) 1 << 40;
static long long outstanding = 0;
static int retained = 0;
static bool failed = false;
static CUctx_st primary;
static CUmemPoolHandle_st pool;
static thread_local CUcontext context = nullptr;
static std::map<char*, size_t> memory; // of the device, bytes by first byte
static std::map<void*, size_t> pinned;
static std::deque<Freed> quarantine;
static size_t quarantined = 0;
static std::vector<CUstream> streams;

Counted::Counted() { outstanding++; }
Counted::~Counted() { outstanding--; }

extern "C" void simulatedCapability(int value) { capability = value; }

extern "C" void simulatedDry(int value) { dry = value; }

extern "C" void simulatedMemory(int megabytes) { totalMemory = (size_t) megabytes << 20; }

extern "C" long long simulatedOutstanding() { return outstanding + retained + memory.size() + pinned.size(); }

static size_t inUse() {
    size_t bytes = 0;
    for (auto& block : memory) bytes += block.second;
    return bytes;
}

// What a process leaves behind, for tests that watch one from outside.
__attribute__((destructor)) static void report() {
    if (!getenv("SIMULATED_DEVICE_REPORT")) return;
    fprintf(stderr, "simulated device: %lld objects and %zu bytes outstanding\n", simulatedOutstanding(), inUse());
}

CUresult ready() {
    REQUIRE(initialised, CUDA_ERROR_NOT_INITIALIZED);
    REQUIRE(context == &primary && retained > 0, CUDA_ERROR_INVALID_CONTEXT);
    return failed ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

void fail(const char* format, ...) {
    va_list values;
    va_start(values, format);
    fprintf(stderr, "simulated device: ");
    vfprintf(stderr, format, values);
    fprintf(stderr, "\n");
    va_end(values);
    failed = true;
}

// What becomes of a context that has failed, and of all in it, when nobody retains it any more.
static void forgetAll() {
    failed = false;
    outstanding = 0;
    memory.clear();
    pinned.clear();
    streams.clear();
}

bool anyCapture() {
    return std::any_of(streams.begin(), streams.end(), [](CUstream s) { return s->capturing; });
}

// What must not happen during a capture ends it.
static bool breaksCapture() {
    for (auto stream : streams) stream->invalidated |= stream->capturing;
    return anyCapture();
}

// --- memory ----------------------------------------------------------------------------------------------------------

bool onDevice(const void* from, size_t bytes) {
    auto next = memory.upper_bound((char*) from);
    if (next == memory.begin()) return false;
    auto block = std::prev(next);
    return (char*) from + bytes <= block->first + block->second;
}

static bool onDevice(CUdeviceptr from, size_t bytes) { return onDevice((void*) from, bytes); }

static bool intact(const char* from, size_t bytes, unsigned char value) {
    return std::all_of(from, from + bytes, [&](char c) { return (unsigned char) c == value; });
}

static void checkGuards() {
    for (auto& [block, bytes] : memory) {
        if (!intact(block - GUARD_BYTES, GUARD_BYTES, GUARD) || !intact(block + bytes, GUARD_BYTES, GUARD)) {
            fail("something was written outside an allocation of %zu bytes", bytes);
            memset(block - GUARD_BYTES, GUARD, GUARD_BYTES);
            memset(block + bytes, GUARD, GUARD_BYTES);
        }
    }
}

// Freed memory stays poisoned for a while, so that whoever still reads it gets NaN and whoever writes it is found out.
static void quarantineIn(char* block, size_t bytes) {
    memset(block, FREED, bytes);
    quarantine.push_back({block, bytes});
    quarantined += bytes;
    while (quarantined > QUARANTINE_BYTES) {
        Freed oldest = quarantine.front();
        quarantine.pop_front();
        quarantined -= oldest.bytes;
        if (!intact(oldest.memory, oldest.bytes, FREED)) fail("%zu bytes were written after they had been freed", oldest.bytes);
        free(oldest.memory - GUARD_BYTES);
    }
}

void CUstream_st::compute(Work work) {
    if (!dry) add(std::move(work));
}

void CUstream_st::run() {
    auto work = std::move(queue);
    queue.clear();
    for (auto& item : work) {
        if (!failed) item();
    }
    checkGuards();
}

extern "C" {
CUresult cuMemAllocAsync(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
    READY();
    REQUIRE(bytes > 0, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(!breaksCapture(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    REQUIRE(bytes <= totalMemory && inUse() <= totalMemory - bytes, CUDA_ERROR_OUT_OF_MEMORY);
    char* block = (char*) aligned_alloc(GUARD_BYTES, (bytes + 3 * GUARD_BYTES) / GUARD_BYTES * GUARD_BYTES) + GUARD_BYTES;
    memset(block - GUARD_BYTES, GUARD, GUARD_BYTES);
    poison(block, bytes);
    memset(block + bytes, GUARD, GUARD_BYTES);
    memory[block] = bytes;
    *pointer = (CUdeviceptr) block;
    return CUDA_SUCCESS;
}

CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream stream) {
    READY();
    REQUIRE(!breaksCapture(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    auto block = memory.find((char*) pointer);
    REQUIRE(block != memory.end(), CUDA_ERROR_INVALID_VALUE);
    auto [first, bytes] = *block;
    checkGuards();
    memory.erase(block);
    stream->add([first = first, bytes = bytes] { quarantineIn(first, bytes); });
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* out, CUdevice device) {
    REQUIRE(initialised, CUDA_ERROR_NOT_INITIALIZED);
    *out = &pool;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool which, CUmemPool_attribute attribute, void* value) {
    REQUIRE(which == &pool && attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD && value, CUDA_ERROR_INVALID_VALUE);
    return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
    READY();
    REQUIRE(!breaksCapture(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    *pointer = malloc(bytes);
    poison(*pointer, bytes);
    pinned[*pointer] = bytes;
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void* pointer) {
    READY();
    REQUIRE(pinned.erase(pointer) == 1, CUDA_ERROR_INVALID_VALUE);
    free(pointer);
    return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
    READY();
    REQUIRE(onDevice(to, bytes), CUDA_ERROR_INVALID_VALUE);
    stream->add([=] { memcpy((void*) to, from, bytes); });
    return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
    READY();
    REQUIRE(onDevice(from, bytes), CUDA_ERROR_INVALID_VALUE);
    REQUIRE(!breaksCapture(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    poison(to, bytes); // until the copy is made
    stream->add([=] { memcpy(to, (void*) from, bytes); });
    return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    READY();
    REQUIRE(onDevice(from, bytes) && onDevice(to, bytes), CUDA_ERROR_INVALID_VALUE);
    REQUIRE(to + bytes <= from || from + bytes <= to || bytes == 0, CUDA_ERROR_INVALID_VALUE);
    stream->add([=] { memcpy((void*) to, (void*) from, bytes); });
    return CUDA_SUCCESS;
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned word, size_t count, CUstream stream) {
    READY();
    REQUIRE(to % 4 == 0 && onDevice(to, 4 * count), CUDA_ERROR_INVALID_VALUE);
    stream->add([=] { std::fill_n((unsigned*) to, count, word); });
    return CUDA_SUCCESS;
}

// --- device and context ----------------------------------------------------------------------------------------------

CUresult cuGetErrorName(CUresult error, const char** name) {
    static const std::map<int, const char*> names{
        {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
        {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
        {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"},
        {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE"},
        {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
        {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
        {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"},
        {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
        {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
        {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"}};
    auto found = names.find(error);
    REQUIRE(found != names.end(), CUDA_ERROR_INVALID_VALUE);
    *name = found->second;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
    *text = error == CUDA_ERROR_LAUNCH_FAILED ? "see the simulated device's message" : "simulated";
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags) {
    REQUIRE(flags == 0, CUDA_ERROR_INVALID_VALUE);
    initialised = true;
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int* version) {
    *version = 13000;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
    REQUIRE(initialised, CUDA_ERROR_NOT_INITIALIZED);
    *count = 1;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    REQUIRE(initialised, CUDA_ERROR_NOT_INITIALIZED);
    REQUIRE(ordinal == 0, CUDA_ERROR_INVALID_DEVICE);
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
    REQUIRE(device == 0, CUDA_ERROR_INVALID_DEVICE);
    snprintf(name, length, "simulated device");
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
    REQUIRE(device == 0, CUDA_ERROR_INVALID_DEVICE);
    bool major = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
    REQUIRE(major || attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, CUDA_ERROR_INVALID_VALUE);
    *value = major ? capability / 10 : capability % 10;
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
    REQUIRE(device == 0, CUDA_ERROR_INVALID_DEVICE);
    *bytes = totalMemory;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* out, CUdevice device) {
    REQUIRE(initialised, CUDA_ERROR_NOT_INITIALIZED);
    REQUIRE(device == 0, CUDA_ERROR_INVALID_DEVICE);
    retained++;
    *out = &primary;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    REQUIRE(retained > 0, CUDA_ERROR_INVALID_CONTEXT);
    if (--retained == 0 && failed) forgetAll();
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext value) {
    REQUIRE(initialised, CUDA_ERROR_NOT_INITIALIZED);
    REQUIRE(value == &primary || value == nullptr, CUDA_ERROR_INVALID_CONTEXT);
    context = value;
    return CUDA_SUCCESS;
}

// --- streams and events ----------------------------------------------------------------------------------------------

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
    READY();
    *stream = new CUstream_st;
    streams.push_back(*stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    READY();
    stream->run();
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    delete stream;
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
    READY();
    REQUIRE(!breaksCapture(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    stream->run();
    return ready();
}

CUresult cuEventCreate(CUevent* event, unsigned flags) {
    READY();
    *event = new CUevent_st;
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
    READY();
    delete event;
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    READY();
    event->stream = stream;
    event->pending = true;
    stream->add([=] { event->pending = false; });
    return CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent event) {
    READY();
    REQUIRE(!breaksCapture(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (event->pending) event->stream->run();
    return ready();
}

// --- graphs ----------------------------------------------------------------------------------------------------------

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
    READY();
    REQUIRE(!stream->capturing, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    stream->run(); // what is captured goes to a queue of its own
    stream->capturing = true;
    stream->invalidated = false;
    return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
    READY();
    REQUIRE(stream->capturing, CUDA_ERROR_INVALID_VALUE);
    stream->capturing = false;
    auto work = std::move(stream->queue);
    stream->queue.clear();
    *graph = nullptr;
    REQUIRE(!stream->invalidated, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    *graph = new CUgraph_st;
    (*graph)->work = std::move(work);
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long flags) {
    READY();
    *executable = new CUgraphExec_st;
    (*executable)->work = graph->work;
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    READY();
    for (auto& item : executable->work) stream->add(item);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec executable) {
    READY();
    delete executable;
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
    READY();
    delete graph;
    return CUDA_SUCCESS;
}

// --- modules and kernels ---------------------------------------------------------------------------------------------

// The image is a shared library behind its length, see compiler.cpp.
CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, CUjit_option*, void**) {
    READY();
    REQUIRE(!breaksCapture(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    REQUIRE(memcmp(image, IMAGE_MAGIC, 8) == 0 && count == 0, CUDA_ERROR_INVALID_IMAGE);
    size_t bytes;
    memcpy(&bytes, (char*) image + 8, sizeof bytes);
    char path[] = "/tmp/simulated-XXXXXX";
    int file = mkstemp(path);
    bool written = file >= 0 && write(file, (char*) image + 16, bytes) == (ssize_t) bytes;
    close(file);
    void* library = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    unlink(path);
    REQUIRE(library, CUDA_ERROR_INVALID_IMAGE);
    ((void (*)(Simulation*)) dlsym(library, "simulatedBind"))(theSimulation());
    *module = new CUmod_st;
    (*module)->library = library;
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module) {
    READY();
    REQUIRE(module->uses.use_count() == 1 + (long) module->functions.size(), CUDA_ERROR_INVALID_HANDLE); // kernels are still to run
    delete module;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    READY();
    auto describe = (SimulatedKernel(*)()) dlsym(module->library, ("simulated_" + std::string(name)).c_str());
    REQUIRE(describe, CUDA_ERROR_NOT_FOUND);
    auto& [key, known] = *module->functions.try_emplace(name).first;
    if (!known) known.reset(new CUfunc_st{key.c_str(), describe(), module->uses});
    *function = known.get();
    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
    READY();
    REQUIRE(attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(value >= 0 && value <= 227 << 10, CUDA_ERROR_INVALID_VALUE);
    function->dynamicSharedLimit = value;
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                        unsigned blockZ, unsigned sharedBytes, CUstream stream, void** parameters, void** extra) {
    READY();
    REQUIRE(gridX > 0 && gridX < 1u << 31 && gridY > 0 && gridY < 65536 && gridZ > 0 && gridZ < 65536, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(blockX > 0 && blockY > 0 && blockZ > 0 && blockX * blockY * blockZ <= 1024, CUDA_ERROR_INVALID_VALUE);
    REQUIRE((int) sharedBytes <= function->dynamicSharedLimit && !extra, CUDA_ERROR_INVALID_VALUE);
    auto values = std::make_shared<std::vector<uint64_t>>();
    for (int i = 0; i < function->kernel.parameters; i++) {
        REQUIRE(parameters[i] && function->kernel.sizes[i] <= sizeof(uint64_t), CUDA_ERROR_INVALID_VALUE);
        values->push_back(0);
        memcpy(&values->back(), parameters[i], function->kernel.sizes[i]);
    }
    REQUIRE(!parameters[function->kernel.parameters], CUDA_ERROR_INVALID_VALUE); // the caller ends its list with a null
    stream->compute([=, uses = function->uses] {
        std::vector<void*> pointers;
        for (auto& value : *values) pointers.push_back(&value);
        runGrid(*function, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, (int) sharedBytes, pointers.data());
    });
    return CUDA_SUCCESS;
}
}
