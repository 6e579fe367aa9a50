package megalodon4j.autograd;

import java.util.ArrayList;
import java.util.function.UnaryOperator;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Scope;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.Tensor;

/**
 * One forward pass and what is needed to go back through it. Operations append their results in the order of computation; {@link #backward}
 * visits them in the opposite order. The tape owns the memory of all that is computed on it, until it is cleared or closed; what a tape that is
 * not closed has taken is lost to its backend.
 *
 * <pre>{@code
 * try (var tape = Tape.training(backend)) {
 *     var loss = Ops.crossEntropy(model.logits(tape, ids, batch), labels, 1f / labels.length);
 *     tape.backward(loss);
 * }
 * }</pre>
 */
public final class Tape implements AutoCloseable {
    private final Backend backend;
    private Scope scope; // null while nothing has been computed
    private final boolean recording;
    private Dropout dropout; // whose numbers are drawn, at a rate and a site of no meaning; null: nothing is dropped
    private final ArrayList<Variable> variables =
            new ArrayList<>(); // the first ones recorded, the rest to be used again
    private int recorded;
    private Tensor kept;
    private State state = State.FORWARD;

    private enum State {
        FORWARD,
        BACKWARD,
        SPENT,
        CLOSED
    }

    private Tape(Backend backend, boolean recording, Dropout dropout) {
        this.backend = backend;
        this.recording = recording;
        this.dropout = dropout;
    }

    /** A tape that records, for {@link #backward}, and drops nothing out. */
    public static Tape training(Backend backend) {
        return new Tape(backend, true, null);
    }

    /**
     * A tape that records and drops out what a model wants dropped.
     *
     * @param seed of the random numbers
     * @param firstSequence the number of the batch's first sequence, counted through the whole training: the same sequence loses the same
     *     elements, whatever it is computed with
     * @throws IllegalArgumentException if the number is negative
     */
    public static Tape training(Backend backend, long seed, long firstSequence) {
        return new Tape(backend, true, new Dropout(0, seed, firstSequence, 0));
    }

    /** A tape that computes values alone. */
    public static Tape inference(Backend backend) {
        return new Tape(backend, false, null);
    }

    public Backend backend() {
        return backend;
    }

    public boolean recording() {
        return recording;
    }

    /** Whether elements are dropped where a model wants it. */
    public boolean dropsOut() {
        return dropout != null;
    }

    /** What is dropped at a site of a model, each element with the probability {@code rate}; null for nothing. */
    public Dropout dropout(double rate, int site) {
        return dropout == null || rate == 0 ? null : new Dropout(rate, dropout.seed(), dropout.firstSequence(), site);
    }

    /** A blank tensor that lives as long as this tape. */
    public Tensor tensor(Shape shape) {
        return scope().tensor(shape);
    }

    /** {@link #tensor(Shape)} of {@code leading.withColumns(columns)}. */
    public Tensor tensor(Shape leading, int columns) {
        return scope().tensor(leading, columns);
    }

    /** {@link #tensor(Shape)} of {@code Shape.of(sizes)}. */
    public Tensor tensor(int... sizes) {
        return scope().tensor(sizes);
    }

    /** Gives the memory of a tensor of this tape back, before the others. */
    void release(Tensor tensor) {
        scope.release(tensor);
    }

    /** A value that has no gradient. It must live as long as this tape. */
    public Variable constant(Tensor value) {
        var constant = new Variable(this, value, null);
        constant.shareValue();
        return constant;
    }

    private Scope scope() {
        if (state == State.CLOSED) {
            throw new IllegalStateException("this tape has been closed");
        }
        if (scope == null) {
            scope = backend.scope();
        }
        return scope;
    }

    Variable record(Tensor value, Variable.Backward backward) {
        if (!recording) {
            return new Variable(this, value, null);
        }
        if (recorded == variables.size()) {
            variables.add(new Variable(this, null, null));
        }
        var variable = variables.get(recorded++);
        variable.set(value, backward);
        return variable;
    }

    /** Records an operation of several results; {@code backward} gets {@code values}, which now holds their gradients. */
    Variable[] record(Tensor[] values, Variable.BackwardOfAll backward) {
        var results = new Variable[values.length];
        for (int i = 0; i < results.length; i++) {
            results[i] = record(values[i], null);
        }
        // The one recorded first is visited last, when the gradients of all are complete.
        if (recording) {
            results[0].lead(results, values, backward);
        }
        return results;
    }

    /** Records an operation that has changed x in place. */
    Variable recordInPlace(Variable x, Variable.Backward backward) {
        boolean owned = x.ownsValue();
        x.shareValue();
        var changed = record(x.value(), backward);
        if (!owned) {
            changed.shareValue();
        }
        return changed;
    }

    /** The same value, with a gradient of its own: for an operation that gets one variable as two arguments. */
    Variable alias(Variable x) {
        var alias = record(x.value(), x::receive);
        alias.shareValue();
        return alias;
    }

    /** Records a loss, whose gradient by its argument is complete: {@code backward} hands it on. */
    Variable recordLoss(Tensor value, Runnable backward) {
        var loss = record(value, dy -> {
            if (dy != null) {
                throw new IllegalStateException("backward: a loss is where it starts, nothing is computed from one");
            }
            backward.run();
        });
        loss.becomeLoss();
        return loss;
    }

