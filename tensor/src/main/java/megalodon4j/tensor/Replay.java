package megalodon4j.tensor;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Work that a device does again as a whole instead of operation by operation. Operations overwrite a blank tensor and add to a filled one, so
 * that the work is recorded once for every combination of blank and filled tensors that it begins with: a step's first micro-batch is not its
 * second.
 */
final class Replay implements Runnable {
    private final Backend backend;
    private final Runnable work;
    private final Supplier<Recording> recordings;
    private final List<Take> takes = new ArrayList<>();

    Replay(Backend backend, Runnable work, Supplier<Recording> recordings) {
        this.backend = backend;
        this.work = work;
        this.recordings = recordings;
    }

    /** The work as it goes from one state of the tensors that outlive it. */
    private static final class Take {
        final Map<Tensor, Boolean> blankBefore = new IdentityHashMap<>();
        final Recording recording;
        final long poolGeneration;
        boolean recordable;
        boolean recorded;

        Take(Recording recording, long poolGeneration) {
            this.recording = recording;
            this.poolGeneration = poolGeneration;
        }

        boolean fits() {
            for (var entry : blankBefore.entrySet()) {
                if (entry.getKey().isBlank() != entry.getValue()) {
                    return false;
                }
            }
            return true;
        }
    }

    @Override
    public void run() {
        forgetFreedMemory();
        if (backend.outstanding() > 0) {
            // What is recorded uses pooled memory, which somebody else may hold now.
            work.run();
            return;
        }
        for (var take : takes) {
            if (take.fits()) {
                again(take);
                return;
            }
        }
        var take = new Take(recordings.get(), backend.poolGeneration());
        backend.watch(take.blankBefore::putIfAbsent);
        try {
            take.recordable = take.recording.rehearse(work);
        } catch (Throwable e) {
            take.recording.close(); // it holds the memory that the work has touched
            throw e;
        } finally {
            backend.watch(null);
        }
        takes.add(take);
    }

    private void again(Take take) {
        if (!take.recordable) {
            work.run();
            return;
        }
        if (!take.recorded) {
            take.recording.record(work);
            take.recorded = true;
        } else {
            take.blankBefore.keySet().forEach(Tensor::fill);
        }
        take.recording.replay();
    }

    private void forgetFreedMemory() {
        takes.removeIf(take -> {
            boolean freed = take.poolGeneration != backend.poolGeneration();
            if (freed) {
                take.recording.close();
            }
            return freed;
        });
    }
}
