package megalodon4j.tensor;

import static megalodon4j.tensor.TestTensors.maxNorm;
import static megalodon4j.tensor.Trial.TOLERANCE;

import java.util.Arrays;

/** Rotation, the queries and keys of Megalodon, and attention itself. */
interface AttentionContract extends Contract {
    float EPS = 1e-5f;

    int[] HEAD_WIDTHS = {8, 20, 32, 64, 130};

    /** cos and sin (length, d / 2) of random angles. */
    record Angles(double[] cos, double[] sin) {
        static Angles draw(Trial t, int length, int d) {
            var angle = t.normal(length * d / 2, 0, 3);
            return new Angles(each(angle, Math::cos), each(angle, Math::sin));
        }

        private static double[] each(double[] angle, java.util.function.DoubleUnaryOperator function) {
            return Arrays.stream(angle)
                    .map(a -> (float) function.applyAsDouble(a))
                    .toArray();
        }
    }

    @Seeds(64)
    default void rope(int seed) {
        try (var t = trial(seed)) {
            boolean adjacent = t.flag("adjacent"), inverse = t.flag("inverse");
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", LENGTHS);
            int heads = t.size("heads", 1, 2, 3), d = t.size("d", 2, 6, 8, 20, 32, 34, 64, 130), width = heads * d;
            var angles = Angles.draw(t, length, d);
            var values = t.normal(batch * length * width);
            var x = t.working(values, batch, length, width);
            t.backend.rope(
                    x,
                    t.input(angles.cos, length, d / 2),
                    t.input(angles.sin, length, d / 2),
                    heads,
                    adjacent,
                    inverse);
            t.expect(
                    "rope",
                    ReferenceAttention.rope(batch, length, heads, d, values, angles.cos, angles.sin, adjacent, inverse),
                    x,
                    3e-7,
                    maxNorm(values));
        }
    }

    @Seeds(48)
    default void queryKey(int seed) {
        try (var t = trial(seed)) {
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", LENGTHS);
            int heads = t.size("heads", 1, 2, 3), d = t.size("d", 2, 6, 8, 20, 32, 34, 64, 130), width = heads * d;
            var angles = Angles.draw(t, length, d);
            double[] z = t.normal(batch * length * width), gamma = t.normal(2 * width), beta = t.normal(2 * width);
            Tensor q = t.result(batch, length, width), k = t.result(batch, length, width);
            var rstd = t.result(batch, length, heads);
            t.backend.queryKey(
                    t.input(z, batch, length, width),
                    t.input(gamma, 2, width),
                    t.input(beta, 2, width),
                    t.input(angles.cos, length, d / 2),
                    t.input(angles.sin, length, d / 2),
                    heads,
                    EPS,
                    q,
                    k,
                    rstd);
            var want =
                    ReferenceAttention.queryKey(batch, length, heads, d, z, gamma, beta, angles.cos, angles.sin, EPS);
            t.expect("queryKey rstd", want.rstd(), rstd, 1e-6, want.rstd());
            t.expect("queryKey q", want.q(), q, 1e-6, maxNorm(want.q()));
            t.expect("queryKey k", want.k(), k, 1e-6, maxNorm(want.k()));
        }
    }

