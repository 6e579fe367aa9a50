package megalodon4j.tensor;

import static java.lang.Double.NEGATIVE_INFINITY;

/** The oracle of attention and of what makes its queries and keys. */
public final class ReferenceAttention {
    private ReferenceAttention() {}

    /**
     * A copy of x (batch, length, heads · d) whose pairs are rotated, backwards if inverse; cos, sin (length, d / 2).
     */
    public static double[] rope(
            int batch,
            int length,
            int heads,
            int d,
            double[] x,
            double[] cos,
            double[] sin,
            boolean adjacent,
            boolean inverse) {
        var y = new double[x.length];
        for (int s = 0; s < batch; s++) {
            for (int t = 0; t < length; t++) {
                for (int h = 0; h < heads; h++) {
                    int head = ((s * length + t) * heads + h) * d;
                    for (int i = 0; i < d / 2; i++) {
                        int u = head + (adjacent ? 2 * i : i);
                        int v = head + (adjacent ? 2 * i + 1 : i + d / 2);
                        double c = cos[t * (d / 2) + i];
                        double sine = inverse ? -sin[t * (d / 2) + i] : sin[t * (d / 2) + i];
                        y[u] = x[u] * c - x[v] * sine;
                        y[v] = x[v] * c + x[u] * sine;
                    }
                }
            }
        }
        return y;
    }

    public record QueryKey(double[] q, double[] k, double[] rstd) {}

    public static QueryKey queryKey(
            int batch,
            int length,
            int heads,
            int d,
            double[] z,
            double[] gamma,
            double[] beta,
            double[] cos,
            double[] sin,
            double eps) {
        var normed = ReferenceNorms.rmsNorm(d, z, null, 0, eps);
        var made = new double[2][];
        for (int which = 0; which < 2; which++) {
            var affine = new double[z.length];
            for (int i = 0; i < z.length; i++) {
                int j = which * heads * d + i % (heads * d);
                affine[i] = normed.y()[i] * (gamma[j] + 1) / Math.sqrt(d) + beta[j];
            }
            made[which] = rope(batch, length, heads, d, affine, cos, sin, false, false);
        }
        return new QueryKey(made[0], made[1], normed.rstd());
    }

    public record QueryKeyGrad(double[] dz, double[] dgamma, double[] dbeta) {}

    public static QueryKeyGrad queryKeyGrad(
            int batch,
            int length,
            int heads,
            int d,
            double[] dq,
            double[] dk,
            double[] z,
            double[] gamma,
            double[] cos,
            double[] sin,
            double eps) {
        var u = ReferenceNorms.rmsNorm(d, z, null, 0, eps).y();
        var du = new double[z.length];
        var dgamma = new double[gamma.length];
        var dbeta = new double[gamma.length];
        for (int which = 0; which < 2; which++) {
            var daffine = rope(batch, length, heads, d, which == 0 ? dq : dk, cos, sin, false, true);
            for (int i = 0; i < z.length; i++) {
                int j = which * heads * d + i % (heads * d);
                du[i] += daffine[i] * (gamma[j] + 1) / Math.sqrt(d);
                dgamma[j] += daffine[i] * u[i] / Math.sqrt(d);
                dbeta[j] += daffine[i];
            }
        }
        var dz = ReferenceNorms.rmsNormGrad(d, du, z, null, 0, eps).dx();
        return new QueryKeyGrad(dz, dgamma, dbeta);
    }

    /**
     * The sizes of an attention.
     *
     * @param d the width of a head of q and k
     * @param e the width of a head of v and o
     */
    public record Sizes(
            int batch, int queries, int keys, int capacity, int heads, int d, int e, int chunk, double scale) {
        int q(int s, int i, int h) {
            return ((s * queries + i) * heads + h) * d;
        }

        int k(int s, int j, int h) {
            return ((s * capacity + j) * heads + h) * d;
        }

        int v(int s, int j, int h) {
            return ((s * capacity + j) * heads + h) * e;
        }

        int o(int s, int i, int h) {
            return ((s * queries + i) * heads + h) * e;
        }

        int logSum(int s, int i, int h) {
            return (s * heads + h) * queries + i;
        }

        /** Whether query i sees key j of sequence s. */
        boolean sees(int s, int i, int j, double[] mask) {
            int position = i + keys - queries;
            return j <= position && j / chunk == position / chunk && (mask == null || mask[s * keys + j] != 0);
        }
    }

