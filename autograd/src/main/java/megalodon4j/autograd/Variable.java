package megalodon4j.autograd;

import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;

/** A tensor that an operation has computed, and the gradient of the loss by it. */
public final class Variable {
    /** Adds an operation's part to the gradients of its arguments, given that of its result. */
    @FunctionalInterface
    interface Backward {
        void run(Tensor dy);
    }

    /** The same for an operation of several results, given the gradients of all: blank where nothing was computed from one. */
    @FunctionalInterface
    interface BackwardOfAll {
        void run(Tensor[] dy);
    }

    private final Tape tape;
    private Tensor value;
    private Backward backward;
    private Tensor grad;
    private boolean sharesValue;
    private boolean loss;

    // Of the first of several results: all of them, and where their gradients go. Of the others: that there is one.
    private Variable[] together;
    private Tensor[] gradients;
    private BackwardOfAll backwardOfAll;
    private boolean led;

    Variable(Tape tape, Tensor value, Backward backward) {
        this.tape = tape;
        set(value, backward);
    }

    /** Becomes another variable of the same tape. */
    void set(Tensor value, Backward backward) {
        this.value = value;
        this.backward = backward;
        grad = null;
        sharesValue = false;
        loss = false;
        together = null;
        gradients = null;
        backwardOfAll = null;
        led = false;
    }

    /** This is the first of several results of one operation. */
    void lead(Variable[] results, Tensor[] gradients, BackwardOfAll backward) {
        together = results;
        this.gradients = gradients;
        backwardOfAll = backward;
        for (int i = 1; i < results.length; i++) {
            results[i].led = true;
        }
    }

    boolean leads() {
        return together != null;
    }

    boolean isLed() {
        return led;
    }

    /** The gradients of all results, null if none has one. */
    Tensor[] takeGrads() {
        boolean any = false;
        for (var result : together) {
            any |= result.hasGrad();
        }
        if (!any) {
            return null;
        }
        for (int i = 0; i < together.length; i++) {
            gradients[i] = together[i].grad();
            together[i].grad = null;
        }
        return gradients;
    }

    void runBackwardOfAll() {
        backwardOfAll.run(gradients);
    }

    public Tensor value() {
        return value;
    }

    public Shape shape() {
        return value.shape();
    }

    /** The tape that this was computed on. */
    public Tape tape() {
        return tape;
    }

    /**
     * Where gradients are accumulated: blank until the first operation has added its part.
     *
     * @throws IllegalStateException if there is none yet and the tape does not go back
     */
    public Tensor grad() {
        if (grad == null) {
            requireBackward();
            grad = tape.tensor(shape());
        }
        return grad;
    }

    /** Adds a gradient that is complete: takes the tensor itself if it is the first. */
    void receive(Tensor dy) {
        if (grad == null) {
            requireBackward();
            grad = dy;
            tape.keep(dy);
        } else {
            value.backend().add(1, dy, grad());
        }
    }

    // Nobody would go on from a gradient that is taken at another time: the operation has arguments of two tapes.
    private void requireBackward() {
        if (!tape.goesBack()) {
            throw new IllegalStateException("a gradient for a variable " + shape()
                    + " whose tape does not go back: all arguments of an operation must be of one tape");
        }
    }

    boolean hasGrad() {
        return grad != null;
    }

    Tensor takeGrad() {
        var taken = grad;
        grad = null;
        return taken;
    }

    void runBackward(Tensor dy) {
        if (backward != null) {
            backward.run(dy);
        }
    }

    /** The value is another's, who will give it back. */
    void shareValue() {
        sharesValue = true;
    }

    boolean isLoss() {
        return loss;
    }

    /** This is one that {@link Tape#backward} may start from. */
    void becomeLoss() {
        loss = true;
    }

    boolean ownsValue() {
        return !sharesValue;
    }
}
