package megalodon4j.train;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.Utf8Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code megalodon score}. */
@Command(name = "score", description = "Computes the loss of a model on a file.", sortOptions = false)
final class ScoreCommand extends Subcommand {
    /** How many tokens go through the cache at once. */
    private static final int BLOCK = 512;

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

    @Override
    int execute() {
        device.check();
        var config = source.config();
        int length = seqLen == null ? config.seqLen() : seqLen;
        if (length < 1 || stream && seqLen != null) {
            throw Failure.usage("--seq-len: %d; allowed: at least 1, and not together with --stream", length);
        }
        if (!stream) {
            RunConfig.requireChunks(seqLen == null ? "seq_len" : "--seq-len", length, config.model());
        }
        var bytes = Corpus.read("--data", data, Integer.MAX_VALUE - 8);
        int shortest = stream ? 2 : length + 1;
        if (bytes.length < shortest) {
            throw Failure.usage("--data: %s: %d bytes; at least %d are needed", data, bytes.length, shortest);
        }
        Corpus.requireTokens("--data: " + data, bytes, config.model().numTokens());
        try (var stop = Stop.onSignal();
                var backend = device.open(device.precision(config.precision()))) {
            score(source.load(config, backend), bytes, length, stop);
            return 0;
        } catch (Stop.Requested e) {
            return Stop.EXIT_CODE;
        }
    }

    private void score(LanguageModel model, byte[] bytes, int length, Stop stop) {
        var windows = Windows.consecutive(bytes, length);
        long tokens = stream ? bytes.length - 1 : windows.tokens();
        long started = System.nanoTime();
        double loss = stream
                ? streamed(model, bytes, stop) / tokens
                : windows.loss(model, RunConfig.autoMicroBatch(windows.count(), length), stop);
        double speed = tokens / ((System.nanoTime() - started) * 1e-9);
        if (!Double.isFinite(loss)) {
            throw Failure.job("the loss is %s: the weights are not those of a trained model, or not finite", loss);
        }
        if (json) {
            out().println(Json.line(Json.object()
                    .put("loss", loss)
                    .put("bpc", Metrics.bpc(loss))
                    .put("tokens", tokens)
                    .put("tokens_per_second", speed)));
        } else {
            out().printf(
                            Locale.ROOT,
                            "loss %.4f, bpc %.4f, %,d tokens, %,.0f tokens/s%n",
                            loss,
                            Metrics.bpc(loss),
                            tokens,
                            speed);
        }
        out().flush();
    }

    private static double streamed(LanguageModel model, byte[] bytes, Stop stop) {
        var tokens = Utf8Stream.tokens(bytes);
        int targets = tokens.length - 1;
        double sum = 0;
        var session = model.session();
        for (int i = 0; i < targets; i += BLOCK) {
            stop.check();
            int end = Math.min(i + BLOCK, targets);
            sum += session.loss(Arrays.copyOfRange(tokens, i, end), Arrays.copyOfRange(tokens, i + 1, end + 1));
        }
        return sum;
    }
}
