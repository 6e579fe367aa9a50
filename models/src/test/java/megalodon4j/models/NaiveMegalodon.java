package megalodon4j.models;

import java.util.HashMap;
import java.util.Map;
import java.util.function.IntUnaryOperator;

/** The specification's Megalodon for one sequence, in double and loops, without chunks, blocks or caches: a function says what each token sees. */
final class NaiveMegalodon {
    private static final double EPS = 1e-5;

    private final MegalodonConfig config;
    private final Map<String, float[]> weights = new HashMap<>();
    private final Factors dropout;

    /** What an element is multiplied by, by rate and site. */
    interface Factors {
        double at(double rate, int site, int row, int column);
    }

    NaiveMegalodon(LanguageModel model) {
        this(model, (rate, site, row, column) -> 1);
    }

    NaiveMegalodon(LanguageModel model, Factors dropout) {
        this.dropout = dropout;
        config = (MegalodonConfig) model.config();
        for (var p : model.parameters()) {
            weights.put(p.name(), p.value().toArray());
        }
    }

    /**
     * The logits (L, V).
     *
     * @param valid which tokens are no padding
     * @param first for each position the first one that it sees
     */
    float[] logits(int[] ids, boolean[] valid, IntUnaryOperator first) {
        int dim = config.modelDim();
        double scale = config.scaleEmb() ? Math.sqrt(dim) : 1;
        var embed = weights.get("model.embed.weight");
        var x = new double[ids.length][dim];
        for (int t = 0; t < ids.length; t++) {
            for (int i = 0; i < dim; i++) {
                x[t][i] = embed[ids[t] * dim + i] * scale;
            }
        }
        for (int layer = 0; layer < config.numLayers(); layer++) {
            x = block(x, layer, valid, first);
        }
        var normed = timestepNorm(x, "model.norm", valid);
        var logits = new float[ids.length * config.numTokens()];
        for (int t = 0; t < ids.length; t++) {
            for (int j = 0; j < config.numTokens(); j++) {
                double sum = 0;
                for (int i = 0; i < dim; i++) {
                    sum += normed[t][i] * embed[j * dim + i];
                }
                logits[t * config.numTokens() + j] = (float) sum;
            }
        }
        return logits;
    }

