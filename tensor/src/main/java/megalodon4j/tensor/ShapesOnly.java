package megalodon4j.tensor;

/**
 * A device without memory and kernels. A model that is made on it has the names and shapes of its parameters but no values, so that its size
 * costs nothing.
 */
public final class ShapesOnly extends Backend {
    /** A device of no cost: nothing has to be closed. */
    public ShapesOnly() {}

    @Override
    public String describe() {
        return "shapes only";
    }

    @Override
    protected Storage newStorage(int capacity) {
        return new Storage(capacity) {};
    }

    @Override
    protected Kernels kernels() {
        throw noValues();
    }

    @Override
    protected void download(Tensor from, float[] to) {
        throw noValues();
    }

    @Override
    protected void upload(float[] from, Tensor to) {
        throw noValues();
    }

    private static UnsupportedOperationException noValues() {
        return new UnsupportedOperationException("a tensor of shapes only has no values");
    }
}
