package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Where a C function writes one result. */
record Out(MemorySegment memory) {
    Out(Arena arena) {
        this(arena.allocate(ValueLayout.JAVA_LONG));
    }

    long address() {
        return memory.address();
    }

    long pointer() {
        return memory.get(ValueLayout.JAVA_LONG, 0);
    }

    int integer() {
        return memory.get(ValueLayout.JAVA_INT, 0);
    }
}
