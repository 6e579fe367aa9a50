package megalodon4j.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import megalodon4j.tensor.Backend;

/**
 * Training steps in a JVM of their own, whose memory is theirs alone: {@link #measure} is the parent's side, {@link #main}
 * the child's, which writes a line for each step and one for the memory.
 */
final class StepProcess {
    /** Steps that go ahead, until the memory is there and the code is compiled. */
    private static final int WARM_UP = 2;

    /**
     * Garbage that waits for its collection is no memory that a step needs: so little of it may wait. And a quarter of the
     * machine's memory, the JVM's own choice of a heap, may be too small for all tokens at once.
     */
    private static final List<String> FLAGS = List.of("-Xmn32m", "-XX:MaxRAMPercentage=75");

    private static final String STEP = "step", PEAK = "peak", FAILED = "failed";

    private StepProcess() {}

    /**
     * Starts the process and ends it when all is measured.
     *
     * @param steps how many to measure
     * @param out where each step is told as it ends
     * @throws IOException if the steps failed
     */
    static StepPoint measure(String model, int sequences, int length, int cores, int steps, PrintStream out)
            throws IOException {
        var process = Jvm.again(StepProcess.class, FLAGS, model, "" + sequences, "" + length, "" + cores, "" + steps)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        var end = new Thread(process::destroy); // if this process is told to end
        Runtime.getRuntime().addShutdownHook(end);
        try {
            return read(process, model, sequences, length, out);
        } finally {
            process.destroy();
            Runtime.getRuntime().removeShutdownHook(end);
        }
    }

    private static StepPoint read(Process process, String model, int sequences, int length, PrintStream out)
            throws IOException {
        var seconds = new ArrayList<Double>();
        var failure = "its process ended early";
        out.print(model + ", " + sequences + " × " + length + ":");
        out.flush();
        for (var line : (Iterable<String>) process.inputReader().lines()::iterator) {
            var words = line.split(" ", 2);
            switch (words[0]) {
                case STEP -> {
                    seconds.add(Double.valueOf(words[1]));
                    var number = Table.number(seconds.getLast());
                    out.print(seconds.size() <= WARM_UP ? " (" + number + ")" : " " + number);
                    out.flush();
                }
                case PEAK -> {
                    var measured = seconds.subList(WARM_UP, seconds.size());
                    var point = new StepPoint(model, length, sequences, measured, Long.parseLong(words[1]));
                    out.println(" s, " + Table.number(point.gigabytes()) + " GB");
                    return point;
                }
                case FAILED -> failure = words[1];
                default -> out.println(line); // of the JVM, as some of its flags have it say something
            }
        }
        out.println();
        throw new IOException("steps of " + model + ", " + sequences + " × " + length + " tokens: " + failure);
    }

    /** Arguments: model, sequences, length, cores, steps. */
    public static void main(String... args) {
        try {
            var n = Arrays.stream(args).skip(1).mapToInt(Integer::parseInt).toArray();
            run(args[0], n[0], n[1], n[2], n[3]);
        } catch (RuntimeException | OutOfMemoryError e) {
            System.out.println(FAILED + " " + explain(e));
            System.exit(1);
        }
    }

    private static void run(String model, int sequences, int length, int cores, int steps) {
        try (var backend = Backend.cpu(cores);
                var step = new TrainingStep(backend, model, sequences, sequences, length)) {
            for (int i = 0; i < WARM_UP + steps; i++) {
                long start = System.nanoTime();
                step.run();
                System.out.println(STEP + " " + 1e-9 * (System.nanoTime() - start));
            }
            step.verify();
            System.out.println(PEAK + " " + PeakMemory.bytes());
        }
    }

    private static String explain(Throwable e) {
        return e instanceof OutOfMemoryError
                ? String.format(
                        "out of memory (%,d MB of heap); fewer --tokens, or more memory with MEGALODON_JVM=-Xmx16g",
                        Runtime.getRuntime().maxMemory() >> 20)
                : e.toString();
    }
}
