package megalodon4j.tensor.cuda;

import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import megalodon4j.tensor.Recording;

/**
 * Work as a graph of the device. What it takes from the host, arrays of integers, gets a place of its own on the device, to which it is copied
 * before each launch; all the memory that the graph names stays reachable with it.
 */
final class Replayed implements Recording {
    private final Launcher launcher;
    private final Allocations allocations;
    private final Map<int[], CudaStorage> inputs = new IdentityHashMap<>();
    private final Set<CudaStorage> used = Collections.newSetFromMap(new IdentityHashMap<>());
    private boolean changes;
    private Graph graph;

    Replayed(Launcher launcher, Allocations allocations) {
        this.launcher = launcher;
        this.allocations = allocations;
    }

    @Override
    public boolean rehearse(Runnable work) {
        watch(work);
        return !changes;
    }

    @Override
    public void record(Runnable work) {
        graph = launcher.device.capture(() -> watch(work));
    }

    private void watch(Runnable work) {
        launcher.replayed(this);
        try {
            work.run();
        } finally {
            launcher.replayed(null);
        }
    }

    /** Says that the work touches this memory. */
    void uses(CudaStorage storage) {
        used.add(storage);
    }

    /** Says that the work gives an operation numbers which are others each time. */
    void changes() {
        changes = true;
    }

    /** Where an array's numbers lie whenever the work runs. */
    long input(int[] values) {
        var place = inputs.get(values);
        if (place == null) {
            place = allocations.allocate(values.length);
            inputs.put(values, place);
            upload(values, place);
        }
        return place.pointer;
    }

    private void upload(int[] values, CudaStorage to) {
        launcher.device.upload(values, 0, values.length, to.pointer);
    }

    @Override
    public void replay() {
        inputs.forEach(this::upload);
        graph.launch();
    }

    @Override
    public void close() {
        if (graph != null) {
            graph.close();
        }
        inputs.clear();
        used.clear();
    }
}
