package megalodon4j.tensor.cpu;

import megalodon4j.tensor.Workers;

/** Working memory for each worker, which grows to what was asked for and is kept. */
final class WorkerScratch {
    private final float[][] arrays;

    WorkerScratch(Workers workers) {
        arrays = new float[workers.count()][0];
    }

    /** At least so many floats that no other worker touches until this one asks again; their contents are arbitrary. */
    float[] of(int worker, int floats) {
        if (arrays[worker].length < floats) {
            arrays[worker] = new float[floats];
        }
        return arrays[worker];
    }
}
