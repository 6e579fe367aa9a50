package megalodon4j.tensor;

/** The oracle of the two ends of a model: the look-up and the loss. */
public final class ReferenceTokens {
    private ReferenceTokens() {}

    public static double[] embedding(int columns, int[] ids, double[] table, double scale) {
        var y = new double[ids.length * columns];
        for (int r = 0; r < ids.length; r++) {
            for (int j = 0; j < columns; j++) {
                y[r * columns + j] = table[ids[r] * columns + j] * scale;
            }
        }
        return y;
    }

    /** The gradient by a table of so many rows. */
    public static double[] embeddingGrad(int rows, int columns, double[] dy, int[] ids, int paddingId, double scale) {
        var dtable = new double[rows * columns];
        for (int r = 0; r < ids.length; r++) {
            for (int j = 0; j < columns; j++) {
                dtable[ids[r] * columns + j] += ids[r] == paddingId ? 0 : dy[r * columns + j] * scale;
            }
        }
        return dtable;
    }

    /** The losses (rows), the gradient of scale · Σ losses (rows, vocabulary), and ln Σ e^x of each row. */
    public record CrossEntropy(double[] losses, double[] dlogits, double[] logSum) {}

    public static CrossEntropy crossEntropy(int vocabulary, double[] logits, int[] labels, double scale) {
        var result = new CrossEntropy(new double[labels.length], new double[logits.length], new double[labels.length]);
        for (int r = 0; r < labels.length; r++) {
            double sum = 0;
            for (int j = 0; j < vocabulary; j++) {
                sum += Math.exp(logits[r * vocabulary + j]);
            }
            result.logSum[r] = Math.log(sum);
            if (labels[r] == Backend.IGNORE_INDEX) {
                continue;
            }
            result.losses[r] = Math.log(sum) - logits[r * vocabulary + labels[r]];
            for (int j = 0; j < vocabulary; j++) {
                double target = j == labels[r] ? 1 : 0;
                result.dlogits[r * vocabulary + j] = (Math.exp(logits[r * vocabulary + j]) / sum - target) * scale;
            }
        }
        return result;
    }
}
