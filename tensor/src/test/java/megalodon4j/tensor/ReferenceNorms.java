package megalodon4j.tensor;

/** The oracle of the norms. */
public final class ReferenceNorms {
    private ReferenceNorms() {}

    /** A normalised y with its statistics; mean is null where the norm has none. */
    public record Normed(double[] y, double[] mean, double[] rstd) {}

    /** Gradients by a norm's input, weight and bias; null where these are. */
    public record NormGrad(double[] dx, double[] dw, double[] db) {}

    public static Normed rmsNorm(int columns, double[] x, double[] gamma, double shift, double eps) {
        int rows = x.length / columns;
        var y = new double[x.length];
        var rstd = new double[rows];
        for (int r = 0; r < rows; r++) {
            double squares = 0;
            for (int j = 0; j < columns; j++) {
                squares += x[r * columns + j] * x[r * columns + j];
            }
            rstd[r] = 1 / Math.sqrt(squares / columns + eps);
            for (int j = 0; j < columns; j++) {
                y[r * columns + j] = x[r * columns + j] * rstd[r] * (gamma == null ? 1 : gamma[j] + shift);
            }
        }
        return new Normed(y, null, rstd);
    }

    public static NormGrad rmsNormGrad(int columns, double[] dy, double[] x, double[] gamma, double shift, double eps) {
        int rows = x.length / columns;
        var rstd = rmsNorm(columns, x, gamma, shift, eps).rstd;
        var dx = new double[x.length];
        var dgamma = gamma == null ? null : new double[columns];
        for (int r = 0; r < rows; r++) {
            double along = 0;
            for (int j = 0; j < columns; j++) {
                int i = r * columns + j;
                along += dy[i] * (gamma == null ? 1 : gamma[j] + shift) * x[i];
            }
            for (int j = 0; j < columns; j++) {
                int i = r * columns + j;
                double du = dy[i] * (gamma == null ? 1 : gamma[j] + shift);
                dx[i] = rstd[r] * du - rstd[r] * rstd[r] * rstd[r] * x[i] * along / columns;
                if (gamma != null) {
                    dgamma[j] += dy[i] * x[i] * rstd[r];
                }
            }
        }
        return new NormGrad(dx, dgamma, null);
    }

    public static Normed layerNorm(int columns, double[] x, double[] w, double[] b, double eps) {
        int rows = x.length / columns;
        var normed = new Normed(new double[x.length], new double[rows], new double[rows]);
        for (int r = 0; r < rows; r++) {
            double sum = 0;
            for (int j = 0; j < columns; j++) {
                sum += x[r * columns + j];
            }
            double mean = sum / columns;
            double squares = 0;
            for (int j = 0; j < columns; j++) {
                squares += Math.pow(x[r * columns + j] - mean, 2);
            }
            double rstd = 1 / Math.sqrt(squares / columns + eps);
            for (int j = 0; j < columns; j++) {
                int i = r * columns + j;
                normed.y[i] = (x[i] - mean) * rstd * (w == null ? 1 : w[j]) + (b == null ? 0 : b[j]);
            }
            normed.mean[r] = mean;
            normed.rstd[r] = rstd;
        }
        return normed;
    }

    /** The gradients of {@link #layerNorm}; b says only whether db is wanted. */
    public static NormGrad layerNormGrad(int columns, double[] dy, double[] x, double[] w, double[] b, double eps) {
        int rows = x.length / columns;
        var normed = layerNorm(columns, x, null, null, eps);
        var u = normed.y;
        var grad = new NormGrad(
                new double[x.length], w == null ? null : new double[columns], b == null ? null : new double[columns]);
        for (int r = 0; r < rows; r++) {
            double sum = 0, along = 0;
            for (int j = 0; j < columns; j++) {
                int i = r * columns + j;
                double du = dy[i] * (w == null ? 1 : w[j]);
                sum += du;
                along += du * u[i];
            }
            for (int j = 0; j < columns; j++) {
                int i = r * columns + j;
                double du = dy[i] * (w == null ? 1 : w[j]);
                grad.dx[i] = normed.rstd[r] * (du - sum / columns - u[i] * along / columns);
                if (w != null) {
                    grad.dw[j] += dy[i] * u[i];
                }
                if (b != null) {
                    grad.db[j] += dy[i];
                }
            }
        }
        return grad;
    }

    private static final double FLOOR = 1e-6;

