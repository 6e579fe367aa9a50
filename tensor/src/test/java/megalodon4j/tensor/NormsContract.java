package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.abs;
import static megalodon4j.tensor.TestTensors.maxNorm;
import static megalodon4j.tensor.Trial.TOLERANCE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The norms. A mean that is large against the deviation costs digits that no method can keep: tolerances there grow
 * with |x| · rstd, and with nothing else.
 */
interface NormsContract extends Contract {
    float EPS = 1e-5f;

    int[] ROWS = {0, 1, 2, 3, 13, 64, 65, 300, 700};

    @Seeds(64)
    default void rmsNorm(int seed) {
        try (var t = trial(seed)) {
            int rows = t.size("rows", ROWS), columns = t.size("columns", WIDTHS);
            float shift = t.flag("shift") ? 1 : 0;
            double[] gamma = t.nullable("gamma", columns), x = t.normal(rows * columns);
            Tensor y = t.result(rows, columns), rstd = t.result(rows);
            t.backend.rmsNorm(t.input(x, rows, columns), t.input(gamma, columns), shift, EPS, y, rstd);
            var want = ReferenceNorms.rmsNorm(columns, x, gamma, shift, EPS);
            t.expect("rmsNorm rstd", want.rstd(), rstd, 1e-6, want.rstd());
            var size = ReferenceNorms.rmsNorm(columns, abs(x), gamma == null ? null : abs(gamma), shift, EPS);
            t.expect("rmsNorm y", want.y(), y, 1e-6, size.y());
        }
    }

    @Seeds(96)
    default void rmsNormGrad(int seed) {
        try (var t = trial(seed)) {
            int rows = t.size("rows", ROWS), columns = t.size("columns", WIDTHS);
            float shift = t.flag("shift") ? 1 : 0;
            double[] gamma = t.nullable("gamma", columns);
            boolean frozen = t.flag("frozen");
            double[] x = t.normal(rows * columns), dy = t.normal(rows * columns);
            Tensor tx = t.input(x, rows, columns), tgamma = t.input(gamma, columns), rstd = t.result(rows);
            t.backend.rmsNorm(tx, tgamma, shift, EPS, t.result(rows, columns), rstd);
            Trial.Gradient dx = t.gradient(rows, columns), dgamma = t.gradient(gamma != null && !frozen, columns);
            t.backend.rmsNormGrad(t.input(dy, rows, columns), tx, tgamma, shift, rstd, dx.tensor, dgamma.tensor);
            var want = ReferenceNorms.rmsNormGrad(columns, dy, x, gamma, shift, EPS);
            var forward = ReferenceNorms.rmsNorm(columns, x, gamma, shift, EPS);
            dx.expect("rmsNormGrad dx", want.dx(), TOLERANCE, termsByRow(columns, dy, gamma, shift, forward.rstd()));
            dgamma.expect("rmsNormGrad dgamma", want.dw(), TOLERANCE, Math.sqrt(rows));
        }
    }

    /** The largest of |dy · (w + shift)| · rstd in each row: the size of the terms of dx. */
    private static double[] termsByRow(int columns, double[] dy, double[] w, double shift, double[] rstd) {
        var terms = new double[dy.length];
        for (int r = 0; r < rstd.length; r++) {
            double largest = 0;
            for (int j = 0; j < columns; j++) {
                largest = Math.max(largest, Math.abs(dy[r * columns + j] * (w == null ? 1 : w[j] + shift)));
            }
            Arrays.fill(terms, r * columns, (r + 1) * columns, largest * rstd[r]);
        }
        return terms;
    }

    /** 1 + |x| · rstd, the largest in each row. */
    private static double[] conditions(double[] x, double[] rstd) {
        var conditions = new double[rstd.length];
        Arrays.fill(conditions, 1);
        int columns = rstd.length == 0 ? 0 : x.length / rstd.length;
        for (int i = 0; i < x.length; i++) {
            conditions[i / columns] = Math.max(conditions[i / columns], 1 + Math.abs(x[i]) * rstd[i / columns]);
        }
        return conditions;
    }

    /** Each of the scales times the factor of its row. */
    private static double[] times(double[] scale, double[] factors) {
        var product = scale.clone();
        for (int i = 0; i < product.length; i++) {
            product[i] *= factors[i / (product.length / factors.length)];
        }
        return product;
    }