    /**
     * Adds the gradient of a loss to those of all parameters that it was computed from. Afterwards no value on this tape but that of
     * {@code loss} may be read, and backward not be called again.
     *
     * @param loss of {@link Ops#crossEntropy}, which says what is differentiated
     * @throws IllegalStateException if the tape does not record or has gone back already, or something else was computed from a loss
     * @throws IllegalArgumentException if this is no loss, or one of another tape
     */
    public void backward(Variable loss) {
        if (!loss.isLoss()) {
            throw new IllegalArgumentException(
                    "backward: without a gradient it starts from a result of Ops.crossEntropy, and from nothing else");
        }
        goBack(loss, null);
    }

    /**
     * Adds the gradients of any function of a result: {@code gradient} is that of the function by the result, which the caller has computed from its
     * value. Afterwards no value on this tape but that of {@code result} may be read.
     *
     * @param gradient of the result's shape; it is copied
     * @throws IllegalStateException if the tape does not record or has gone back already
     * @throws IllegalArgumentException if the result is one of another tape or a loss, or the shapes differ
     */
    public void backward(Variable result, Tensor gradient) {
        if (result.isLoss()) {
            throw new IllegalArgumentException("backward: a loss has its own gradient");
        }
        if (!gradient.shape().equals(result.shape())) {
            throw new IllegalArgumentException(
                    "backward: a gradient " + gradient.shape() + " of a result " + result.shape());
        }
        requireForward(result);
        var dy = tensor(gradient.shape());
        backend.copy(gradient, dy);
        goBack(result, dy);
    }

    private void requireForward(Variable result) {
        if (!recording) {
            throw new IllegalStateException("backward needs a tape that records: Tape.training(backend)");
        }
        if (result.tape() != this) {
            throw new IllegalArgumentException("backward: the result is one of another tape");
        }
        if (state != State.FORWARD) {
            throw new IllegalStateException("backward: this tape has gone back already; clear it, or open another one");
        }
    }

    /** Whether gradients are being computed. */
    boolean goesBack() {
        return state == State.BACKWARD;
    }

    private void goBack(Variable result, Tensor gradient) {
        requireForward(result);
        state = State.BACKWARD;
        if (gradient != null) {
            result.receive(gradient);
        }
        for (int i = recorded - 1; i >= 0; i--) {
            var variable = variables.get(i);
            if (variable == result && variable.isLoss()) {
                variable.runBackward(null);
                continue;
            }
            if (variable.leads()) {
                backwardOfAll(variable);
            } else if (variable.hasGrad() && !variable.isLed()) {
                var dy = variable.takeGrad();
                kept = null;
                variable.runBackward(dy);
                if (kept != dy) {
                    scope.release(dy);
                }
            }
            // All that was computed from this value has been visited: the memory serves the gradients to come.
            if (variable != result && variable.ownsValue()) {
                scope.release(variable.value());
            }
        }
        state = State.SPENT;
    }

    private void backwardOfAll(Variable leader) {
        var dy = leader.takeGrads();
        if (dy == null) {
            return;
        }
        kept = null;
        leader.runBackwardOfAll();
        for (var gradient : dy) {
            if (kept != gradient) {
                scope.release(gradient);
            }
        }
    }

    /**
     * Computes y = f(x) and keeps y alone: {@link #backward} computes f again to go back through it. Gradients are those of f(x), memory is that of
     * one such f at a time, and the forward pass is done twice (Chen et al. 2016).
     *
     * @param f must compute on the tape of its argument, the same each time it is called
     */
    public Variable checkpoint(Variable x, UnaryOperator<Variable> f) {
        if (!recording) {
            return f.apply(x);
        }
        Tensor y;
        try (var first = new Tape(backend(), false, dropout)) {
            var result = f.apply(first.constant(x.value())).value();
            y = tensor(result.shape());
            backend().copy(result, y);
        }
        return record(y, dy -> {
            try (var again = new Tape(backend(), true, dropout)) {
                var input = again.constant(x.value());
                var result = again.alias(f.apply(input)); // f may return its argument
                again.backward(result, dy);
                if (input.hasGrad()) {
                    backend().add(1, input.grad(), x.grad());
                }
            }
        });
    }

    /** Says that dy, the gradient just handed to an operation, has become that of one of its arguments. */
    void keep(Tensor dy) {
        kept = dy;
    }

    /**
     * Takes back all that was computed, none of which may be used any more, and begins anew. A loop that clears one tape rather than opening the next
     * makes no new variables.
     */
    public void clear() {
        for (int i = 0; i < recorded; i++) {
            variables.get(i).set(null, null);
        }
        recorded = 0;
        state = State.FORWARD;
        if (scope != null) {
            scope.close();
            scope = null;
        }
    }

    /** {@link #clear} before a batch whose first sequence is number {@code firstSequence} of the training. */
    public void clear(long firstSequence) {
        clear();
        dropout = dropout == null ? null : new Dropout(0, dropout.seed(), firstSequence, 0);
    }

    /** Takes back all that was computed. */
    @Override
    public void close() {
        clear();
        state = State.CLOSED;
    }
}
