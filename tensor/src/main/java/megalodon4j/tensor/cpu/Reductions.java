package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Lanes.SPECIES;
import static megalodon4j.tensor.cpu.Lanes.W;

import java.util.List;
import jdk.incubator.vector.FloatVector;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * Sums, in an order that depends on the shape alone. The static methods sum a row in float; sums of whole tensors cut them into short
 * runs whose sums they add in double.
 */
final class Reductions implements Kernels.Reductions {
    // 4 × 16 lanes take 32 summands each: hardly any rounding, and the flush to double costs nothing.
    private static final int RUN = 2048;

    private final Blocks runs;
    private final Blocks rows;
    private final ColumnSums columnSums;
    private Tensor x;
    private boolean squared;
    private double[] partial = new double[0];

    Reductions(Workers workers) {
        runs = new Blocks(workers, this::addRuns);
        rows = new Blocks(workers, this::addRows);
        columnSums = new ColumnSums(workers);
    }

    @Override
    public double sum(Tensor x) {
        return sum(x, false);
    }

    @Override
    public double sumOfSquares(List<Tensor> tensors) {
        double sum = 0;
        for (var x : tensors) {
            sum += sum(x, true);
        }
        return sum;
    }

    private double sum(Tensor x, boolean squared) {
        int blocks = Math.ceilDiv(x.elements(), Blocks.ELEMENTS);
        if (partial.length < blocks) {
            partial = new double[blocks];
        }
        this.x = x;
        this.squared = squared;
        runs.elements(x.elements());
        double total = 0;
        for (int block = 0; block < blocks; block++) {
            total += partial[block];
        }
        return total;
    }

    private void addRuns(int from, int to, int worker) {
        double sum = 0;
        for (int i = from; i < to; i += RUN) {
            int at = offset(x) + i, count = Math.min(RUN, to - i);
            sum += squared ? squares(data(x), at, 0, count) : sum(data(x), at, count);
        }
        partial[from / Blocks.ELEMENTS] = sum;
    }

    @Override
    public void sumRows(Tensor dy, Tensor dColumns, boolean add) {
        x = dy;
        columnSums.start(dColumns, dy.rows());
        rows.rows(dy.rows());
        columnSums.finish(add);
    }

    private void addRows(int from, int to, int worker) {
        int at = columnSums.open(from), n = x.columns(), row = from;
        for (; row <= to - 4; row += 4) {
            addFourRows(data(x), offset(x) + row * n, columnSums.partial, at, n);
        }
        for (; row < to; row++) {
            Elementwise.add(1, data(x), offset(x) + row * n, columnSums.partial, at, n, true);
        }
    }

    // The sums go to memory and back once for four rows.
    private static void addFourRows(float[] x, int xo, float[] sums, int at, int n) {
        int i = 0;
        for (; i <= n - W; i += W) {
            var a = FloatVector.fromArray(SPECIES, x, xo + i).add(FloatVector.fromArray(SPECIES, x, xo + n + i));
            var b = FloatVector.fromArray(SPECIES, x, xo + 2 * n + i)
                    .add(FloatVector.fromArray(SPECIES, x, xo + 3 * n + i));
            a.add(b).add(FloatVector.fromArray(SPECIES, sums, at + i)).intoArray(sums, at + i);
        }
        for (; i < n; i++) {
            sums[at + i] += (x[xo + i] + x[xo + n + i]) + (x[xo + 2 * n + i] + x[xo + 3 * n + i]);
        }
    }

    /** Σ x. */
    static float sum(float[] x, int xo, int n) {
        var s0 = FloatVector.zero(SPECIES);
        var s1 = s0;
        var s2 = s0;
        var s3 = s0;
        int i = 0;
        for (; i <= n - 4 * W; i += 4 * W) {
            s0 = FloatVector.fromArray(SPECIES, x, xo + i).add(s0);
            s1 = FloatVector.fromArray(SPECIES, x, xo + i + W).add(s1);
            s2 = FloatVector.fromArray(SPECIES, x, xo + i + 2 * W).add(s2);
            s3 = FloatVector.fromArray(SPECIES, x, xo + i + 3 * W).add(s3);
        }
        for (; i <= n - W; i += W) {
            s0 = FloatVector.fromArray(SPECIES, x, xo + i).add(s0);
        }
        s0 = s0.add(s1).add(s2.add(s3));
        if (W > 8) {
            s0 = s0.add(s0.rearrange(VectorMath.OTHER_HALF));
        }
        if (W > 4) {
            s0 = s0.add(s0.rearrange(VectorMath.OTHER_QUARTER));
        }
        float sum = (s0.lane(0) + s0.lane(1)) + (s0.lane(2) + s0.lane(3));
        for (; i < n; i++) {
            sum += x[xo + i];
        }
        return sum;
    }

