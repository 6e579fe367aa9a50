package megalodon4j.bench;

import java.util.SplittableRandom;

/**
 * Micro-batches of made-up text, some of whose tokens are likelier than others, so that there is something to learn.
 *
 * @param ids one array of rows × length tokens for each micro-batch
 * @param labels for each token the one that follows
 */
record Batches(int[][] ids, int[][] labels) {
    Batches(int count, int rows, int length, int vocabulary) {
        this(new int[count][rows * length], new int[count][rows * length]);
        var random = new SplittableRandom(1);
        for (int i = 0; i < count; i++) {
            for (int t = 0; t < rows * length; t++) {
                ids[i][t] = t % length == 0 ? 0 : labels[i][t - 1];
                labels[i][t] = (int) (vocabulary * Math.pow(random.nextDouble(), 3));
            }
        }
    }
}
