package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;

/** libcuda, the driver API: what of it is used. The suffixes choose the 64-bit versions of the functions. */
final class Driver extends Library {
    static final int OUT_OF_MEMORY = 2;
    static final int COMPUTE_CAPABILITY_MAJOR = 75;
    static final int COMPUTE_CAPABILITY_MINOR = 76;
    static final int POOL_RELEASE_THRESHOLD = 4;
    static final int STREAM_NON_BLOCKING = 1;
    static final int EVENT_DISABLE_TIMING = 2;
    static final int CAPTURE_THREAD_LOCAL = 1;
    static final int MAX_DYNAMIC_SHARED_BYTES = 8;

    private final Native getErrorName = function("cuGetErrorName", "ip");
    private final Native getErrorString = function("cuGetErrorString", "ip");

    final Native init = function("cuInit", "i");
    final Native driverGetVersion = function("cuDriverGetVersion", "p");
    final Native deviceGetCount = function("cuDeviceGetCount", "p");
    final Native deviceGet = function("cuDeviceGet", "pi");
    final Native deviceGetName = function("cuDeviceGetName", "pii");
    final Native deviceGetAttribute = function("cuDeviceGetAttribute", "pii");
    final Native deviceTotalMem = function("cuDeviceTotalMem_v2", "pi");

    final Native primaryContextRetain = function("cuDevicePrimaryCtxRetain", "pi");
    final Native primaryContextRelease = function("cuDevicePrimaryCtxRelease_v2", "i");
    final Native contextSetCurrent = function("cuCtxSetCurrent", "p");

    final Native getDefaultPool = function("cuDeviceGetDefaultMemPool", "pi");
    final Native poolSetAttribute = function("cuMemPoolSetAttribute", "pip");
    final Native allocate = function("cuMemAllocAsync", "plp");
    final Native free = function("cuMemFreeAsync", "pp");
    final Native allocateHost = function("cuMemHostAlloc", "pli");
    final Native freeHost = function("cuMemFreeHost", "p");
    final Native copyToDevice = function("cuMemcpyHtoDAsync_v2", "pplp");
    final Native copyToHost = function("cuMemcpyDtoHAsync_v2", "pplp");
    final Native copyOnDevice = function("cuMemcpyDtoDAsync_v2", "pplp");
    final Native fill = function("cuMemsetD32Async", "pilp");

    final Native streamCreate = function("cuStreamCreate", "pi");
    final Native streamDestroy = function("cuStreamDestroy_v2", "p");
    final Native streamSynchronize = function("cuStreamSynchronize", "p");
    final Native eventCreate = function("cuEventCreate", "pi");
    final Native eventDestroy = function("cuEventDestroy_v2", "p");
    final Native eventRecord = function("cuEventRecord", "pp");
    final Native eventSynchronize = function("cuEventSynchronize", "p");

    final Native beginCapture = function("cuStreamBeginCapture_v2", "pi");
    final Native endCapture = function("cuStreamEndCapture", "pp");
    final Native graphInstantiate = function("cuGraphInstantiateWithFlags", "ppl");
    final Native graphLaunch = function("cuGraphLaunch", "pp");
    final Native graphExecDestroy = function("cuGraphExecDestroy", "p");
    final Native graphDestroy = function("cuGraphDestroy", "p");

    final Native moduleLoad = function("cuModuleLoadDataEx", "ppipp");
    final Native moduleUnload = function("cuModuleUnload", "p");
    final Native moduleGetFunction = function("cuModuleGetFunction", "ppp");
    final Native functionSetAttribute = function("cuFuncSetAttribute", "pii");
    final Native launchKernel = function("cuLaunchKernel", "piiiiiiippp");

    Driver(Libraries.Found found) {
        super(found);
    }

    /** The newest CUDA that it serves: 13000 for 13.0. */
    int version() {
        try (var arena = Arena.ofConfined()) {
            var version = arena.allocate(ValueLayout.JAVA_INT);
            driverGetVersion.call(version.address());
            return version.get(ValueLayout.JAVA_INT, 0);
        }
    }

    /** As the driver calls a device. */
    String name(int device) {
        try (var arena = Arena.ofConfined()) {
            var text = arena.allocate(256);
            deviceGetName.call(text.address(), text.byteSize(), device);
            return text.getString(0);
        }
    }

    /** The bytes of a device's memory. */
    long totalMemory(int device) {
        try (var arena = Arena.ofConfined()) {
            var out = new Out(arena);
            deviceTotalMem.call(out.address(), device);
            return out.pointer();
        }
    }

    /** Compute capability: major, minor. */
    int[] capability(int device) {
        try (var arena = Arena.ofConfined()) {
            var out = new Out(arena);
            deviceGetAttribute.call(out.address(), COMPUTE_CAPABILITY_MAJOR, device);
            int major = out.integer();
            deviceGetAttribute.call(out.address(), COMPUTE_CAPABILITY_MINOR, device);
            return new int[] {major, out.integer()};
        }
    }

    @Override
    String explain(int status) {
        return text(getErrorName, status) + " (" + text(getErrorString, status) + ")";
    }

    private static String text(Native function, int status) {
        try (var arena = Arena.ofConfined()) {
            var text = arena.allocate(ValueLayout.JAVA_LONG);
            return function.status(status, text.address()) == 0
                    ? string(text.get(ValueLayout.JAVA_LONG, 0))
                    : "code " + status;
        }
    }
}
