package megalodon4j.bench;

import java.util.Arrays;
import megalodon4j.tensor.Workers;

/** Copies an array on several cores: as fast as the memory (or the cache that both arrays fit) allows. */
final class Copy implements AutoCloseable {
    private static final int BLOCK = 1 << 14;

    private final Workers workers;
    private final float[] from;
    private final float[] to;

    Copy(int cores, int floats) {
        workers = new Workers(cores);
        from = new float[floats];
        to = new float[floats];
        Arrays.fill(from, 1);
    }

    /** Bytes read and written by one {@link #run} of so many floats. */
    static double bytes(int floats) {
        return 2.0 * Float.BYTES * floats;
    }

    void run() {
        workers.run((from.length + BLOCK - 1) / BLOCK, (item, _) -> {
            int at = item * BLOCK;
            System.arraycopy(from, at, to, at, Math.min(BLOCK, from.length - at));
        });
    }

    @Override
    public void close() {
        workers.close();
    }
}
