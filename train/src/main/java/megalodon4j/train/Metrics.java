package megalodon4j.train;

import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.node.ObjectNode;

/** A run's metrics.jsonl: one JSON object a line, handed to the system before the run goes on. */
final class Metrics implements AutoCloseable {
    private final Path path;
    private final FileOutputStream file;

    Metrics(Path path) throws IOException {
        this.path = path;
        file = new FileOutputStream(path.toFile(), true);
    }

    /** Nats as bits per byte. */
    static double bpc(double loss) {
        return loss / Math.log(2);
    }

    void validation(long step, double loss) throws IOException {
        write(Json.object().put("step", step).put("val_loss", loss).put("val_bpc", bpc(loss)));
    }

    void training(long step, double loss, double gradNorm, double learningRate, long tokens, double seconds)
            throws IOException {
        write(Json.object()
                .put("step", step)
                .put("train_loss", loss)
                .put("train_bpc", bpc(loss))
                .put("grad_norm", gradNorm)
                .put("lr", learningRate)
                .put("tokens", tokens)
                .put("seconds", seconds));
    }

    private void write(ObjectNode line) throws IOException {
        try {
            file.write((Json.line(line) + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw DurableFiles.named(path, e);
        }
    }

    /** Waits until all lines are on the disk. */
    void sync() throws IOException {
        file.getFD().sync();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    /** Keeps the lines in front of the first that is of step {@code step} or later, or torn. */
    static void cut(Path file, long step) throws IOException {
        if (!Files.exists(file)) {
            return;
        }
        var text = Files.readString(file, StandardCharsets.ISO_8859_1);
        int end = 0;
        for (int next = text.indexOf('\n'); next >= 0 && step(text.substring(end, next)) < step; ) {
            end = next + 1;
            next = text.indexOf('\n', end);
        }
        if (end < text.length()) {
            DurableFiles.replace(file, text.substring(0, end).getBytes(StandardCharsets.ISO_8859_1));
        }
    }

    /** The step of a line; beyond all steps if the line is none of ours. */
    private static long step(String line) {
        try {
            return Json.MAPPER.readTree(line).path("step").asLong(Long.MAX_VALUE);
        } catch (JacksonException e) {
            return Long.MAX_VALUE;
        }
    }
}
