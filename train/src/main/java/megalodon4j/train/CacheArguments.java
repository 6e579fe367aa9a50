package megalodon4j.train;

import megalodon4j.models.CacheOptions;
import picocli.CommandLine.Option;

/** Which keys attention sees while a model reads a text token by token. */
final class CacheArguments {
    private static final String MAX = "--max-cache-len";

    @Option(
            names = MAX,
            paramLabel = "N",
            description =
                    "Attention sees the last N keys (max_cache_len of the config; else a Megalodon sees its chunk, a Llama all).")
    private Integer maxCacheLen;

    @Option(names = "--cache-unbounded", description = "Attention sees all keys (cache_unbounded of the config).")
    private boolean unbounded;

    boolean given() {
        return maxCacheLen != null || unbounded;
    }

    CacheOptions of(RunConfig config) {
        if (!given()) {
            return config.generation().cache();
        }
        if (maxCacheLen != null && (unbounded || maxCacheLen < 1)) {
            throw Failure.usage(
                    "%s: %d; allowed: at least 1, and not together with --cache-unbounded", MAX, maxCacheLen);
        }
        var options = unbounded ? CacheOptions.UNBOUNDED : CacheOptions.window(maxCacheLen);
        try {
            config.model().check(options);
        } catch (IllegalArgumentException e) {
            throw Failure.usage("%s: %s", MAX, e.getMessage()).causedBy(e);
        }
        return options;
    }
}
