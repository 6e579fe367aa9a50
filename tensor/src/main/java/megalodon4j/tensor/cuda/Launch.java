package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The arguments of a kernel, in order; then {@link #run}. */
final class Launch {
    private static final int MOST_ARGUMENTS = 64;

    private final Device device;
    private final MemorySegment values;
    private final MemorySegment pointers;
    private Modules.Kernel kernel;
    private int gridX;
    private int gridY;
    private int block;
    private int sharedBytes;
    private int count;
    private long traffic;

    Launch(Device device, Arena arena) {
        this.device = device;
        values = arena.allocate(ValueLayout.JAVA_LONG, MOST_ARGUMENTS);
        pointers = arena.allocate(ValueLayout.JAVA_LONG, MOST_ARGUMENTS + 1);
    }

    Launch of(Modules.Kernel kernel, int gridX, int gridY, int block, int sharedBytes) {
        this.kernel = kernel;
        this.gridX = gridX;
        this.gridY = gridY;
        this.block = block;
        this.sharedBytes = sharedBytes;
        count = 0;
        traffic = 0;
        return this;
    }

    /** A pointer, 64 bits. */
    Launch ptr(long pointer) {
        return i64(pointer);
    }

    /** An {@code int}; a {@code bool} is not one. */
    Launch i32(int value) {
        values.setAtIndex(ValueLayout.JAVA_INT, 2L * count, value);
        return next();
    }

    /** A {@code long long}. */
    Launch i64(long value) {
        values.setAtIndex(ValueLayout.JAVA_LONG, count, value);
        return next();
    }

    /** A {@code float}. */
    Launch f32(float value) {
        return i32(Float.floatToRawIntBits(value));
    }

    private Launch next() {
        pointers.setAtIndex(ValueLayout.JAVA_LONG, count, values.address() + (long) count * Long.BYTES);
        count++;
        return this;
    }

    /** How many bytes the kernel reads and writes in global memory, for the {@link Counters}; optional. */
    Launch traffic(long bytes) {
        traffic = bytes;
        return this;
    }

    void run() {
        pointers.setAtIndex(ValueLayout.JAVA_LONG, count, 0); // the simulated device counts arguments by it
        device.launch(kernel, gridX, gridY, block, sharedBytes, pointers.address(), traffic);
    }
}
