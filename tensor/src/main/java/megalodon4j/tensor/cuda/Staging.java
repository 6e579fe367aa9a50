package megalodon4j.tensor.cuda;

import java.lang.foreign.MemorySegment;

/**
 * Pinned memory of the host, through which everything passes on its way to or from a device: only from there are copies asynchronous. A ring of
 * slots, so that the next piece can be filled while the last one is on its way.
 */
final class Staging {
    private static final int SLOTS = 4;
    static final int SLOT_BYTES = 1 << 20;

    private final Driver driver;
    private final long stream;
    private final long address;
    private final MemorySegment memory;
    private final long[] events = new long[SLOTS];
    private int slot;

    /** The context must be current here and in every call. */
    Staging(Driver driver, long stream, Out out) {
        this.driver = driver;
        this.stream = stream;
        // One more for what comes back: uploads that are still waiting keep their slots.
        driver.allocateHost.call(out.address(), (long) (SLOTS + 1) * SLOT_BYTES, 0);
        address = out.pointer();
        memory = Memory.at(address, (long) (SLOTS + 1) * SLOT_BYTES);
        for (int i = 0; i < SLOTS; i++) {
            driver.eventCreate.call(out.address(), Driver.EVENT_DISABLE_TIMING);
            events[i] = out.pointer();
        }
    }

    /** Copies to the device; the source may be reused at return. */
    void upload(MemorySegment from, long to) {
        for (long done = 0; done < from.byteSize(); done += SLOT_BYTES) {
            long bytes = Math.min(SLOT_BYTES, from.byteSize() - done);
            long offset = (long) slot * SLOT_BYTES;
            driver.eventSynchronize.call(events[slot]); // until its last piece has left
            MemorySegment.copy(from, done, memory, offset, bytes);
            driver.copyToDevice.call(to + done, address + offset, bytes, stream);
            driver.eventRecord.call(events[slot], stream);
            slot = (slot + 1) % SLOTS;
        }
    }

    /** Waits for all work and copies from the device. */
    void download(long from, MemorySegment to) {
        long offset = (long) SLOTS * SLOT_BYTES;
        for (long done = 0; done < to.byteSize(); done += SLOT_BYTES) {
            long bytes = Math.min(SLOT_BYTES, to.byteSize() - done);
            driver.copyToHost.call(address + offset, from + done, bytes, stream);
            driver.streamSynchronize.call(stream);
            MemorySegment.copy(memory, offset, to, done, bytes);
        }
    }

    void close() {
        for (long event : events) {
            driver.eventDestroy.call(event);
        }
        driver.freeHost.call(address);
    }
}
