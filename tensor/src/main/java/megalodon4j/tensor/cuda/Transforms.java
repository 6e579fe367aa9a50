package megalodon4j.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;

/** cuFFT on a stream, with one plan for each size, kept. */
final class Transforms {
    private final Fft fft;
    private final long stream;
    private final HashMap<Plan, Integer> plans = new HashMap<>();

    private record Plan(int type, int n, int batch) {}

    Transforms(Fft fft, long stream) {
        this.fft = fft;
        this.stream = stream;
    }

    void forward(int n, int batch, long real, long complex) {
        fft.realToComplex.call(plan(Fft.REAL_TO_COMPLEX, n, batch), real, complex);
    }

    void inverse(int n, int batch, long complex, long real) {
        fft.complexToReal.call(plan(Fft.COMPLEX_TO_REAL, n, batch), complex, real);
    }

    private int plan(int type, int n, int batch) {
        return plans.computeIfAbsent(new Plan(type, n, batch), this::create);
    }

    private int create(Plan plan) {
        try (var arena = Arena.ofConfined()) {
            var out = new Out(arena);
            var size = arena.allocateFrom(ValueLayout.JAVA_INT, plan.n);
            // Without embedding, rows are packed: n reals, n / 2 + 1 complex numbers.
            fft.planMany.call(out.address(), 1, size.address(), 0, 1, 0, 0, 1, 0, plan.type, plan.batch);
            int handle = out.integer();
            fft.setStream.call(handle, stream);
            return handle;
        }
    }

    void close() {
        plans.values().forEach(fft.destroy::call);
        plans.clear();
    }
}
