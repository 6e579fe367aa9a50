package megalodon4j.tensor;

/** CUDA is missing or a call of it failed; one line says which library or call, the code's name and the arguments. */
public final class CudaException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public CudaException(String message) {
        super(message);
    }
}
