package megalodon4j.bench;

import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Ours against OpenBLAS over every product of a training step of both 512 configs, micro-batches of 4 × 512 = 2048
 * rows: for a linear layer from K to N features y = x wᵀ is {@code nt}, dx = dy w is {@code nn}, dw += dyᵀ x is
 * {@code tn}; and 2048³, the practical peak.
 */
public class SgemmBench extends Bench {
    @Param({"1", "2"})
    int cores;

    @Param({
        // 384 → 384: Llama's wq, wk, wv, wo; Megalodon's wv, wr, wh1, wh2
        "nt_2048x384x384",
        "nn_2048x384x384",
        "tn_384x384x2048",
        // 384 → 1280: Llama's w1, w3
        "nt_2048x1280x384",
        "nn_2048x384x1280",
        "tn_1280x384x2048",
        // 1280 → 384: Llama's w2
        "nt_2048x384x1280",
        "nn_2048x1280x384",
        "tn_384x1280x2048",
        // 384 → 192: Megalodon's wz
        "nt_2048x192x384",
        "nn_2048x384x192",
        "tn_192x384x2048",
        // 384 → 1024: Megalodon's fc1, fc3
        "nt_2048x1024x384",
        "nn_2048x384x1024",
        "tn_1024x384x2048",
        // 1024 → 384: Megalodon's fc2
        "nt_2048x384x1024",
        "nn_2048x1024x384",
        "tn_384x1024x2048",
        // 384 → 256: the logits of both
        "nt_2048x256x384",
        "nn_2048x384x256",
        "tn_256x384x2048",
        "nn_2048x2048x2048"
    })
    String gemm;

    @Param({"megalodon", "openblas"})
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