    @Seeds(64)
    default void layerNorm(int seed) {
        try (var t = trial(seed)) {
            int rows = t.size("rows", ROWS), columns = t.size("columns", WIDTHS);
            double[] w = t.nullable("w", columns), b = t.nullable("b", columns);
            var x = t.normal(rows * columns, t.flag("offset") ? 5 : 0, 1);
            Tensor y = t.result(rows, columns), mean = t.result(rows), rstd = t.result(rows);
            t.backend.layerNorm(
                    t.input(x, rows, columns), t.input(w, columns), t.input(b, columns), EPS, y, mean, rstd);
            var want = ReferenceNorms.layerNorm(columns, x, w, b, EPS);
            var conditions = conditions(x, want.rstd());
            t.expect("layerNorm mean", want.mean(), mean, 5e-7, maxNorm(x));
            t.expect("layerNorm rstd", want.rstd(), rstd, 5e-7, times(want.rstd(), conditions));
            var size = abs(ReferenceNorms.layerNorm(columns, x, w, null, EPS).y());
            for (int i = 0; i < x.length; i++) {
                size[i] = (size[i] + Math.abs(w == null ? 1 : w[i % columns])) * conditions[i / columns]
                        + Math.abs(b == null ? 0 : b[i % columns]);
            }
            t.expect("layerNorm y", want.y(), y, 5e-7, size);
        }
    }

    @Seeds(96)
    default void layerNormGrad(int seed) {
        try (var t = trial(seed)) {
            int rows = t.size("rows", ROWS), columns = t.size("columns", WIDTHS);
            double[] w = t.nullable("w", columns), b = t.nullable("b", columns);
            boolean frozen = t.flag("frozen");
            double[] x = t.normal(rows * columns, t.flag("offset") ? 5 : 0, 1), dy = t.normal(rows * columns);
            Tensor tx = t.input(x, rows, columns), tw = t.input(w, columns);
            Tensor mean = t.result(rows), rstd = t.result(rows);
            t.backend.layerNorm(tx, tw, t.input(b, columns), EPS, t.result(rows, columns), mean, rstd);
            var dx = t.gradient(rows, columns);
            Trial.Gradient dw = t.gradient(w != null && !frozen, columns),
                    db = t.gradient(b != null && !frozen, columns);
            t.backend.layerNormGrad(t.input(dy, rows, columns), tx, tw, mean, rstd, dx.tensor, dw.tensor, db.tensor);
            var want = ReferenceNorms.layerNormGrad(columns, dy, x, w, b, EPS);
            var conditions = conditions(
                    x, ReferenceNorms.layerNorm(columns, x, w, b, EPS).rstd());
            var terms = termsByRow(
                    columns,
                    dy,
                    w,
                    0,
                    ReferenceNorms.layerNorm(columns, x, w, b, EPS).rstd());
            dx.expect("layerNormGrad dx", want.dx(), TOLERANCE, times(terms, conditions));
            dw.expect("layerNormGrad dw", want.dw(), TOLERANCE, Math.sqrt(rows) * maxNorm(conditions));
            db.expect("layerNormGrad db", want.db(), TOLERANCE, Math.sqrt(rows));
        }
    }

    // --- timestep norm ----------------------------------------------------------------------------------------------

    /** So many groups of a width: mostly not that of a vector. */
    record Grouped(int groups, int width) {
        static final List<Grouped> CHOICES = List.of(
                new Grouped(1, 1),
                new Grouped(1, 2),
                new Grouped(2, 1),
                new Grouped(3, 1),
                new Grouped(1, 13),
                new Grouped(13, 1),
                new Grouped(4, 8),
                new Grouped(11, 3),
                new Grouped(32, 2),
                new Grouped(9, 23),
                new Grouped(32, 12),
                new Grouped(384, 1),
                new Grouped(27, 26));

        int columns() {
            return groups * width;
        }
    }

    @Seeds(128)
    default void timestepNorm(int seed) {
        try (var t = trial(seed)) {
            var grouped = t.one(Grouped.CHOICES);
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", LENGTHS);
            int columns = grouped.columns(), groups = grouped.groups(), rows = batch * length;
            var mask = t.mask(batch, length);
            double[] w = t.nullable("w", columns), b = t.nullable("b", columns);
            var x = t.normal(rows * columns, t.flag("offset") ? 3 : 0, t.size("deviation", 1, 1, 1, 0));
            var state = t.flag("state") ? state(t, batch, groups) : null;
            var tstate = t.working(split(state, groups), batch, 2, 1 + 2 * groups);
            Tensor y = t.result(batch, length, columns);
            Tensor mean = t.result(batch, length, groups), rstd = t.result(batch, length, groups);
            t.backend.timestepNorm(
                    t.input(x, batch, length, columns),
                    t.input(mask, batch, length),
                    t.input(w, columns),
                    t.input(b, columns),
                    groups,
                    EPS,
                    tstate,
                    y,
                    mean,
                    rstd);
            double largest = Math.max(maxNorm(x), state == null ? 0 : largestMean(groups, state));
            var want = ReferenceNorms.timestepNorm(batch, length, columns, groups, x, mask, w, b, EPS, state);
            expectNormed(t, columns, groups, largest, x, w, b, want, y, mean, rstd);
            if (state != null) {
                expectState(t, groups, largest, state, tstate);
            }
        }
    }

