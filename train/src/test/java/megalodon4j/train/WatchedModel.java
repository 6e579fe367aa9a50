package megalodon4j.train;

import java.util.function.BiConsumer;
import java.util.function.Consumer;
import megalodon4j.autograd.Parameters;
import megalodon4j.autograd.Tape;
import megalodon4j.autograd.Variable;
import megalodon4j.models.Cache;
import megalodon4j.models.CacheOptions;
import megalodon4j.models.LanguageModel;
import megalodon4j.models.ModelConfig;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.Tensor;

/**
 * A model that tells when it computes.
 *
 * @param watcher is given the tape, and the cache or null
 */
record WatchedModel(LanguageModel model, BiConsumer<Tape, Cache> watcher) implements LanguageModel {
    @Override
    public ModelConfig config() {
        return model.config();
    }

    @Override
    public Backend backend() {
        return model.backend();
    }

    @Override
    public Parameters parameters() {
        return model.parameters();
    }

    @Override
    public Variable hidden(
            Tape tape, int[] ids, int batch, Tensor mask, Cache cache, Consumer<? super Variable> layerOutputs) {
        watcher.accept(tape, cache);
        return model.hidden(tape, ids, batch, mask, cache, layerOutputs);
    }

    @Override
    public Variable head(Variable hidden) {
        return model.head(hidden);
    }

    @Override
    public Cache newCache(int batch, CacheOptions options) {
        return model.newCache(batch, options);
    }
}