    private double[][] block(double[][] x, int layer, boolean[] valid, IntUnaryOperator first) {
        var name = "model.layers." + layer + ".";
        var attention = attention(x, name + "attn.", valid, first, layer * 8);
        double alpha = config.rescaleNffn() ? 0.1 * Math.pow(0.5, layer) : 1;
        var out = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            var h = new double[x[t].length];
            for (int i = 0; i < h.length; i++) {
                h[i] = attention[t][i] + x[t][i];
            }
            var f = feedForward(layerNorm(h, name + "ffn.norm"), name + "ffn.", t, layer * 8);
            for (int i = 0; i < h.length; i++) {
                h[i] = x[t][i] + alpha * f[i];
            }
            out[t] = h;
        }
        return out;
    }

    private double[] feedForward(double[] n, String name, int row, int site) {
        var u = silu(linear(n, name + "fc1"));
        if (config.swiglu()) {
            u = times(u, linear(n, name + "fc3"));
        }
        drop(u, config.hiddenDropout(), site + 4, row);
        return drop(linear(u, name + "fc2"), config.dropout(), site + 5, row);
    }

    private double[] drop(double[] x, double rate, int site, int row) {
        for (int i = 0; i < x.length; i++) {
            x[i] *= dropout.at(rate, site, row, i);
        }
        return x;
    }

    private double[][] attention(double[][] x, String name, boolean[] valid, IntUnaryOperator first, int site) {
        var t = timestepNorm(x, name + "timenorm", valid);
        var m = ema(t, name + "cema.", valid);
        var gamma = weights.get(name + "rmsnorm.gamma");
        var q = new double[x.length][];
        var k = new double[x.length][];
        var v = new double[x.length][];
        var out = new double[x.length][];
        for (int s = 0; s < x.length; s++) {
            double rms = rms(m[s], 0, m[s].length);
            for (int i = 0; i < m[s].length; i++) {
                m[s][i] = m[s][i] / rms * (gamma[i] + 1);
            }
            drop(m[s], config.hiddenDropout(), site, s);
            var z = linear(m[s], name + "wz");
            q[s] = queryOrKey(z, name, 0, s);
            k[s] = queryOrKey(z, name, 1, s);
            v[s] = silu(linear(t[s], name + "wv"));
            var o = attend(q[s], k, v, first.applyAsInt(s), s, valid, site + 1);
            var a = linear(m[s], name + "wh1");
            var gated = times(o, silu(linear(m[s], name + "wr")));
            var b = linear(drop(gated, config.hiddenDropout(), site + 2, s), name + "wh2");
            for (int i = 0; i < a.length; i++) {
                a[i] += b[i];
            }
            out[s] = drop(a, config.dropout(), site + 3, s);
        }
        return out;
    }

    private double[] queryOrKey(double[] z, String name, int which, int position) {
        int heads = config.numHeads(), d = z.length / heads;
        double base = config.ropeBase() == null ? 10_000 : config.ropeBase();
        var gamma = weights.get(name + "gamma");
        var beta = weights.get(name + "beta");
        var y = new double[z.length];
        for (int h = 0; h < heads; h++) {
            double rms = rms(z, h * d, d);
            for (int i = h * d; i < (h + 1) * d; i++) {
                y[i] = z[i] / rms * (gamma[which * z.length + i] + 1) / Math.sqrt(d) + beta[which * z.length + i];
            }
            for (int i = h * d; i < h * d + d / 2; i++) {
                double angle = position * Math.pow(base, -2.0 * (i - h * d) / d);
                double a = y[i], b = y[i + d / 2];
                y[i] = a * Math.cos(angle) - b * Math.sin(angle);
                y[i + d / 2] = b * Math.cos(angle) + a * Math.sin(angle);
            }
        }
        return y;
    }

    private double[] attend(double[] q, double[][] k, double[][] v, int first, int last, boolean[] valid, int site) {
        int heads = config.numHeads(), d = q.length / heads, e = v[last].length / heads;
        var o = new double[v[last].length];
        for (int h = 0; h < heads; h++) {
            double total = 0;
            for (int s = first; s <= last; s++) {
                double score = 0;
                for (int i = h * d; i < (h + 1) * d; i++) {
                    score += q[i] * k[s][i];
                }
                double weight = valid[s] ? Math.exp(score) : 0;
                total += weight;
                weight *= dropout.at(config.attentionDropout(), site, h * valid.length + last, s);
                for (int i = h * e; i < (h + 1) * e; i++) {
                    o[i] += weight * v[s][i];
                }
            }
            for (int i = h * e; i < (h + 1) * e; i++) {
                o[i] = total == 0 ? 0 : o[i] / total;
            }
        }
        return o;
    }

    private double[][] timestepNorm(double[][] x, String name, boolean[] valid) {
        int groups = config.normNumGroups(), width = config.modelDim() / groups;
        var w = weights.get(name + ".weight");
        var bias = weights.get(name + ".bias");
        var y = new double[x.length][config.modelDim()];
        for (int g = 0; g < groups; g++) {
            double sum = 0, m2 = 1, mean = 0, variance = 1;
            int count = 0;
            for (int t = 0; t < x.length; t++) {
                if (valid[t]) {
                    double value = 0;
                    for (int i = g * width; i < (g + 1) * width; i++) {
                        value += x[t][i] / width;
                    }
                    double before = mean;
                    count++;
                    sum += value;
                    mean = sum / count;
                    m2 += (value - before) * (value - mean);
                    variance = Math.max(m2 / count, 1e-6);
                }
                for (int i = g * width; i < (g + 1) * width; i++) {
                    y[t][i] = (x[t][i] - mean) / Math.sqrt(variance + EPS) * (w[i] + 1) + bias[i];
                }
            }
        }
        return y;
    }

    private double[][] ema(double[][] x, String name, boolean[] valid) {
        int n = config.cemaNdim(), dim = config.modelDim();
        var y = new double[x.length][dim];
        for (int c = 0; c < dim; c++) {
            double theta = sigmoid(weights.get(name + "theta")[c]) * 2 * Math.PI / n;
            double omega = weights.get(name + "omega")[c];
            for (int j = 0; j < n; j++) {
                double p = sigmoid(weights.get(name + "alpha")[c * n + j]);
                double radius = 1 - p * sigmoid(weights.get(name + "delta")[c * n + j]);
                double qr = radius * Math.cos((j + 1) * theta), qi = radius * Math.sin((j + 1) * theta);
                double gr = weights.get(name + "gamma_real")[c * n + j] / Math.sqrt(n);
                double gi = weights.get(name + "gamma_imag")[c * n + j] / Math.sqrt(n);
                double hr = 0, hi = 0;
                for (int t = 0; t < x.length; t++) {
                    double r = qr * hr - qi * hi + (valid[t] ? p * x[t][c] : 0);
                    hi = qr * hi + qi * hr;
                    hr = r;
                    y[t][c] += gr * hr - gi * hi;
                }
            }
            for (int t = 0; t < x.length; t++) {
                y[t][c] += valid[t] ? omega * x[t][c] : 0;
            }
        }
        return y;
    }

    private double[] linear(double[] x, String name) {
        var w = weights.get(name + ".weight");
        var bias = weights.get(name + ".bias");
        var y = new double[bias.length];
        for (int j = 0; j < y.length; j++) {
            y[j] = bias[j];
            for (int i = 0; i < x.length; i++) {
                y[j] += x[i] * w[j * x.length + i];
            }
        }
        return y;
    }

    private double[] layerNorm(double[] x, String name) {
        var w = weights.get(name + ".weight");
        var bias = weights.get(name + ".bias");
        double mean = 0, variance = 0;
        for (double value : x) {
            mean += value / x.length;
        }
        for (double value : x) {
            variance += (value - mean) * (value - mean) / x.length;
        }
        var y = new double[x.length];
        for (int i = 0; i < y.length; i++) {
            y[i] = (x[i] - mean) / Math.sqrt(variance + EPS) * w[i] + bias[i];
        }
        return y;
    }

    private static double rms(double[] x, int from, int count) {
        double sum = 0;
        for (int i = from; i < from + count; i++) {
            sum += x[i] * x[i];
        }
        return Math.sqrt(sum / count + EPS);
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    private static double[] silu(double[] x) {
        var y = new double[x.length];
        for (int i = 0; i < y.length; i++) {
            y[i] = x[i] * sigmoid(x[i]);
        }
        return y;
    }

    private static double[] times(double[] x, double[] y) {
        var z = new double[x.length];
        for (int i = 0; i < z.length; i++) {
            z[i] = x[i] * y[i];
        }
        return z;
    }
}
