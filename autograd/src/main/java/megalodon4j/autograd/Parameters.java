package megalodon4j.autograd;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Shape;
import megalodon4j.tensor.ShapesOnly;
import megalodon4j.tensor.Tensor;

/** The parameters of a model, in the order in which they were added. */
public final class Parameters implements Iterable<Parameter> {
    private final Backend backend;
    private final LinkedHashMap<String, Parameter> byName = new LinkedHashMap<>();

    public Parameters(Backend backend) {
        this.backend = backend;
    }

    /** Adds a parameter whose elements are given by {@code initial}, which is not asked on a backend that keeps {@link ShapesOnly}. */
    public Parameter add(String name, Shape shape, Initial initial) {
        if (byName.containsKey(name)) {
            throw new IllegalArgumentException("parameter " + name + " exists already");
        }
        var value = backend.tensor(shape);
        if (!(backend instanceof ShapesOnly)) {
            value.set(initial.elements(shape));
        }
        var parameter = new Parameter(name, value);
        byName.put(name, parameter);
        return parameter;
    }

    /** @throws IllegalArgumentException if there is none of that name */
    public Parameter get(String name) {
        var parameter = byName.get(name);
        if (parameter == null) {
            throw new IllegalArgumentException("no parameter " + name + "; there are " + byName.keySet());
        }
        return parameter;
    }

    public boolean contains(String name) {
        return byName.containsKey(name);
    }

    /** How many numbers are learned. */
    public long count() {
        long count = 0;
        for (var parameter : this) {
            count += parameter.value().elements();
        }
        return count;
    }

    public int size() {
        return byName.size();
    }

    public Backend backend() {
        return backend;
    }

    /** All values, in the order of the parameters. */
    public List<Tensor> values() {
        return byName.values().stream().map(Parameter::value).toList();
    }

    /** All gradients, in the order of the parameters. */
    public List<Tensor> gradients() {
        return byName.values().stream().map(Parameter::grad).toList();
    }

    /** Makes all gradients blank. */
    public void zeroGrad() {
        for (var parameter : this) {
            parameter.grad().makeBlank();
        }
    }

    @Override
    public Iterator<Parameter> iterator() {
        return byName.values().iterator();
    }
}