    /** Σ (x − centre)². */
    static float squares(float[] x, int xo, float centre, int n) {
        var s0 = FloatVector.zero(SPECIES);
        var s1 = s0;
        var s2 = s0;
        var s3 = s0;
        int i = 0;
        for (; i <= n - 4 * W; i += 4 * W) {
            var x0 = FloatVector.fromArray(SPECIES, x, xo + i).sub(centre);
            var x1 = FloatVector.fromArray(SPECIES, x, xo + i + W).sub(centre);
            var x2 = FloatVector.fromArray(SPECIES, x, xo + i + 2 * W).sub(centre);
            var x3 = FloatVector.fromArray(SPECIES, x, xo + i + 3 * W).sub(centre);
            s0 = x0.mul(x0).add(s0);
            s1 = x1.mul(x1).add(s1);
            s2 = x2.mul(x2).add(s2);
            s3 = x3.mul(x3).add(s3);
        }
        for (; i <= n - W; i += W) {
            var x0 = FloatVector.fromArray(SPECIES, x, xo + i).sub(centre);
            s0 = x0.mul(x0).add(s0);
        }
        s0 = s0.add(s1).add(s2.add(s3));
        if (W > 8) {
            s0 = s0.add(s0.rearrange(VectorMath.OTHER_HALF));
        }
        if (W > 4) {
            s0 = s0.add(s0.rearrange(VectorMath.OTHER_QUARTER));
        }
        float sum = (s0.lane(0) + s0.lane(1)) + (s0.lane(2) + s0.lane(3));
        for (; i < n; i++) {
            sum += (x[xo + i] - centre) * (x[xo + i] - centre);
        }
        return sum;
    }

    /** Σ x · y. */
    static float dot(float[] x, int xo, float[] y, int yo, int n) {
        var s0 = FloatVector.zero(SPECIES);
        var s1 = s0;
        var s2 = s0;
        var s3 = s0;
        int i = 0;
        for (; i <= n - 4 * W; i += 4 * W) {
            var x0 = FloatVector.fromArray(SPECIES, x, xo + i);
            var x1 = FloatVector.fromArray(SPECIES, x, xo + i + W);
            var x2 = FloatVector.fromArray(SPECIES, x, xo + i + 2 * W);
            var x3 = FloatVector.fromArray(SPECIES, x, xo + i + 3 * W);
            s0 = x0.mul(FloatVector.fromArray(SPECIES, y, yo + i)).add(s0);
            s1 = x1.mul(FloatVector.fromArray(SPECIES, y, yo + i + W)).add(s1);
            s2 = x2.mul(FloatVector.fromArray(SPECIES, y, yo + i + 2 * W)).add(s2);
            s3 = x3.mul(FloatVector.fromArray(SPECIES, y, yo + i + 3 * W)).add(s3);
        }
        for (; i <= n - W; i += W) {
            var x0 = FloatVector.fromArray(SPECIES, x, xo + i);
            s0 = x0.mul(FloatVector.fromArray(SPECIES, y, yo + i)).add(s0);
        }
        s0 = s0.add(s1).add(s2.add(s3));
        if (W > 8) {
            s0 = s0.add(s0.rearrange(VectorMath.OTHER_HALF));
        }
        if (W > 4) {
            s0 = s0.add(s0.rearrange(VectorMath.OTHER_QUARTER));
        }
        float sum = (s0.lane(0) + s0.lane(1)) + (s0.lane(2) + s0.lane(3));
        for (; i < n; i++) {
            sum += x[xo + i] * y[yo + i];
        }
        return sum;
    }
}
