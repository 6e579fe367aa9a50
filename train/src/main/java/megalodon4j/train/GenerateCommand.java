package megalodon4j.train;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import megalodon4j.models.GenerationOptions;
import megalodon4j.models.Generator;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.Sampling;
import megalodon4j.models.Utf8Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code megalodon generate}. */
@Command(name = "generate", description = "Continues a text.", sortOptions = false)
final class GenerateCommand extends Subcommand {
    /** Says something early that a model can only repeat later if it looks back further than a chunk. */
    static final String DEFAULT_PROMPT =
            "From the keeper's log, winter quarter. Remember this first: the signal word of the harbour is "
                    + "ORCHID-7319, and only the red boat answers to it. The wind has gone round to the north and the "
                    + "gulls sit on the sea wall. Two barrels of oil came up with the noon tide, and the glass of the "
                    + "great lamp was cleaned on both sides. Tonight, when the red boat comes in, the keeper calls out";

    private static final int SHOWN_PROMPT = 400;

    @Mixin
    private ModelSource source;

    @Option(
            names = "--prompt",
            paramLabel = "S",
            description = "The text to continue, which may be empty; a built-in one if none is given.")
    private String prompt;

    @Option(names = "--prompt-file", paramLabel = "F", description = "The text to continue: the bytes of a file.")
    private Path promptFile;

    @Option(
            names = "--prompt-gzip",
            paramLabel = "F",
            description = "The text to continue: the first bytes of a .gz file.")
    private Path promptGzip;