    /** o (batch, queries, heads · e) and logSum (batch, heads, queries). */
    public record Attention(double[] o, double[] logSum) {}

    public static Attention attention(Sizes n, double[] q, double[] k, double[] v, double[] mask) {
        return attention(n, q, k, v, mask, null);
    }

    public static Attention attention(Sizes n, double[] q, double[] k, double[] v, double[] mask, Dropout dropout) {
        var result = new Attention(
                new double[n.batch * n.queries * n.heads * n.e], new double[n.batch * n.heads * n.queries]);
        for (int s = 0; s < n.batch; s++) {
            for (int h = 0; h < n.heads; h++) {
                for (int i = 0; i < n.queries; i++) {
                    var p = new double[n.keys];
                    double logSum = softmax(n, s, h, i, q, k, mask, p);
                    result.logSum[n.logSum(s, i, h)] = logSum;
                    for (int j = 0; j < n.keys; j++) {
                        double kept = ReferenceDropout.factor(dropout, s, h * n.queries + i, j);
                        for (int f = 0; f < n.e && p[j] != 0; f++) {
                            result.o[n.o(s, i, h) + f] += kept * p[j] * v[n.v(s, j, h) + f];
                        }
                    }
                }
            }
        }
        return result;
    }

    /** Sets p to the weights of one query and returns ln Σ e^score. */
    private static double softmax(Sizes n, int s, int h, int i, double[] q, double[] k, double[] mask, double[] p) {
        double max = NEGATIVE_INFINITY;
        for (int j = 0; j < n.keys; j++) {
            p[j] = NEGATIVE_INFINITY;
            if (n.sees(s, i, j, mask)) {
                p[j] = 0;
                for (int f = 0; f < n.d; f++) {
                    p[j] += n.scale * q[n.q(s, i, h) + f] * k[n.k(s, j, h) + f];
                }
                max = Math.max(max, p[j]);
            }
        }
        if (max == NEGATIVE_INFINITY) {
            java.util.Arrays.fill(p, 0);
            return max;
        }
        double sum = 0;
        for (int j = 0; j < n.keys; j++) {
            sum += p[j] == NEGATIVE_INFINITY ? 0 : Math.exp(p[j] - max);
        }
        double logSum = max + Math.log(sum);
        for (int j = 0; j < n.keys; j++) {
            p[j] = p[j] == NEGATIVE_INFINITY ? 0 : Math.exp(p[j] - logSum);
        }
        return logSum;
    }

    public record AttentionGrad(double[] dq, double[] dk, double[] dv) {}

    public static AttentionGrad attentionGrad(Sizes n, double[] dO, double[] q, double[] k, double[] v, double[] mask) {
        return attentionGrad(n, dO, q, k, v, mask, null);
    }

    public static AttentionGrad attentionGrad(
            Sizes n, double[] dO, double[] q, double[] k, double[] v, double[] mask, Dropout dropout) {
        var o = attention(n, q, k, v, mask, dropout).o;
        var grad = new AttentionGrad(new double[q.length], new double[k.length], new double[v.length]);
        for (int s = 0; s < n.batch; s++) {
            for (int h = 0; h < n.heads; h++) {
                for (int i = 0; i < n.queries; i++) {
                    var p = new double[n.keys];
                    softmax(n, s, h, i, q, k, mask, p);
                    double along = 0;
                    for (int f = 0; f < n.e; f++) {
                        along += dO[n.o(s, i, h) + f] * o[n.o(s, i, h) + f];
                    }
                    for (int j = 0; j < n.keys; j++) {
                        if (p[j] == 0) {
                            continue;
                        }
                        double dp = 0, kept = ReferenceDropout.factor(dropout, s, h * n.queries + i, j);
                        for (int f = 0; f < n.e; f++) {
                            dp += kept * dO[n.o(s, i, h) + f] * v[n.v(s, j, h) + f];
                            grad.dv[n.v(s, j, h) + f] += kept * p[j] * dO[n.o(s, i, h) + f];
                        }
                        double dscore = p[j] * (dp - along) * n.scale;
                        for (int f = 0; f < n.d; f++) {
                            grad.dq[n.q(s, i, h) + f] += dscore * k[n.k(s, j, h) + f];
                            grad.dk[n.k(s, j, h) + f] += dscore * q[n.q(s, i, h) + f];
                        }
                    }
                }
            }
        }
        return grad;
    }
}
