package megalodon4j.models;

import megalodon4j.autograd.Variable;

/**
 * How far a model is from the labels of a batch.
 *
 * @param losses (B, L, 1), the cross-entropy of each token in nats, 0 where the label is {@link megalodon4j.tensor.Backend#IGNORE_INDEX};
 *     {@link megalodon4j.autograd.Tape#backward} of it computes the gradient of their mean over the targets
 * @param targets the number of labels that count
 */
public record Loss(Variable losses, int targets) {
    /** The sum of all losses in nats. */
    public double sum() {
        return losses.value().backend().sum(losses.value());
    }

    /** Nats a target; NaN if there is none. */
    public double mean() {
        return sum() / targets;
    }
}
