package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** Copies, sums and products, element by element. */
final class Elementwise {
    private final Workers workers;

    Elementwise(Workers workers) {
        this.workers = workers;
    }

    void copy(Tensor from, Tensor to) {
        float[] a = data(from), b = data(to);
        int ao = offset(from), bo = offset(to);
        Blocks.elements(workers, to.elements(), (i, end, worker) -> System.arraycopy(a, ao + i, b, bo + i, end - i));
    }

    void zero(Tensor x) {
        float[] a = data(x);
        int ao = offset(x);
        Blocks.elements(workers, x.elements(), (i, end, worker) -> Arrays.fill(a, ao + i, ao + end, 0));
    }

    void add(float scale, Tensor x, Tensor y, boolean add) {
        float[] a = data(x), b = data(y);
        int ao = offset(x), bo = offset(y);
        Blocks.elements(workers, y.elements(), (i, end, worker) -> add(scale, a, ao + i, b, bo + i, end - i, add));
    }

    void multiply(Tensor x, Tensor y, Tensor z, boolean add) {
        float[] a = data(x), b = data(y), c = data(z);
        int ao = offset(x), bo = offset(y), co = offset(z);
        Blocks.elements(
                workers, z.elements(), (i, end, worker) -> multiply(a, ao + i, b, bo + i, c, co + i, end - i, add));
    }

    /** y (+)= scale · x. */
    static void add(float scale, float[] x, int xo, float[] y, int yo, int n, boolean add) {
        var factor = FloatVector.broadcast(SPECIES, scale);
        int i = 0;
        for (; i <= n - W; i += W) {
            var product = FloatVector.fromArray(SPECIES, x, xo + i).mul(factor);
            var sum = add ? product.add(FloatVector.fromArray(SPECIES, y, yo + i)) : product;
            sum.intoArray(y, yo + i);
        }
        for (; i < n; i++) {
            float product = scale * x[xo + i];
            y[yo + i] = add ? y[yo + i] + product : product;
        }
    }

    /** z (+)= x · y. */
    static void multiply(float[] x, int xo, float[] y, int yo, float[] z, int zo, int n, boolean add) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var product = FloatVector.fromArray(SPECIES, x, xo + i).mul(FloatVector.fromArray(SPECIES, y, yo + i));
            var sum = add ? product.add(FloatVector.fromArray(SPECIES, z, zo + i)) : product;
            sum.intoArray(z, zo + i);
        }
        for (; i < n; i++) {
            float product = x[xo + i] * y[yo + i];
            z[zo + i] = add ? z[zo + i] + product : product;
        }
    }
}
