package megalodon4j.tensor;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed team of threads that share the items of one loop; the calling thread works too.
 *
 * <p>Items are handed out one at a time, so which worker computes an item is a matter of chance. What an item computes must
 * therefore depend on its number alone: split a job over its outputs, never over a sum, and the result is the same
 * bit for bit for any number of threads.
 *
 * <p>One job runs at a time. A team is used by one calling thread at a time.
 */
public final class Workers implements AutoCloseable {
    /** The body of a parallel loop. */
    @FunctionalInterface
    public interface Task {
        /**
         * @param item the index in the loop
         * @param worker who computes it, 0 ≤ worker &lt; {@link Workers#count}: the index of its scratch memory
         */
        void run(int item, int worker);
    }

    // Jobs follow each other within microseconds during a step; a parked thread takes some fifty to come back.
    private static final long SPIN_NANOS = 200_000;

    private final Thread[] helpers;

    // The loop at work. A worker takes an item by counting left down, and until it has counted done up the loop cannot
    // end: items and task are those of its item. So a helper that comes late finds nothing left, or works at the next
    // loop, and the caller waits for items, never for a thread that the machine does not run.
    private final AtomicInteger left = new AtomicInteger();
    private final AtomicInteger done = new AtomicInteger();
    private int items;
    private Task task;
    private final AtomicReference<Thread> caller = new AtomicReference<>(); // whose loop it is

    private volatile Throwable failure;
    private volatile boolean closed;

    /** @param count threads in all, the caller's included; at least 1 */
    public Workers(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("threads must be at least 1, got " + count);
        }
        helpers = new Thread[count - 1];
        for (int i = 0; i < helpers.length; i++) {
            int worker = i + 1;
            helpers[i] = Thread.ofPlatform()
                    .daemon()
                    .name("megalodon-worker-" + worker)
                    .start(() -> serve(worker));
        }
    }

    /** Threads in all, the caller's included. */
    public int count() {
        return helpers.length + 1;
    }

    /**
     * Runs items 0 … items - 1 and returns when all are done; a failure of any is thrown here.
     *
     * @throws IllegalStateException if called by a task, with however many threads, by two threads at a time, or after {@link #close}
     */
    public void run(int items, Task task) {
        var other = caller.compareAndExchange(null, Thread.currentThread());
        if (other != null) {
            throw new IllegalStateException(
                    other == Thread.currentThread()
                            ? "a loop inside a loop: workers run one at a time"
                            : "workers are busy for thread " + other.getName() + ": one at a time may use a backend");
        }
        if (closed) {
            caller.set(null);
            throw new IllegalStateException("workers have been closed, with their backend");
        }
        this.items = items;
        this.task = task;
        try {
            if (helpers.length == 0 || items <= 1) {
                for (int i = 0; i < items; i++) {
                    task.run(i, 0);
                }
            } else {
                share();
            }
        } finally {
            this.task = null; // what it refers to may be large
            caller.set(null);
        }
    }

    private void share() {
        done.set(0);
        left.set(items);
        for (var helper : helpers) {
            LockSupport.unpark(helper);
        }
        work(0);
        await();
        if (failure != null) {
            var thrown = failure;
            failure = null;
            switch (thrown) {
                case RuntimeException e -> throw e;
                case Error e -> throw e; // of memory, for example
                default -> throw new IllegalStateException(thrown);
            }
        }
    }

    private void await() {
        long deadline = System.nanoTime() + SPIN_NANOS;
        while (done.get() < items) {
            if (System.nanoTime() < deadline) {
                Thread.onSpinWait();
            } else {
                // A helper may be waiting for this very core.
                Thread.yield();
            }
        }
    }

    /** Computes items until none are left. */
    private void work(int worker) {
        for (int n = left.get(); n > 0; n = left.get()) {
            if (left.compareAndSet(n, n - 1)) {
                int skipped = 0;
                try {
                    task.run(items - n, worker);
                } catch (Throwable e) {
                    failure = e;
                    skipped = left.getAndSet(0);
                }
                done.addAndGet(1 + skipped);
            }
        }
    }

    private void serve(int worker) {
        while (true) {
            long deadline = System.nanoTime() + SPIN_NANOS;
            while (left.get() == 0) {
                if (closed) {
                    return;
                }
                if (System.nanoTime() < deadline) {
                    Thread.onSpinWait();
                } else {
                    LockSupport.park(this);
                }
            }
            work(worker);
        }
    }

    /** Ends the threads, and {@link #run} with them. */
    @Override
    public void close() {
        closed = true;
        for (var helper : helpers) {
            LockSupport.unpark(helper);
        }
    }
}
