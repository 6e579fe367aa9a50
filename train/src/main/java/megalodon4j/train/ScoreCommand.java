package megalodon4j.train;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.Session;
import megalodon4j.models.Utf8Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code megalodon score}. */
@Command(name = "score", description = "Computes the loss of a model on a file.", sortOptions = false)
final class ScoreCommand extends Subcommand {
    /** How much of a stream is read at once; how much is computed at once is the model's choice. */
    private static final int BLOCK = 1 << 14;

    @Mixin
    private ModelSource source;

    @Option(names = "--data", required = true, paramLabel = "FILE", description = "The text: raw, .gz or .zip.")
    private Path data;

    @Option(names = "--seq-len", paramLabel = "N", description = "Tokens of a window (seq_len of the config).")
    private Integer seqLen;

    @Option(names = "--stream", description = "The whole file through one cache, in place of windows.")
    private boolean stream;

    @Option(names = "--json", description = "Prints one JSON object.")
    private boolean json;

    @Mixin
    private DeviceOptions device;

    @Mixin
    private CacheArguments cache;

    /** The mean loss of so many tokens in nats. */
    record Score(double loss, long tokens) {}

    @Override
    int execute() {
        device.check();
        var config = source.config();
        int length = seqLen == null ? config.seqLen() : seqLen;
        if (length < 1 || stream && seqLen != null) {
            throw Failure.usage("--seq-len: %d; allowed: at least 1, and not together with --stream", length);
        }
        if (!stream && cache.given()) {
            throw Failure.usage("--max-cache-len and --cache-unbounded are allowed only together with --stream");
        }
        if (!stream) {
            RunConfig.requireChunks(seqLen == null ? "seq_len" : "--seq-len", length, config.model());
        }
        var keys = cache.of(config);
        var windows = stream ? null : windows(config, length);
        noteKeys(config);
        try (var stop = Stop.onSignal();
                var backend = device.open(device.precision(config.precision()))) {
            var model = source.load(config, backend);
            long started = System.nanoTime();
            var score = stream
                    ? Corpus.read("--data", data, in -> streamed(model.session(keys), config, in, stop))
                    : score(windows, model, stop);
            print(score, (System.nanoTime() - started) * 1e-9);
            return 0;
        } catch (Stop.Requested e) {
            return Stop.EXIT_CODE;
        }
    }

    private Windows windows(RunConfig config, int length) {
        var bytes = Corpus.read("--data", data, Integer.MAX_VALUE - 8);
        requireBytes(bytes.length, length + 1L);
        RunConfig.requireFits(seqLen == null ? "seq_len" : "--seq-len", length, config.model());
        Corpus.requireTargets("--data: " + data, bytes, bytes.length, 0, config.model());
        return Windows.consecutive(bytes, length);
    }

    private void requireBytes(long bytes, long least) {
        if (bytes < least) {
            throw Failure.usage("--data: %s: %d bytes; at least %d are needed", data, bytes, least);
        }
    }

    static Score score(Windows windows, LanguageModel model, Stop stop) {
        int atOnce = Math.clamp(RunConfig.AUTO_MICRO_TOKENS / windows.length(), 1, windows.count());
        return new Score(windows.loss(model, atOnce, stop), windows.tokens());
    }

    /** The text is never held as a whole: a block of it is read, and the byte behind, which is the last target and then the next token. */
    private Score streamed(Session session, RunConfig config, InputStream in, Stop stop) throws IOException {
        var block = new byte[1 + BLOCK];
        int first = in.readNBytes(block, 0, 1);
        double sum = 0;
        long tokens = 0;
        for (int read; (read = in.readNBytes(block, 1, BLOCK)) > 0; tokens += read) {
            stop.check();
            Corpus.requireTargets("--data: " + data, block, read + 1, tokens, config.model());
            sum += session.loss(
                    Utf8Stream.tokens(Arrays.copyOf(block, read)),
                    Utf8Stream.tokens(Arrays.copyOfRange(block, 1, read + 1)));
            block[0] = block[read];
        }
        requireBytes(tokens == 0 ? first : tokens + 1, 2);
        return new Score(sum / tokens, tokens);
    }

    private void print(Score score, double seconds) {
        double loss = score.loss, speed = score.tokens / seconds;
        if (!Double.isFinite(loss)) {
            throw Failure.weights("the loss is " + loss);
        }
        if (json) {
            out().println(Json.line(Json.object()
                    .put("loss", loss)
                    .put("bpc", Metrics.bpc(loss))
                    .put("tokens", score.tokens)
                    .put("tokens_per_second", speed)));
        } else {
            out().printf(
                            Locale.ROOT,
                            "loss %.4f, bpc %.4f, %,d tokens, %,.0f tokens/s%n",
                            loss,
                            Metrics.bpc(loss),
                            score.tokens,
                            speed);
        }
        out().flush();
    }
}