    @Seeds(64)
    default void queryKeyGrad(int seed) {
        try (var t = trial(seed)) {
            int batch = t.size("batch", 1, 2, 3), length = t.size("length", LENGTHS);
            int heads = t.size("heads", 1, 2, 3), d = t.size("d", 2, 6, 8, 20, 32, 34, 64, 130), width = heads * d;
            int size = batch * length * width;
            var angles = Angles.draw(t, length, d);
            double[] z = t.normal(size), gamma = t.normal(2 * width), beta = t.normal(2 * width);
            double[] dq = t.normal(size), dk = t.normal(size);
            Tensor tz = t.input(z, batch, length, width), tgamma = t.input(gamma, 2, width);
            Tensor cos = t.input(angles.cos, length, d / 2), sin = t.input(angles.sin, length, d / 2);
            var rstd = t.result(batch, length, heads);
            t.backend.queryKey(
                    tz,
                    tgamma,
                    t.input(beta, 2, width),
                    cos,
                    sin,
                    heads,
                    EPS,
                    t.result(batch, length, width),
                    t.result(batch, length, width),
                    rstd);
            Trial.Gradient dz = t.gradient(batch, length, width);
            Trial.Gradient dgamma = t.gradient(2, width), dbeta = t.gradient(2, width);
            t.backend.queryKeyGrad(
                    t.working(dq, batch, length, width),
                    t.working(dk, batch, length, width),
                    tz,
                    tgamma,
                    cos,
                    sin,
                    heads,
                    rstd,
                    dz.tensor,
                    dgamma.tensor,
                    dbeta.tensor);
            var want = ReferenceAttention.queryKeyGrad(
                    batch, length, heads, d, dq, dk, z, gamma, angles.cos, angles.sin, EPS);
            // Where a head is almost zero, its rstd is the factor of everything.
            double term = maxNorm(dq) * (1 + maxNorm(gamma)) / Math.sqrt(d) * maxNorm(rstdOf(z, d));
            dz.expect("queryKeyGrad dz", want.dz(), TOLERANCE, term);
            dgamma.expect("queryKeyGrad dgamma", want.dgamma(), TOLERANCE, Math.sqrt(batch * length / (double) d));
            dbeta.expect("queryKeyGrad dbeta", want.dbeta(), TOLERANCE, Math.sqrt(batch * length));
        }
    }

    private static double[] rstdOf(double[] z, int d) {
        return ReferenceNorms.rmsNorm(d, z, null, 0, EPS).rstd();
    }

    // --- attention --------------------------------------------------------------------------------------------------

    /**
     * The error of a score is relative to the norms of its query and key, and is a relative error of its weight. Up
     * to a score of 8 that is within the tolerance.
     */
    private static double sharpness(ReferenceAttention.Sizes n, double[] q, double[] k) {
        return Math.max(1, n.scale() * largestNorm(q, n.d()) * largestNorm(k, n.d()) / 8);
    }

    private static double largestNorm(double[] x, int d) {
        double largest = 0;
        for (int from = 0; from < x.length; from += d) {
            largest = Math.max(
                    largest, Arrays.stream(x, from, from + d).map(a -> a * a).sum());
        }
        return Math.sqrt(largest);
    }

    private static ReferenceAttention.Sizes sizes(Trial t, boolean cached) {
        return sizes(t, cached, LENGTHS);
    }

    private static ReferenceAttention.Sizes sizes(Trial t, boolean cached, int... lengths) {
        int batch = t.size("batch", 1, 2, 3), queries = t.size("queries", lengths), heads = t.size("heads", 1, 2, 3);
        int keys = queries + (cached ? t.size("older keys", 0, 1, 7, 64, 200, 515) : 0);
        int capacity = keys + (cached ? t.size("free", 0, 5, 64) : 0);
        int chunk = keys == queries
                ? t.size("chunk", 1, 16, 50, 64, 128, queries, queries + 7, Integer.MAX_VALUE)
                : t.size("chunk", keys, keys + 1, Integer.MAX_VALUE);
        int d = t.size("d", HEAD_WIDTHS), e = t.size("e", d, d, 8, 20, 64, 130);
        return new ReferenceAttention.Sizes(
                batch, queries, keys, capacity, heads, d, e, chunk, (float) (1 / Math.sqrt(d)));
    }

    /** Zero-score, ordinary and sharp queries. */
    private static double[] queries(Trial t, ReferenceAttention.Sizes n) {
        return t.normal(n.batch() * n.queries() * n.heads() * n.d(), 0, t.size("deviation of q", 0, 1, 1, 8));
    }

    /** (batch, capacity, heads · width), with NaN after the keys: nobody reads there. */
    private static double[] cache(Trial t, ReferenceAttention.Sizes n, int width) {
        var cache = t.normal(n.batch() * n.capacity() * n.heads() * width);
        int row = n.heads() * width;
        for (int s = 0; s < n.batch(); s++) {
            Arrays.fill(cache, (s * n.capacity() + n.keys()) * row, (s + 1) * n.capacity() * row, Double.NaN);
        }
        return cache;
    }

    @Seeds(128)
    default void attention(int seed) {
        try (var t = trial(seed)) {
            attention(t, sizes(t, t.flag("cached")));
        }
    }

