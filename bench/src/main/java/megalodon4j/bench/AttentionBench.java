package megalodon4j.bench;

import java.util.List;
import java.util.SplittableRandom;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/** Causal attention of one layer, forward and backward; only pairs that see each other count as work. */
public class AttentionBench extends Bench {
    @Param("4")
    int batch;

    @Param({"1", "2"})
    int cores;

    /** L. */
    @Param("512")
    int length;

    @Param({"llama", "megalodon"})
    String model;

    /** Heads of d features in queries and keys and of e in values, chunks of so many tokens (0: all). */
    private record Form(int heads, int d, int e, int chunk) {}

    private Backend backend;
    private float scale;
    private Tensor q;
    private Tensor k;
    private Tensor v;
    private Tensor o;
    private Tensor logSum;
    private Tensor dO;
    private Tensor dq;
    private Tensor dk;
    private Tensor dv;

    private Form form() {
        return switch (model) {
            case "llama" -> new Form(6, 64, 64, 0);
            case "megalodon" -> new Form(3, 64, 128, 256);
            default -> throw new IllegalArgumentException("model must be llama or megalodon, got " + model);
        };
    }

    private int chunk() {
        return form().chunk == 0 ? length : Math.min(form().chunk, length);
    }

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        var random = new SplittableRandom(1);
        var f = form();
        scale = (float) (1 / Math.sqrt(f.d));
        q = random(random, f.heads * f.d);
        k = random(random, f.heads * f.d);
        v = random(random, f.heads * f.e);
        o = backend.tensor(v.shape());
        dO = random(random, f.heads * f.e);
        dq = backend.tensor(q.shape());
        dk = backend.tensor(k.shape());
        dv = backend.tensor(v.shape());
        logSum = backend.tensor(batch, f.heads, length);
        forward();
        backward();
        verify(random);
    }

    private Tensor random(SplittableRandom random, int width) {
        return backend.tensor(batch, length, width).set(Verify.uniform(random, batch * length * width));
    }

    @Benchmark
    public void forward() {
        backend.attention(q, k, v, length, null, form().heads, chunk(), scale, o, logSum);
    }

    @Benchmark
    public void backward() {
        dq.makeBlank();
        dk.makeBlank();
        dv.makeBlank();
        backend.attentionGrad(dO, q, k, v, null, form().heads, chunk(), scale, o, logSum, dq, dk, dv);
    }

    @TearDown
    public void close() {
        backend.close();
    }

    private void verify(SplittableRandom random) {
        var arrays = new Arrays(q.toArray(), k.toArray(), v.toArray(), o.toArray(), dO.toArray(), dq.toArray());
        for (int sample = 0; sample < 20; sample++) {
            verify(arrays, random.nextInt(batch), random.nextInt(form().heads), random.nextInt(length));
        }
    }

    private record Arrays(float[] q, float[] k, float[] v, float[] o, float[] dO, float[] dq) {}

    // The first features of query i of one head:
    // o = Σ p v and dq = scale · Σ p (dO·v − dO·o) k, p = softmax(scale · q·k).
    private void verify(Arrays x, int b, int head, int i) {
        int d = form().d, e = form().e, heads = form().heads, first = i / chunk() * chunk();
        int qi = ((b * length + i) * heads + head) * d, oi = ((b * length + i) * heads + head) * e;
        double sum = 0, wantO = 0, wantDq = 0, inner = dot(x.dO, oi, x.o, oi, e);
        for (int j = first; j <= i; j++) {
            int kj = ((b * length + j) * heads + head) * d, vj = ((b * length + j) * heads + head) * e;
            double p = Math.exp(scale * dot(x.q, qi, x.k, kj, d));
            sum += p;
            wantO += p * x.v[vj];
            wantDq += scale * p * (dot(x.dO, oi, x.v, vj, e) - inner) * x.k[kj];
        }
        Verify.close("o", wantO / sum, x.o[oi], 1, 1e-4);
        Verify.close("dq", wantDq / sum, x.dq[qi], 1, 1e-4);
    }

    private static double dot(float[] x, int xo, float[] y, int yo, int size) {
        double sum = 0;
        for (int i = 0; i < size; i++) {
            sum += (double) x[xo + i] * y[yo + i];
        }
        return sum;
    }

    @Override
    List<Work> work(String method) {
        var f = form();
        double pairs = 0;
        for (int i = 0; i < length; i++) {
            pairs += i % chunk() + 1;
        }
        // q·k and p·v; backward q·k again, dO·v, and the products for dq, dk, dv.
        int products = method.equals("forward") ? f.d + f.e : 3 * f.d + 2 * f.e;
        return List.of(Work.flops(2 * pairs * batch * f.heads * products));
    }
}
