package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Memory of the host that C functions read and write. */
final class Memory {
    private Memory() {}

    @SuppressWarnings("restricted")
    static MemorySegment at(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    static int readInt(long address) {
        return at(address, Integer.BYTES).get(ValueLayout.JAVA_INT, 0);
    }

    static long readLong(long address) {
        return at(address, Long.BYTES).get(ValueLayout.JAVA_LONG, 0);
    }

    /** A {@code const char *const *}. */
    static long strings(Arena arena, List<String> strings) {
        var array = arena.allocate(ValueLayout.JAVA_LONG, Math.max(1, strings.size()));
        for (int i = 0; i < strings.size(); i++) {
            array.setAtIndex(
                    ValueLayout.JAVA_LONG, i, arena.allocateFrom(strings.get(i)).address());
        }
        return array.address();
    }
}
