package megalodon4j.bench;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The norms of one micro-batch, forward and backward, beside a copy of a tensor of the same size, which is what memory
 * allows.
 */
public class NormBench extends Bench {
    private static final float EPS = 1e-5f;

    @Param("4")
    int batch;

    @Param({"1", "2"})
    int cores;

    /** D. */
    @Param("384")
    int dim;

    /** G of the timestep norm. */
    @Param("32")
    int groups;

    /** L. */
    @Param("512")
    int length;

    private Backend backend;
    private Copy copy;
    private Tensor x;
    private Tensor y;
    private Tensor dy;
    private Tensor dx;
    private Tensor w;
    private Tensor b;
    private Tensor dw;
    private Tensor db;
    private Tensor rms; // (B, L)
    private Tensor mean; // (B, L)
    private Tensor rstd; // (B, L)
    private Tensor means; // (B, L, G)
    private Tensor rstds; // (B, L, G)

    @Setup
    public void open() {
        backend = Backend.cpu(cores);
        copy = new Copy(cores, batch * length * dim);
        var random = new SplittableRandom(1);
        x = backend.tensor(batch, length, dim).set(Verify.uniform(random, batch * length * dim));
        dy = backend.tensor(x.shape()).set(Verify.uniform(random, batch * length * dim));
        w = backend.tensor(dim).set(Verify.uniform(random, dim));
        b = backend.tensor(dim).set(Verify.uniform(random, dim));
        y = backend.tensor(x.shape());
        dx = backend.tensor(x.shape());
        dw = backend.tensor(dim);
        db = backend.tensor(dim);
        rms = backend.tensor(batch, length);
        mean = backend.tensor(batch, length);
        rstd = backend.tensor(batch, length);
        means = backend.tensor(batch, length, groups);
        rstds = backend.tensor(batch, length, groups);
        verify();
    }

    @Benchmark
    public void rmsNorm() {
        backend.rmsNorm(x, w, 1, EPS, y, rms);
    }

    @Benchmark
    public void rmsNormGrad() {
        blankGradients();
        backend.rmsNormGrad(dy, x, w, 1, rms, dx, dw);
    }

    @Benchmark
    public void layerNorm() {
        backend.layerNorm(x, w, b, EPS, y, mean, rstd);
    }

    @Benchmark
    public void layerNormGrad() {
        blankGradients();
        backend.layerNormGrad(dy, x, w, mean, rstd, dx, dw, db);
    }

    @Benchmark
    public void timestepNorm() {
        backend.timestepNorm(x, null, w, b, groups, EPS, null, y, means, rstds);
    }

    @Benchmark
    public void timestepNormGrad() {
        blankGradients();
        backend.timestepNormGrad(dy, x, null, w, groups, EPS, means, rstds, dx, dw, db);
    }

    @Benchmark
    public void copy() {
        copy.run();
    }

    private void blankGradients() {
        dx.makeBlank();
        dw.makeBlank();
        db.makeBlank();
    }

    @TearDown
    public void close() {
        backend.close();
        copy.close();
    }

    // --- what must come out -----------------------------------------------------------------------------------------

    // Row norms treat each row alone, the timestep norm each group of features in each sequence: the last is checked.
    private void verify() {
        int row = batch * length - 1, width = dim / groups;
        rmsNorm();
        rmsNormGrad();
        verify("rmsNorm", slab(row, 1, 0, dim), this::rmsNormOf);
        layerNorm();
        layerNormGrad();
        verify("layerNorm", slab(row, 1, 0, dim), this::layerNormOf);
        timestepNorm();
        timestepNormGrad();
        verify("timestepNorm", slab((batch - 1) * length, length, dim - width, width), this::timestepNormOf);
    }

    private int[] slab(int row, int rows, int column, int columns) {
        var indices = new int[rows * columns];
        for (int i = 0; i < indices.length; i++) {
            indices[i] = (row + i / columns) * dim + column + i % columns;
        }
        return indices;
    }

    // The gradient of Σ dy·y by central differences, in double.
    private void verify(String what, int[] slab, UnaryOperator<double[]> norm) {
        var in = at(x, slab);
        var out = at(y, slab);
        var weights = at(dy, slab);
        var gradient = at(dx, slab);
        var want = norm.apply(in);
        for (int i = 0; i < slab.length; i++) {
            Verify.close(what + " at " + i, want[i], out[i], 1, 2e-4);
        }
        double h = 1e-5;
        for (int i = 0; i < slab.length; i += Math.max(1, slab.length / 50)) {
            double before = in[i];
            in[i] = before + h;
            double up = dot(weights, norm.apply(in));
            in[i] = before - h;
            double down = dot(weights, norm.apply(in));
            in[i] = before;
            Verify.close("gradient of " + what + " at " + i, (up - down) / (2 * h), gradient[i], 1, 1e-3);
        }
    }

    private static double[] at(Tensor tensor, int[] indices) {
        var elements = tensor.toArray();
        var taken = new double[indices.length];
        for (int i = 0; i < taken.length; i++) {
            taken[i] = elements[indices[i]];
        }
        return taken;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    private double[] rmsNormOf(double[] in) {
        double scale = 1 / Math.sqrt(dot(in, in) / dim + EPS);
        var gamma = w.toArray();
        var out = new double[dim];
        for (int i = 0; i < dim; i++) {
            out[i] = in[i] * scale * (gamma[i] + 1);
        }
        return out;
    }

    private double[] layerNormOf(double[] in) {
        double centre = Arrays.stream(in).average().orElseThrow();
        double variance = dot(in, in) / dim - centre * centre;
        var weight = w.toArray();
        var bias = b.toArray();
        var out = new double[dim];
        for (int i = 0; i < dim; i++) {
            out[i] = (in[i] - centre) / Math.sqrt(variance + EPS) * weight[i] + bias[i];
        }
        return out;
    }

    private double[] timestepNormOf(double[] in) {
        int width = dim / groups, column = dim - width;
        var weight = w.toArray();
        var bias = b.toArray();
        var out = new double[in.length];
        double m = 0, m2 = 1;
        for (int t = 0; t < length; t++) {
            double g = 0;
            for (int i = 0; i < width; i++) {
                g += in[t * width + i] / width;
            }
            double before = m;
            m += (g - m) / (t + 1);
            m2 += (g - before) * (g - m);
            double scale = 1 / Math.sqrt(Math.max(m2 / (t + 1), 1e-6) + EPS);
            for (int i = 0; i < width; i++) {
                out[t * width + i] = (in[t * width + i] - m) * scale * (weight[column + i] + 1) + bias[column + i];
            }
        }
        return out;
    }

    @Override
    List<Work> work(String method) {
        int tensors = method.endsWith("Grad") ? 3 : 2; // x → y; x, dy → dx
        return List.of(Work.bytes((double) tensors * Float.BYTES * batch * length * dim));
    }
}
