package megalodon4j.train;

/** Who draws from which Philox stream of the run's seed. Models number their own from 0 on, generation from 3 · 2³² on. */
final class Streams {
    static final long DATA = 1L << 32;
    static final long SAMPLES = 2L << 32;

    private Streams() {}
}
