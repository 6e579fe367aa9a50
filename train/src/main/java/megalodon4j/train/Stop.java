package megalodon4j.train;

import java.util.concurrent.CountDownLatch;

/**
 * Ctrl-C as a wish: work goes on to where it can be left in order, and the process ends only then (with the signal's
 * own exit code).
 */
final class Stop implements AutoCloseable {
    /** Thrown where work can be left. */
    static final class Requested extends RuntimeException {
        private static final long serialVersionUID = 1;

        private Requested() {
            super("stopped", null, false, false);
        }
    }

    static final int EXIT_CODE = 130;

    private final CountDownLatch left = new CountDownLatch(1);
    private final Thread hook = new Thread(this::shutDown, "stop");
    private volatile boolean requested;

    /** Never asked to stop by a signal. */
    static Stop never() {
        return new Stop();
    }

    /** Asked to stop when the process is. */
    static Stop onSignal() {
        var stop = new Stop();
        Runtime.getRuntime().addShutdownHook(stop.hook);
        return stop;
    }

    private void shutDown() {
        request();
        try {
            left.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    void request() {
        requested = true;
    }

    boolean requested() {
        return requested;
    }

    /** @throws Requested if a stop was */
    void check() {
        if (requested) {
            throw new Requested();
        }
    }

    /** The work has been left: the process may end. */
    @Override
    public void close() {
        left.countDown();
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The process is ending, which is what the hook is for.
        }
    }
}
