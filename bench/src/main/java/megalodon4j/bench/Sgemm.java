package megalodon4j.bench;

import dev.ludovic.netlib.blas.JavaBLAS;
import java.util.Arrays;
import java.util.Set;
import java.util.SplittableRandom;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas_full;

/** One matrix product of random matrices by one implementation. */
abstract class Sgemm implements AutoCloseable {
    private static final Set<String> SINGLE_CORE = Set.of("netlib", "scalar");

    /** Prepares, computes once, and compares that with sums in double. */
    static Sgemm verified(String implementation, Gemm gemm, int cores) {
        var random = new SplittableRandom(1);
        var a = Verify.uniform(random, gemm.m() * gemm.k());
        var b = Verify.uniform(random, gemm.k() * gemm.n());
        var c = Verify.uniform(random, gemm.m() * gemm.n());
        var sgemm = of(implementation, gemm, cores, a, b, c.clone());
        sgemm.multiply();
        gemm.verify(implementation, a, b, c, sgemm.result());
        return sgemm;
    }

    private static Sgemm of(String implementation, Gemm gemm, int cores, float[] a, float[] b, float[] c) {
        if (cores != 1 && SINGLE_CORE.contains(implementation)) {
            throw new IllegalArgumentException(implementation + " runs on one core only: -p cores=1");
        }
        return switch (implementation) {
            case "megalodon" -> new Ours(gemm, cores, a, b, c);
            case "openblas" -> new ByOpenBlas(gemm, cores, a, b, c);
            case "netlib" -> new ByNetlib(gemm, a, b, c);
            case "scalar" -> new Scalar(gemm, a, b, c);
            default ->
                throw new IllegalArgumentException(
                        "impl must be megalodon, openblas, netlib or scalar, got " + implementation);
        };
    }

    abstract void multiply();

    abstract float[] result();

    @Override
    public void close() {}

    private static final class Ours extends Sgemm {
        private final Gemm gemm;
        private final Backend backend;
        private final Tensor a;
        private final Tensor b;
        private final Tensor c;

        Ours(Gemm gemm, int cores, float[] a, float[] b, float[] c) {
            this.gemm = gemm;
            backend = Backend.cpu(cores);
            this.a = backend.tensor(a.length / gemm.lda(), gemm.lda()).set(a);
            this.b = backend.tensor(b.length / gemm.ldb(), gemm.ldb()).set(b);
            this.c = backend.tensor(gemm.m(), gemm.n()).set(c);
            System.out.println("megalodon4j: " + backend.describe());
        }

        @Override
        void multiply() {
            if (!gemm.accumulates()) {
                c.makeBlank();
            }
            backend.matmul(gemm.transposeA(), gemm.transposeB(), a, b, c);
        }

        @Override
        float[] result() {
            return c.toArray();
        }

        @Override
        public void close() {
            backend.close();
        }
    }

    private static final class ByOpenBlas extends Sgemm {
        private static final int ROW_MAJOR = 101;
        private static final int AS_IS = 111;
        private static final int TRANSPOSED = 112;

        private final Gemm gemm;
        private final FloatPointer a;
        private final FloatPointer b;
        private final FloatPointer c;

        ByOpenBlas(Gemm gemm, int cores, float[] a, float[] b, float[] c) {
            this.gemm = gemm;
            this.a = new FloatPointer(a);
            this.b = new FloatPointer(b);
            this.c = new FloatPointer(c);
            OpenBlas.threads(cores);
            System.out.println("OpenBLAS: kernels for " + OpenBlas.core() + ", threads: " + cores);
        }

        @Override
        void multiply() {
            openblas_full.cblas_sgemm(
                    ROW_MAJOR,
                    gemm.transposeA() ? TRANSPOSED : AS_IS,
                    gemm.transposeB() ? TRANSPOSED : AS_IS,
                    gemm.m(),
                    gemm.n(),
                    gemm.k(),
                    1,
                    a,
                    gemm.lda(),
                    b,
                    gemm.ldb(),
                    gemm.accumulates() ? 1 : 0,
                    c,
                    gemm.n());
        }

        @Override
        float[] result() {
            var result = new float[gemm.m() * gemm.n()];
            c.get(result);
            return result;
        }

        @Override
        public void close() {
            a.close();
            b.close();
            c.close();
        }
    }

    /** BLAS is column-major: Cᵀ = op(B)ᵀ · op(A)ᵀ is the same product of the same arrays. */
    private static final class ByNetlib extends Sgemm {
        private final Gemm gemm;
        private final JavaBLAS blas = JavaBLAS.getInstance();
        private final float[] a;
        private final float[] b;
        private final float[] c;

        ByNetlib(Gemm gemm, float[] a, float[] b, float[] c) {
            this.gemm = gemm;
            this.a = a;
            this.b = b;
            this.c = c;
            Verify.that(
                    blas.getClass().getSimpleName().equals("VectorBLAS"),
                    "netlib chose " + blas.getClass() + ", not its VectorBLAS");
        }

        @Override
        void multiply() {
            blas.sgemm(
                    gemm.transposeB() ? "T" : "N",
                    gemm.transposeA() ? "T" : "N",
                    gemm.n(),
                    gemm.m(),
                    gemm.k(),
                    1,
                    b,
                    gemm.ldb(),
                    a,
                    gemm.lda(),
                    gemm.accumulates() ? 1 : 0,
                    c,
                    gemm.n());
        }

        @Override
        float[] result() {
            return c;
        }
    }

    /** The loops as one would write them, in the order that reads memory forwards; what C2 makes of them. */
    private static final class Scalar extends Sgemm {
        private final Gemm gemm;
        private final float[] a;
        private final float[] b;
        private final float[] c;

        Scalar(Gemm gemm, float[] a, float[] b, float[] c) {
            this.gemm = gemm;
            this.a = a;
            this.b = b;
            this.c = c;
        }

        @Override
        void multiply() {
            for (int i = 0; i < gemm.m(); i++) {
                if (gemm.transposeB()) {
                    byDots(i);
                } else {
                    byRows(i);
                }
            }
        }

        private float a(int i, int p) {
            return a[gemm.transposeA() ? p * gemm.m() + i : i * gemm.k() + p];
        }

        private void byDots(int i) {
            int n = gemm.n(), k = gemm.k();
            for (int j = 0; j < n; j++) {
                float sum = gemm.accumulates() ? c[i * n + j] : 0;
                for (int p = 0; p < k; p++) {
                    sum += a(i, p) * b[j * k + p];
                }
                c[i * n + j] = sum;
            }
        }

        private void byRows(int i) {
            int n = gemm.n(), k = gemm.k();
            if (!gemm.accumulates()) {
                Arrays.fill(c, i * n, (i + 1) * n, 0);
            }
            for (int p = 0; p < k; p++) {
                float x = a(i, p);
                for (int j = 0; j < n; j++) {
                    c[i * n + j] += x * b[p * n + j];
                }
            }
        }

        @Override
        float[] result() {
            return c;
        }
    }
}
