package megalodon4j.tensor.cuda;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Collections;
import java.util.StringJoiner;

/**
 * A C function of CUDA: integers and pointers in, a status code out. Here all of them are longs, which every 64-bit calling convention passes
 * as it passes pointers.
 */
@SuppressWarnings("restricted")
final class Native {
    private final Library library;
    private final String name;
    private final String parameters;
    private final MethodHandle handle;

    /** @param parameters a letter each: p a pointer, l 64 bits, i 32 bits */
    Native(Library library, String name, MemorySegment address, String parameters) {
        this.library = library;
        this.name = name;
        this.parameters = parameters;
        var layouts = parameters
                .chars()
                .mapToObj(c -> c == 'i' ? ValueLayout.JAVA_INT : ValueLayout.JAVA_LONG)
                .toArray(MemoryLayout[]::new);
        var exact = Linker.nativeLinker().downcallHandle(address, FunctionDescriptor.of(ValueLayout.JAVA_INT, layouts));
        var longs = MethodType.methodType(int.class, Collections.nCopies(layouts.length, long.class));
        handle = MethodHandles.explicitCastArguments(exact, longs).asSpreader(long[].class, layouts.length);
    }

    /** @throws megalodon4j.tensor.CudaException unless it answers with success, which is 0 everywhere */
    void call(long... arguments) {
        int status = status(arguments);
        if (status != 0) {
            throw library.failure("%s: %s", signature(arguments), library.explain(status));
        }
    }

    /** Calls it and returns the status code. */
    int status(long... arguments) {
        try {
            return (int) handle.invokeExact(arguments);
        } catch (Throwable e) {
            throw new AssertionError(name, e);
        }
    }

    private String signature(long[] arguments) {
        var text = new StringJoiner(", ", name + "(", ")");
        for (int i = 0; i < arguments.length; i++) {
            boolean pointer = parameters.charAt(i) == 'p';
            text.add(pointer ? "0x" + Long.toHexString(arguments[i]) : Long.toString(arguments[i]));
        }
        return text.toString();
    }
}