    /** x (batch, length, columns); state (batch, 1 + 2 · groups), nullable, is overwritten. */
    public static Normed timestepNorm(
            int batch,
            int length,
            int columns,
            int groups,
            double[] x,
            double[] mask,
            double[] w,
            double[] b,
            double eps,
            double[] state) {
        int width = columns / groups;
        var normed = new Normed(
                new double[x.length], new double[batch * length * groups], new double[batch * length * groups]);
        for (int s = 0; s < batch; s++) {
            double count = state == null ? 0 : state[s * (1 + 2 * groups)];
            double lastCount = count;
            for (int g = 0; g < groups; g++) {
                double mean = state == null ? 0 : state[s * (1 + 2 * groups) + 1 + g];
                double variance = state == null ? 1 : state[s * (1 + 2 * groups) + 1 + groups + g];
                double sum = mean * count;
                double m2 = variance * Math.max(count, 1);
                lastCount = count;
                for (int t = 0; t < length; t++) {
                    int row = s * length + t;
                    double valid = mask == null ? 1 : mask[row];
                    double feature = groupMean(x, row * columns + g * width, width);
                    double before = mean;
                    lastCount += valid;
                    sum += valid * feature;
                    if (lastCount > 0) {
                        mean = sum / Math.max(lastCount, 1);
                        m2 += valid * (feature - before) * (feature - mean);
                        variance = Math.max(m2 / Math.max(lastCount, 1), FLOOR);
                    }
                    double rstd = 1 / Math.sqrt(variance + eps);
                    normed.mean[row * groups + g] = mean;
                    normed.rstd[row * groups + g] = rstd;
                    for (int j = g * width; j < (g + 1) * width; j++) {
                        int i = row * columns + j;
                        normed.y[i] = (x[i] - mean) * rstd * (w == null ? 1 : w[j] + 1) + (b == null ? 0 : b[j]);
                    }
                }
                if (state != null) {
                    state[s * (1 + 2 * groups) + 1 + g] = mean;
                    state[s * (1 + 2 * groups) + 1 + groups + g] = variance;
                }
            }
            if (state != null) {
                state[s * (1 + 2 * groups)] = lastCount;
            }
        }
        return normed;
    }

    private static double groupMean(double[] x, int offset, int width) {
        double sum = 0;
        for (int j = 0; j < width; j++) {
            sum += x[offset + j];
        }
        return sum / width;
    }

    /** The gradients of {@link #timestepNorm} from the fresh state; b says only whether db is wanted. */
    public static NormGrad timestepNormGrad(
            int batch,
            int length,
            int columns,
            int groups,
            double[] dy,
            double[] x,
            double[] mask,
            double[] w,
            double[] b,
            double eps) {
        int width = columns / groups;
        var normed = timestepNorm(batch, length, columns, groups, x, mask, w, b, eps, null);
        var grad = new NormGrad(
                new double[x.length], w == null ? null : new double[columns], b == null ? null : new double[columns]);
        for (int s = 0; s < batch; s++) {
            var count = new double[length];
            double valids = 0;
            for (int t = 0; t < length; t++) {
                valids += mask == null ? 1 : mask[s * length + t];
                count[t] = valids;
            }
            for (int g = 0; g < groups; g++) {
                double dsum = 0, dm2 = 0; // by the sums that run on: Σ valid g and m2
                double dmeanLater = 0; // by mean_t, from the m2 of the token after
                for (int t = length - 1; t >= 0; t--) {
                    int row = s * length + t;
                    double valid = mask == null ? 1 : mask[row];
                    double feature = groupMean(x, row * columns + g * width, width);
                    double mean = normed.mean[row * groups + g];
                    double before = t == 0 ? 0 : normed.mean[(row - 1) * groups + g];
                    double rstd = normed.rstd[row * groups + g];
                    double dmean = dmeanLater, dvariance = 0;
                    for (int j = g * width; j < (g + 1) * width; j++) {
                        int i = row * columns + j;
                        double du = dy[i] * (w == null ? 1 : w[j] + 1);
                        grad.dx[i] += du * rstd;
                        dmean -= du * rstd;
                        dvariance -= du * (x[i] - mean) * rstd * rstd * rstd / 2;
                        if (w != null) {
                            grad.dw[j] += dy[i] * (x[i] - mean) * rstd;
                        }
                        if (b != null) {
                            grad.db[j] += dy[i];
                        }
                    }
                    boolean floored = 1 / (rstd * rstd) - eps <= FLOOR * (1 + 1e-9);
                    if (count[t] > 0 && !floored) {
                        dm2 += dvariance / count[t];
                    }
                    dmean -= valid * (feature - before) * dm2;
                    dmeanLater = -valid * (feature - mean) * dm2;
                    if (count[t] > 0) {
                        dsum += dmean / count[t];
                    }
                    double dfeature = valid * (dsum + dm2 * (feature - mean + feature - before));
                    for (int j = g * width; j < (g + 1) * width; j++) {
                        grad.dx[row * columns + j] += dfeature / width;
                    }
                }
            }
        }
        return grad;
    }
}
