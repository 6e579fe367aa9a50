package megalodon4j.tensor.cuda;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;

/** The loaded modules of a device, and the kernels in them: each source is compiled, or taken from the cache, when the first of its kernels is asked for. */
final class Modules {
    /** What every GPU grants a block without being asked. */
    private static final int PLAIN_SHARED_BYTES = 48 << 10;

    private final Driver driver;
    private final Compiler compiler;
    private final List<String> options;
    private final CubinCache cache = CubinCache.ofUser();
    private final HashMap<String, Long> modules = new HashMap<>();
    private final HashMap<String, Kernel> kernels = new HashMap<>();

    /** A kernel; {@code sharedBytes} is the most dynamic shared memory that it may ask for so far. */
    static final class Kernel {
        final String name;
        final long function;
        private int sharedBytes = PLAIN_SHARED_BYTES;

        private Kernel(String name, long function) {
            this.name = name;
            this.function = function;
        }
    }

    /** @param architecture compute capability without the point: 90 */
    Modules(Driver driver, Compiler compiler, int architecture) {
        this.driver = driver;
        this.compiler = compiler;
        options = compiler.options(architecture);
    }

    boolean has(String name) {
        return kernels.containsKey(name);
    }

    /** The kernel of that name, see {@link Device#kernel}, able to use so much dynamic shared memory. */
    Kernel get(String name, int sharedBytes) {
        var kernel = kernels.get(name);
        if (kernel == null) {
            kernel = load(name);
            kernels.put(name, kernel);
        }
        if (sharedBytes > kernel.sharedBytes) {
            driver.functionSetAttribute.call(kernel.function, Driver.MAX_DYNAMIC_SHARED_BYTES, sharedBytes);
            kernel.sharedBytes = sharedBytes;
        }
        return kernel;
    }

    private Kernel load(String name) {
        int dot = name.indexOf('.');
        long module = modules.computeIfAbsent(name.substring(0, dot), this::module);
        try (var arena = Arena.ofConfined()) {
            var function = arena.allocate(ValueLayout.JAVA_LONG);
            driver.moduleGetFunction.call(
                    function.address(),
                    module,
                    arena.allocateFrom(name.substring(dot + 1)).address());
            return new Kernel(name, function.get(ValueLayout.JAVA_LONG, 0));
        }
    }

    private long module(String file) {
        var source = source(file);
        var key = new ArrayList<>(options);
        key.add(compiler.version());
        key.add(source);
        var image = cache.get(
                key, () -> compiler.compile(file + ".cu", source, options).image());
        try (var arena = Arena.ofConfined()) {
            var bytes = arena.allocate(image.length + 1L, Long.BYTES); // PTX is a C string
            bytes.asSlice(0, image.length).copyFrom(MemorySegment.ofArray(image));
            var module = arena.allocate(ValueLayout.JAVA_LONG);
            driver.moduleLoad.call(module.address(), bytes.address(), 0, 0, 0);
            return module.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /** The text of a source with what all have in common, as the compiler gets it. */
    static String source(String file) {
        return resource("common.cuh") + "#line 1 \"" + file + ".cu\"\n" + resource(file + ".cu");
    }

    private static String resource(String name) {
        try (var stream = Modules.class.getResourceAsStream(name)) {
            if (stream == null) {
                throw new IllegalArgumentException("no kernel source " + name);
            }
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void unload() {
        kernels.clear();
        modules.values().forEach(driver.moduleUnload::call);
        modules.clear();
    }
}