    /** Counts from nothing to a long past, means, and variances down to below the floor. */
    private static double[] state(Trial t, int batch, int groups) {
        var state = t.normal(batch * (1 + 2 * groups));
        for (int s = 0; s < batch; s++) {
            int at = s * (1 + 2 * groups);
            state[at] = t.size("count", 0, 1, 7, 20_000);
            for (int g = 0; g < groups; g++) {
                double deviation = state[at + 1 + groups + g];
                state[at + 1 + groups + g] = (float) (g % 5 == 4 ? 1e-8 : deviation * deviation + 1e-3);
            }
        }
        return state;
    }

    private static double largestMean(int groups, double[] state) {
        double largest = 0;
        for (int i = 0; i < state.length; i++) {
            int j = i % (1 + 2 * groups);
            largest = j >= 1 && j <= groups ? Math.max(largest, Math.abs(state[i])) : largest;
        }
        return largest;
    }

    private static void expectNormed(
            Trial t,
            int columns,
            int groups,
            double largest,
            double[] x,
            double[] w,
            double[] b,
            ReferenceNorms.Normed want,
            Tensor y,
            Tensor mean,
            Tensor rstd) {
        t.expect("timestepNorm mean", want.mean(), mean, TOLERANCE, largest);
        var sizeRstd = want.rstd().clone();
        for (int i = 0; i < sizeRstd.length; i++) {
            sizeRstd[i] *= 1 + largest * want.rstd()[i];
        }
        t.expect("timestepNorm rstd", want.rstd(), rstd, TOLERANCE, sizeRstd);
        var size = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            int group = i / columns * groups + i % columns / (columns / groups);
            double deviation = Math.abs(x[i] - want.mean()[group]);
            size[i] = (deviation * sizeRstd[group] + largest * want.rstd()[group])
                            * Math.abs(w == null ? 1 : w[i % columns] + 1)
                    + Math.abs(b == null ? 0 : b[i % columns]);
        }
        t.expect("timestepNorm y", want.y(), y, TOLERANCE, size);
    }

    private static void expectState(Trial t, int groups, double largest, double[] want, Tensor got) {
        var sums = sums(got, groups);
        for (int i = 0; i < want.length; i++) {
            int j = i % (1 + 2 * groups);
            double size = j == 0 ? 0 : j <= groups ? largest : want[i] * (1 + largest / Math.sqrt(want[i] + EPS));
            assertEquals(want[i], sums[i], TOLERANCE * size, "timestepNorm state " + i + ", " + t);
        }
    }

    /** (…, 2, 1 + 2·G): each number as a float and what rounding took from it. */
    private static double[] split(double[] state, int groups) {
        if (state == null) {
            return null;
        }
        int width = 1 + 2 * groups;
        var split = new double[2 * state.length];
        for (int i = 0; i < state.length; i++) {
            int at = i / width * 2 * width + i % width;
            split[at] = (float) state[i];
            split[at + width] = state[i] - split[at];
        }
        return split;
    }

    private static double[] sums(Tensor state, int groups) {
        int width = 1 + 2 * groups;
        var split = state.toArray();
        var sums = new double[split.length / 2];
        for (int i = 0; i < sums.length; i++) {
            int at = i / width * 2 * width + i % width;
            sums[i] = (double) split[at] + split[at + width];
        }
        return sums;
    }

    /** Where a float counts no further, and one more token moves a mean by less than a float shows. */
    @ParameterizedTest
    @ValueSource(longs = {(1L << 24) - 3, (1L << 31) - 3, 1L << 40})
    default void timestepNormOfALongStream(long count) {
        int groups = 3, tokens = 10;
        try (var t = trial(1)) {
            var x = t.normal(tokens * groups, 1, 1);
            var want = new double[] {count, 0.7, -0.3, 0.1, 1.1, 0.9, 0.2};
            var begin = want.clone();
            var state = t.working(split(want, groups), 1, 2, 7);
            var tx = t.input(x, tokens, 1, groups);
            for (int i = 0; i < tokens; i++) {
                t.backend.timestepNorm(
                        tx.slice(i, i + 1),
                        null,
                        null,
                        null,
                        groups,
                        EPS,
                        state,
                        t.result(1, 1, groups),
                        t.result(1, 1, groups),
                        t.result(1, 1, groups));
            }
            ReferenceNorms.timestepNorm(1, tokens, groups, groups, x, null, null, null, EPS, want);
            var got = sums(state, groups);
            assertEquals(count + tokens, got[0]);
            for (int i = 1; i < want.length; i++) {
                double step = Math.abs(want[i] - begin[i]);
                assertEquals(want[i], got[i], Math.max(1e-3 * step, 2e-14), "state " + i);
                assertTrue(step > 1e-13);
            }
        }
    }

    /** Feeding a sequence in pieces, with a state, is feeding it whole. */
    @Seeds(32)
    default void timestepNormInPieces(int seed) {
        try (var t = trial(seed)) {
            var grouped = t.one(Grouped.CHOICES);
            int length = t.size("length", 5, 16, 65, 300),
                    first = t.size("first", 1, 2, 4),
                    columns = grouped.columns();
            int groups = grouped.groups();
            var mask = t.mask(1, length);
            var x = t.normal(length * columns);
            var state = t.working(split(fresh(groups), groups), 1, 2, 1 + 2 * groups);
            Tensor y = t.working(new double[length * columns], length, columns);
            Tensor mean = t.working(new double[length * groups], length, groups);
            Tensor rstd = t.working(new double[length * groups], length, groups);
            Tensor tx = t.input(x, length, columns), tmask = t.input(mask, length);
            for (int from = 0, to = first; from < length; from = to, to = Math.min(length, to + 1 + to / 2)) {
                t.backend.timestepNorm(
                        tx.slice(from, to).reshape(Shape.of(1, to - from, columns)),
                        mask == null ? null : tmask.slice(from, to),
                        null,
                        null,
                        groups,
                        EPS,
                        state,
                        y.slice(from, to).reshape(Shape.of(1, to - from, columns)),
                        mean.slice(from, to),
                        rstd.slice(from, to));
            }
            var end = fresh(groups);
            var want = ReferenceNorms.timestepNorm(1, length, columns, groups, x, mask, null, null, EPS, end);
            expectNormed(t, columns, groups, maxNorm(x), x, null, null, want, y, mean, rstd);
            expectState(t, groups, maxNorm(x), end, state);
        }
    }

    private static double[] fresh(int groups) {
        var state = new double[1 + 2 * groups];
        Arrays.fill(state, 1 + groups, state.length, 1);
        return state;
    }

    @Seeds(128)
    default void timestepNormGrad(int seed) {
        try (var t = trial(seed)) {
            var grouped = t.one(Grouped.CHOICES);
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", LENGTHS);
            int columns = grouped.columns(), groups = grouped.groups(), rows = batch * length;
            var mask = t.mask(batch, length);
            double[] w = t.nullable("w", columns), b = t.nullable("b", columns);
            boolean frozen = t.flag("frozen");
            double[] x = t.normal(rows * columns, t.flag("offset") ? 3 : 0, 1), dy = t.normal(rows * columns);
            Tensor tx = t.input(x, batch, length, columns),
                    tmask = t.input(mask, batch, length),
                    tw = t.input(w, columns);
            Tensor mean = t.result(batch, length, groups), rstd = t.result(batch, length, groups);
            t.backend.timestepNorm(
                    tx,
                    tmask,
                    tw,
                    t.input(b, columns),
                    groups,
                    EPS,
                    null,
                    t.result(batch, length, columns),
                    mean,
                    rstd);
            var dx = t.gradient(batch, length, columns);
            Trial.Gradient dw = t.gradient(w != null && !frozen, columns),
                    db = t.gradient(b != null && !frozen, columns);
            t.backend.timestepNormGrad(
                    t.input(dy, batch, length, columns),
                    tx,
                    tmask,
                    tw,
                    groups,
                    EPS,
                    mean,
                    rstd,
                    dx.tensor,
                    dw.tensor,
                    db.tensor);
            var want = ReferenceNorms.timestepNormGrad(batch, length, columns, groups, dy, x, mask, w, b, EPS);
            var forward = ReferenceNorms.timestepNorm(batch, length, columns, groups, x, mask, w, b, EPS, null);
            double condition = 1 + maxNorm(x) * maxNorm(forward.rstd());
            double term = maxNorm(dy)
                    * (w == null ? 1 : maxNorm(Arrays.stream(w).map(a -> a + 1).toArray()));
            dx.expect("timestepNormGrad dx", want.dx(), TOLERANCE, term * maxNorm(forward.rstd()));
            dw.expect("timestepNormGrad dw", want.dw(), TOLERANCE, Math.sqrt(rows) * condition);
            db.expect("timestepNormGrad db", want.db(), TOLERANCE, Math.sqrt(rows));
        }
    }
}
