package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;
import static megalodon4j.tensor.cpu.VectorMath.NEGLIGIBLE;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/** Copies, sums and products, element by element. */
final class Elementwise implements Kernels.Elementwise {
    private final Blocks copy;
    private final Blocks zero;
    private final Blocks addition;
    private final Blocks product;
    private Tensor x, y, z;
    private float scale;
    private boolean add;

    Elementwise(Workers workers) {
        copy = new Blocks(workers, this::copy);
        zero = new Blocks(workers, this::zero);
        addition = new Blocks(workers, this::add);
        product = new Blocks(workers, this::multiply);
    }

    @Override
    public void copy(Tensor from, Tensor to) {
        x = from;
        y = to;
        copy.elements(to.elements());
    }

    @Override
    public void zero(Tensor x) {
        this.x = x;
        zero.elements(x.elements());
    }

    @Override
    public void add(float scale, Tensor x, Tensor y, boolean add) {
        this.scale = scale;
        this.x = x;
        this.y = y;
        this.add = add;
        addition.elements(y.elements());
    }

    @Override
    public void multiply(Tensor x, Tensor y, Tensor z, boolean add) {
        this.x = x;
        this.y = y;
        this.z = z;
        this.add = add;
        product.elements(z.elements());
    }

    private void copy(int from, int to, int worker) {
        System.arraycopy(data(x), offset(x) + from, data(y), offset(y) + from, to - from);
    }

    private void zero(int from, int to, int worker) {
        Arrays.fill(data(x), offset(x) + from, offset(x) + to, 0);
    }

    private void add(int from, int to, int worker) {
        add(scale, data(x), offset(x) + from, data(y), offset(y) + from, to - from, add);
    }

    private void multiply(int from, int to, int worker) {
        int xo = offset(x) + from, yo = offset(y) + from, zo = offset(z) + from;
        multiply(data(x), xo, data(y), yo, data(z), zo, to - from, add);
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

    /** z (+)= x · y, what is {@link VectorMath#NEGLIGIBLE} left out. */
    static void multiply(float[] x, int xo, float[] y, int yo, float[] z, int zo, int n, boolean add) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var product = FloatVector.fromArray(SPECIES, x, xo + i).mul(FloatVector.fromArray(SPECIES, y, yo + i));
            product = product.blend(0, product.abs().compare(VectorOperators.LT, NEGLIGIBLE));
            var sum = add ? product.add(FloatVector.fromArray(SPECIES, z, zo + i)) : product;
            sum.intoArray(z, zo + i);
        }
        for (; i < n; i++) {
            float product = VectorMath.flush(x[xo + i] * y[yo + i]);
            z[zo + i] = add ? z[zo + i] + product : product;
        }
    }
}
