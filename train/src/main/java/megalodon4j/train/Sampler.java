package megalodon4j.train;

import megalodon4j.tensor.Philox;

/**
 * Where training sequences begin. All that a sampler depends on is the number of a sequence, counted through the whole
 * run: sequence r of micro-batch a of step s is number (s·A + a)·B + r.
 */
sealed interface Sampler {
    /** The first byte of a sequence in the training split. */
    int start(long sequence);

    /** Uniform and independent. */
    record Random(long seed, int starts) implements Sampler {
        @Override
        public int start(long sequence) {
            return new Philox(seed, Streams.DATA).at(4 * sequence).nextInt(starts); // four words each: one block
        }
    }

    /** One behind the other, from the beginning again at the end. */
    record Sequential(int seqLen, int starts) implements Sampler {
        @Override
        public int start(long sequence) {
            return (int) (sequence * seqLen % starts);
        }
    }

    static Sampler of(RunConfig config, int trainSize) {
        int starts = trainSize - config.seqLen() - 1;
        return config.sequential() ? new Sequential(config.seqLen(), starts) : new Random(config.seed(), starts);
    }
}
