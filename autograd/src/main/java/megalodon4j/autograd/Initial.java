package megalodon4j.autograd;

import java.util.Arrays;
import megalodon4j.tensor.Philox;
import megalodon4j.tensor.Shape;

/** How a parameter starts. */
@FunctionalInterface
public interface Initial {
    /** The elements of a new parameter of this shape. */
    float[] elements(Shape shape);

    /** All the same. */
    static Initial constant(float value) {
        return shape -> {
            var elements = new float[shape.elements()];
            Arrays.fill(elements, value);
            return elements;
        };
    }

    /** N(0, σ). */
    static Initial normal(Philox random, double sigma) {
        return shape -> {
            var elements = new float[shape.elements()];
            for (int i = 0; i < elements.length; i++) {
                elements[i] = (float) (sigma * random.nextGaussian());
            }
            return elements;
        };
    }

    /** N(0, σ), drawn again while outside ± bound. */
    static Initial truncatedNormal(Philox random, double sigma, double bound) {
        return shape -> {
            var elements = new float[shape.elements()];
            for (int i = 0; i < elements.length; i++) {
                double x;
                do {
                    x = sigma * random.nextGaussian();
                } while (Math.abs(x) > bound);
                elements[i] = (float) x;
            }
            return elements;
        };
    }

    /** U(−bound, bound). */
    static Initial uniform(Philox random, double bound) {
        return shape -> {
            var elements = new float[shape.elements()];
            for (int i = 0; i < elements.length; i++) {
                elements[i] = (float) (bound * (2 * random.nextDouble() - 1));
            }
            return elements;
        };
    }
}
