package megalodon4j.tensor.cpu;

import megalodon4j.tensor.Storage;
import megalodon4j.tensor.Tensor;

/** Memory of the CPU: a Java array, the fastest thing that C2 knows. */
final class CpuStorage extends Storage {
    final float[] data;

    CpuStorage(int capacity) {
        super(capacity);
        data = new float[Scratch.ALIGNED + capacity];
    }

    @Override
    protected int origin() {
        return Scratch.ALIGNED;
    }

    /** The array that holds a tensor of this backend, from {@link Tensor#offset} on; null for null. */
    static float[] data(Tensor tensor) {
        return tensor == null ? null : ((CpuStorage) tensor.filledStorage()).data;
    }

    /** {@link Tensor#offset}; 0 for null. */
    static int offset(Tensor tensor) {
        return tensor == null ? 0 : tensor.offset();
    }
}