    /** As in generation, which devices may compute in another way. */
    @Seeds(128)
    default void attentionOfFewQueries(int seed) {
        try (var t = trial(seed)) {
            attention(t, sizes(t, t.flag("cached"), 1, 2, 3, 4, 5));
        }
    }

    private static void attention(Trial t, ReferenceAttention.Sizes n) {
        var mask = t.mask(n.batch(), n.keys());
        boolean logSums = t.flag("logSum"), cached = n.capacity() > n.queries();
        var dropout = t.flag("dropout") && !cached ? DropoutContract.draw(t) : null;
        double[] q = queries(t, n), k = cache(t, n, n.d()), v = cache(t, n, n.e());
        var o = t.result(n.batch(), n.queries(), n.heads() * n.e());
        var logSum = logSums ? t.result(n.batch(), n.heads(), n.queries()) : null;
        t.backend.attention(
                t.input(q, n.batch(), n.queries(), n.heads() * n.d()),
                t.input(k, n.batch(), n.capacity(), n.heads() * n.d()),
                t.input(v, n.batch(), n.capacity(), n.heads() * n.e()),
                n.keys(),
                t.input(mask, n.batch(), n.keys()),
                n.heads(),
                n.chunk(),
                (float) n.scale(),
                dropout,
                o,
                logSum);
        var want = ReferenceAttention.attention(n, q, k, v, mask, dropout);
        double sharpness = sharpness(n, q, withoutNaN(k));
        t.expect("attention o", want.o(), o, TOLERANCE, sharpness * factor(dropout) * maxNorm(withoutNaN(v)));
        if (logSums) {
            t.expect("attention logSum", want.logSum(), logSum, 1e-6, 8 * sharpness);
        }
    }

    private static double factor(Dropout dropout) {
        return dropout == null ? 1 : dropout.scale();
    }

    private static double[] withoutNaN(double[] x) {
        return Arrays.stream(x).map(a -> Double.isNaN(a) ? 0 : a).toArray();
    }

    @Seeds(128)
    default void attentionGrad(int seed) {
        try (var t = trial(seed)) {
            var n = sizes(t, false);
            var mask = t.mask(n.batch(), n.keys());
            int length = n.queries(), width = n.heads() * n.d(), outWidth = n.heads() * n.e();
            double[] q = queries(t, n), k = t.normal(q.length), v = t.normal(n.batch() * length * outWidth);
            var dO = t.normal(v.length);
            Tensor tq = t.input(q, n.batch(), length, width), tk = t.input(k, n.batch(), length, width);
            Tensor tv = t.input(v, n.batch(), length, outWidth), tmask = t.input(mask, n.batch(), length);
            Tensor o = t.result(n.batch(), length, outWidth), logSum = t.result(n.batch(), n.heads(), length);
            float scale = (float) n.scale();
            var dropout = t.flag("dropout") ? DropoutContract.draw(t) : null;
            t.backend.attention(tq, tk, tv, length, tmask, n.heads(), n.chunk(), scale, dropout, o, logSum);
            Trial.Gradient dq = t.gradient(n.batch(), length, width), dk = t.gradient(n.batch(), length, width);
            Trial.Gradient dv = t.gradient(n.batch(), length, outWidth);
            t.backend.attentionGrad(
                    t.input(dO, n.batch(), length, outWidth),
                    tq,
                    tk,
                    tv,
                    tmask,
                    n.heads(),
                    n.chunk(),
                    scale,
                    dropout,
                    o,
                    logSum,
                    dq.tensor,
                    dk.tensor,
                    dv.tensor);
            var want = ReferenceAttention.attentionGrad(n, dO, q, k, v, mask, dropout);
            // One term of dq: a key times a weight of at most 1 times dO · v. The sum is 0 where a query sees one key.
            double tolerance = TOLERANCE * sharpness(n, q, k) * factor(dropout), term = scale * Math.sqrt(n.e());
            dq.expect("attentionGrad dq", want.dq(), tolerance, term * maxNorm(k));
            dk.expect("attentionGrad dk", want.dk(), tolerance, term * maxNorm(q));
            dv.expect("attentionGrad dv", want.dv(), tolerance, maxNorm(dO));
        }
    }
}
