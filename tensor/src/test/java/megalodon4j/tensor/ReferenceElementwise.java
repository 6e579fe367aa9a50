package megalodon4j.tensor;

/**
 * The oracle of what works element by element: activations and the optimizer, in double, as the equations say.
 *
 * <p>Of all the Reference classes: arrays are row-major with the shapes that {@link Backend} gives, a method returns
 * new arrays, and gradients are those of this call alone. {@link ReferenceGradientTest} proves them against finite
 * differences.
 */
public final class ReferenceElementwise {
    private ReferenceElementwise() {}

    static double sigmoid(double a) {
        return 1 / (1 + Math.exp(-a));
    }

    /** y = silu(a) · b, b nullable. */
    public static double[] silu(double[] a, double[] b) {
        var y = new double[a.length];
        for (int i = 0; i < a.length; i++) {
            y[i] = a[i] * sigmoid(a[i]) * (b == null ? 1 : b[i]);
        }
        return y;
    }

    /** The gradients of {@link #silu}; db is null where b is. */
    public record SiluGrad(double[] da, double[] db) {}

    public static SiluGrad siluGrad(double[] dy, double[] a, double[] b) {
        var da = new double[a.length];
        var db = b == null ? null : new double[a.length];
        for (int i = 0; i < a.length; i++) {
            double s = sigmoid(a[i]);
            da[i] = dy[i] * (b == null ? 1 : b[i]) * (s + a[i] * s * (1 - s));
            if (b != null) {
                db[i] = dy[i] * a[i] * s;
            }
        }
        return new SiluGrad(da, db);
    }

    /** Parameters and moments after a step. */
    public record Adam(double[] p, double[] m, double[] v) {}

    public static Adam adam(Backend.AdamStep step, double[] p, double[] grad, double[] m, double[] v) {
        var next = new Adam(new double[p.length], new double[p.length], new double[p.length]);
        double beta1 = step.beta1(), beta2 = step.beta2();
        for (int i = 0; i < p.length; i++) {
            double g = step.gradScale() * grad[i] + step.weightDecay() * p[i];
            next.m[i] = beta1 * m[i] + (1 - beta1) * g;
            next.v[i] = beta2 * v[i] + (1 - beta2) * g * g;
            double mHat = next.m[i] / (1 - Math.pow(beta1, step.step()));
            double vHat = next.v[i] / (1 - Math.pow(beta2, step.step()));
            next.p[i] = p[i] - step.learningRate() * mHat / (Math.sqrt(vHat) + step.eps());
        }
        return next;
    }
}
