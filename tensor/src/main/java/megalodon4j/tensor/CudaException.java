package megalodon4j.tensor;

/** CUDA is missing or a call of it failed; one line says which library or call, the code's name and the arguments. */
public sealed class CudaException extends RuntimeException permits CudaException.OutOfMemory {
    private static final long serialVersionUID = 1;

    public CudaException(String message) {
        super(message);
    }

    /** The GPU has no memory left for a tensor: what {@link OutOfMemoryError} is on the CPU. */
    public static final class OutOfMemory extends CudaException {
        private static final long serialVersionUID = 1;

        public OutOfMemory(String message) {
            super(message);
        }
    }
}