    @Option(
            names = "--prompt-len",
            paramLabel = "N",
            description = "How many bytes of --prompt-gzip (384 if not given).")
    private Integer promptLength;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "How much to add (generate_length of the config).")
    private Integer maxNewTokens;

    @Option(names = "--temperature", paramLabel = "T", description = "0 takes the most probable token always.")
    private Float temperature;

    @Option(names = "--min-p", paramLabel = "P", description = "Drops tokens less probable than P times the best one.")
    private Float minP;

    @Option(names = "--top-k", paramLabel = "K", description = "Keeps the K most probable tokens; 0 is off.")
    private Integer topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Keeps the most probable tokens that sum up to P; 1 is off.")
    private Float topP;

    @Option(
            names = "--stop",
            paramLabel = "S",
            description = "Ends before this text, which is not printed; may be repeated.")
    private List<String> stops = List.of();

    @Option(names = "--end-of-text", paramLabel = "ID", description = "Ends at this token, which is not printed.")
    private Integer endOfText;

    @Mixin
    private CacheArguments cache;

    @Option(names = "--seed", paramLabel = "N", description = "Another seed, another text (seed of the config).")
    private Long seed;

    @Option(names = "--json", description = "Prints one JSON object in place of the text.")
    private boolean json;

    @Mixin
    private DeviceOptions device;

    @Override
    int execute() {
        device.check();
        var config = source.config();
        var options = options(config);
        var bytes = prompt(config);
        noteKeys(config);
        try (var stop = Stop.onSignal();
                var backend = device.open(device.precision(config.precision()))) {
            return generate(source.load(config, backend), bytes, options, stop);
        }
    }

    private GenerationOptions options(RunConfig config) {
        int count = maxNewTokens == null ? config.generation().length() : maxNewTokens;
        if (count < 0) {
            throw Failure.usage("--max-new-tokens: %d; allowed: 0 and more", count);
        }
        var options = GenerationOptions.of(sampling(config.generation()), count)
                .seed(seed == null ? config.seed() : seed)
                .cache(cache.of(config));
        for (var stop : stops) {
            if (stop.isEmpty()) {
                throw Failure.usage("--stop: \"\"; allowed: at least one character");
            }
            options = options.stopAt(stop);
        }
        int tokens = config.model().numTokens();
        if (endOfText != null && (endOfText < 0 || endOfText >= tokens)) {
            throw Failure.usage("--end-of-text: %d; allowed: a token, from 0 to %d", endOfText, tokens - 1);
        }
        return endOfText == null ? options : options.endOfText(endOfText);
    }

    private Sampling sampling(RunConfig.Generation byConfig) {
        var sampling = byConfig.sampling();
        try {
            return new Sampling(
                    temperature == null ? sampling.temperature() : temperature,
                    minP == null ? sampling.minP() : minP,
                    topK == null ? sampling.topK() : topK,
                    topP == null ? sampling.topP() : topP);
        } catch (IllegalArgumentException e) {
            throw Failure.usage("--%s", e.getMessage()).causedBy(e);
        }
    }

    private byte[] prompt(RunConfig config) {
        if (Stream.of(prompt, promptFile, promptGzip).filter(p -> p != null).count() > 1) {
            throw Failure.usage("only one of --prompt, --prompt-file and --prompt-gzip is allowed");
        }
        if (promptLength != null && (promptGzip == null || promptLength < 1)) {
            throw Failure.usage("--prompt-len: %d; allowed: at least 1, together with --prompt-gzip", promptLength);
        }
        var bytes = promptBytes();
        Corpus.requireTokens("the prompt", bytes, config.model());
        return bytes;
    }

    private byte[] promptBytes() {
        if (promptFile != null) {
            return Corpus.raw("--prompt-file", promptFile);
        }
        if (promptGzip != null) {
            return Corpus.gunzip("--prompt-gzip", promptGzip, promptLength == null ? 384 : promptLength);
        }
        return (prompt == null ? DEFAULT_PROMPT : prompt).getBytes(StandardCharsets.UTF_8);
    }

    private int generate(LanguageModel model, byte[] prompt, GenerationOptions options, Stop stop) {
        if (!json) {
            showPrompt(prompt);
        }
        var text = new Utf8Stream();
        var tokens = IntStream.builder(); // grows: the most allowed may be far more than will come
        var speed = new Speed(options.maxNewTokens());
        boolean stopped = false;
        try {
            new Generator(model, options, stop::check).generate(Utf8Stream.tokens(prompt), token -> {
                tokens.add(token);
                speed.tick();
                if (!json) {
                    print(text.add(token), stop);
                }
            });
        } catch (Stop.Requested e) {
            stopped = true;
        } catch (Sampling.BadLogits e) {
            throw Failure.weights("a logit is not finite").causedBy(e);
        }
        if (json) {
            printJson(prompt.length, tokens.build().toArray(), speed);
        } else if (out().checkError()) {
            return 0; // Main says why, unless the reader has what it wanted
        } else {
            out().println(text.finish());
            out().flush();
            err().printf(Locale.ROOT, "%,d tokens, %,.1f tokens/s%n", speed.tokens(), speed.tokensPerSecond());
            err().flush();
        }
        return stopped ? Stop.EXIT_CODE : 0;
    }

    private void print(String text, Stop stop) {
        out().print(text);
        if (out().checkError()) { // which flushes
            stop.request();
        }
    }

    private void showPrompt(byte[] prompt) {
        var text = Utf8Stream.decode(Utf8Stream.tokens(prompt));
        err().print(text.length() <= SHOWN_PROMPT ? text : "…" + text.substring(text.length() - SHOWN_PROMPT));
        if (!Terminal.isStderr()) {
            err().println(); // otherwise the text follows on the same line
        }
        err().flush();
    }

    private void printJson(int promptTokens, int[] tokens, Speed speed) {
        var object = Json.object().put("prompt_tokens", promptTokens);
        var list = object.putArray("tokens");
        for (int token : tokens) {
            list.add(token);
        }
        object.put("text", Utf8Stream.decode(tokens)).put("tokens_per_second", speed.tokensPerSecond());
        out().println(Json.line(object));
        out().flush();
    }

    /** The speed of what follows the prompt and the first tokens, during which the JVM still compiles. */
    private static final class Speed {
        private static final int WARM_UP = 32;

        private final int warmUp;
        private int tokens;
        private long from;
        private long to;

        Speed(int expected) {
            warmUp = Math.min(WARM_UP, expected / 4);
        }

        /** One more token. */
        void tick() {
            to = System.nanoTime();
            if (tokens <= warmUp) {
                from = to;
            }
            tokens++;
        }

        int tokens() {
            return tokens;
        }

        double tokensPerSecond() {
            int measured = tokens - 1 - warmUp;
            return measured < 1 ? 0 : measured / ((to - from) * 1e-9);
        }
    }
}
