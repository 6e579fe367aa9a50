package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import megalodon4j.tensor.CudaException;

/** One of CUDA's shared libraries, loaded. It stays so until the JVM ends: its threads do not survive being unloaded. */
@SuppressWarnings("restricted")
abstract class Library {
    private final Libraries.Found found;
    private final SymbolLookup symbols;

    Library(Libraries.Found found) {
        this.found = found;
        symbols = load(found);
    }

    private static SymbolLookup load(Libraries.Found found) {
        try {
            return SymbolLookup.libraryLookup(found.file(), Arena.global());
        } catch (IllegalArgumentException e) {
            throw new CudaException(found.file() + " cannot be loaded: " + e.getMessage());
        }
    }

    /** The function of that name; for the parameters see {@link Native}. */
    final Native function(String name, String parameters) {
        return new Native(this, name, address(name), parameters);
    }

    /** Calls a function from a status code to a text. */
    final String text(String name, int status) {
        var type = FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
        try {
            var text = (MemorySegment)
                    Linker.nativeLinker().downcallHandle(address(name), type).invokeExact(status);
            return string(text.address());
        } catch (Throwable e) {
            throw new AssertionError(name, e);
        }
    }

    private MemorySegment address(String name) {
        return symbols.find(name).orElseThrow(() -> failure("%s is not in it", name));
    }

    /** A C string. */
    static String string(long address) {
        return address == 0 ? "?" : Memory.at(address, Long.MAX_VALUE).getString(0);
    }

    final Libraries.Found found() {
        return found;
    }

    final CudaException failure(String format, Object... arguments) {
        return new CudaException(found.file().getFileName() + ": " + String.format(Locale.ROOT, format, arguments));
    }

    /** What a status code means: its name, and more if the library says more. */
    abstract String explain(int status);
}
