package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/** NVRTC: from CUDA C to machine code. */
final class Compiler extends Library {
    private static final int COMPILATION_FAILED = 6;

    private final Native getVersion = function("nvrtcVersion", "pp");
    private final Native archCount = function("nvrtcGetNumSupportedArchs", "p");
    private final Native archs = function("nvrtcGetSupportedArchs", "p");
    private final Native createProgram = function("nvrtcCreateProgram", "pppipp");
    private final Native destroyProgram = function("nvrtcDestroyProgram", "p");
    private final Native compileProgram = function("nvrtcCompileProgram", "pip");
    private final Native cubinSize = function("nvrtcGetCUBINSize", "pp");
    private final Native cubin = function("nvrtcGetCUBIN", "pp");
    private final Native ptxSize = function("nvrtcGetPTXSize", "pp");
    private final Native ptx = function("nvrtcGetPTX", "pp");
    private final Native logSize = function("nvrtcGetProgramLogSize", "pp");
    private final Native log = function("nvrtcGetProgramLog", "pp");

    /** Machine code or PTX, and what the compiler said. */
    record Compiled(byte[] image, String log) {}

    @SuppressWarnings("restricted")
    Compiler(Libraries.Found found) {
        super(found);
        // NVRTC asks the loader for this one by its bare name, which finds it only where it is loaded already.
        found.companion("libnvrtc-builtins").ifPresent(file -> SymbolLookup.libraryLookup(file, Arena.global()));
    }

    String version() {
        try (var arena = Arena.ofConfined()) {
            var version = arena.allocate(ValueLayout.JAVA_INT, 2);
            getVersion.call(version.address(), version.address() + Integer.BYTES);
            return version.getAtIndex(ValueLayout.JAVA_INT, 0) + "." + version.getAtIndex(ValueLayout.JAVA_INT, 1);
        }
    }

    /** The architectures it makes code for, ascending: 80, 90, 120, … */
    List<Integer> architectures() {
        try (var arena = Arena.ofConfined()) {
            var count = arena.allocate(ValueLayout.JAVA_INT);
            archCount.call(count.address());
            var list = arena.allocate(ValueLayout.JAVA_INT, count.get(ValueLayout.JAVA_INT, 0));
            archs.call(list.address());
            return Arrays.stream(list.toArray(ValueLayout.JAVA_INT))
                    .sorted()
                    .boxed()
                    .toList();
        }
    }

    /** The options for an architecture: its machine code, or where it is not known, PTX of the last one before it. */
    List<String> options(int architecture) {
        int known = architectures().stream()
                .filter(each -> each <= architecture)
                .reduce((_, later) -> later)
                .orElseThrow(() -> failure("it makes no code for compute capability %d", architecture));
        var target = (known == architecture ? "sm_" : "compute_") + known;
        return List.of("--gpu-architecture=" + target, "--std=c++17");
    }

    /**
     * @param name of the source, for messages
     * @throws megalodon4j.tensor.CudaException with the compiler's messages
     */
    Compiled compile(String name, String source, List<String> options) {
        try (var arena = Arena.ofConfined()) {
            var program = arena.allocate(ValueLayout.JAVA_LONG);
            var text = arena.allocateFrom(source).address();
            createProgram.call(program.address(), text, arena.allocateFrom(name).address(), 0, 0, 0);
            try {
                return compile(name, program.get(ValueLayout.JAVA_LONG, 0), options, arena);
            } finally {
                destroyProgram.call(program.address());
            }
        }
    }

    private Compiled compile(String name, long program, List<String> options, Arena arena) {
        int status = compileProgram.status(program, options.size(), Memory.strings(arena, options));
        var said = status == 0 || status == COMPILATION_FAILED ? log(program, arena) : "";
        if (status != 0) {
            throw failure("%s %s: %s\n%s", name, options, explain(status), said);
        }
        boolean machine = options.stream().anyMatch(option -> option.contains("=sm_"));
        var image = machine ? read(program, cubinSize, cubin, arena) : read(program, ptxSize, ptx, arena);
        return new Compiled(image.toArray(ValueLayout.JAVA_BYTE), said);
    }

    private String log(long program, Arena arena) {
        return read(program, logSize, log, arena).getString(0).strip();
    }

    private static MemorySegment read(long program, Native sizeOf, Native contents, Arena arena) {
        var size = arena.allocate(ValueLayout.JAVA_LONG);
        sizeOf.call(program, size.address());
        var bytes = arena.allocate(Math.max(1, size.get(ValueLayout.JAVA_LONG, 0)));
        contents.call(program, bytes.address());
        return bytes;
    }

    @Override
    String explain(int status) {
        return text("nvrtcGetErrorString", status);
    }
}
