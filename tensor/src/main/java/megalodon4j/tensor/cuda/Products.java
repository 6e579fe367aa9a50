package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import megalodon4j.tensor.Precision;

/**
 * cuBLAS on a stream. It counts by columns: a row-major matrix is to it the transpose, so that C = A·B is asked for as Cᵀ = Bᵀ·Aᵀ, the operands
 * swapped and nothing else.
 */
final class Products {
    private final Blas blas;
    private final long handle;
    private final MemorySegment scalars;

    /**
     * @param workspace of the device, so that cuBLAS allocates nothing by itself, which a capture would not allow
     */
    Products(Blas blas, long stream, long workspace, long workspaceBytes, Arena arena) {
        this.blas = blas;
        scalars = arena.allocate(ValueLayout.JAVA_FLOAT, 2);
        var out = new Out(arena);
        blas.create.call(out.address());
        handle = out.pointer();
        blas.setStream.call(handle, stream);
        blas.setWorkspace.call(handle, workspace, workspaceBytes);
    }

    /** An operand in the device's memory: its first element, its type (see {@link Blas}), the distance of its rows and of its copies in a batch. */
    record Operand(long pointer, int type, boolean transposed, int rowStride, long batchStride) {
        int operation() {
            return transposed ? 1 : 0;
        }
    }

    /** c (m, n) = alpha · op(a) (m, k) · op(b) (k, n) + beta · c, for every one of the batch. */
    void multiply(
            Precision precision,
            int m,
            int n,
            int k,
            float alpha,
            Operand a,
            Operand b,
            float beta,
            Operand c,
            int batch) {
        scalars.setAtIndex(ValueLayout.JAVA_FLOAT, 0, alpha);
        scalars.setAtIndex(ValueLayout.JAVA_FLOAT, 1, beta);
        long alphaAt = scalars.address();
        long betaAt = alphaAt + Float.BYTES;
        int compute = Blas.computeType(precision);
        if (batch == 1) {
            blas.gemm.call(
                    handle,
                    b.operation(),
                    a.operation(),
                    n,
                    m,
                    k,
                    alphaAt,
                    b.pointer,
                    b.type,
                    b.rowStride,
                    a.pointer,
                    a.type,
                    a.rowStride,
                    betaAt,
                    c.pointer,
                    c.type,
                    c.rowStride,
                    compute,
                    Blas.DEFAULT_ALGORITHM);
        } else {
            blas.gemmBatched.call(
                    handle,
                    b.operation(),
                    a.operation(),
                    n,
                    m,
                    k,
                    alphaAt,
                    b.pointer,
                    b.type,
                    b.rowStride,
                    b.batchStride,
                    a.pointer,
                    a.type,
                    a.rowStride,
                    a.batchStride,
                    betaAt,
                    c.pointer,
                    c.type,
                    c.rowStride,
                    c.batchStride,
                    batch,
                    compute,
                    Blas.DEFAULT_ALGORITHM);
        }
    }

    void close() {
        blas.destroy.call(handle);
    }
}
