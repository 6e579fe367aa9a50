package megalodon4j.bench;

import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/** What else there is in Java, beside both of {@link SgemmBench}, on one core: netlib's Vector BLAS, and plain loops. */
public class SgemmPeersBench extends Bench {
    @Param("1")
    int cores;

    @Param({"nt_2048x1280x384", "nn_2048x384x1280", "tn_1280x384x2048"})
    String gemm;

    @Param({"megalodon", "openblas", "netlib", "scalar"})
    String impl;

    private Sgemm sgemm;

    @Setup
    public void open() {
        sgemm = Sgemm.verified(impl, Gemm.of(gemm), cores);
    }

    @TearDown
    public void close() {
        sgemm.close();
    }

    @Benchmark
    public void multiply() {
        sgemm.multiply();
    }

    @Override
    List<Work> work(String method) {
        return List.of(Work.flops(Gemm.of(gemm).flops()));
    }
}
