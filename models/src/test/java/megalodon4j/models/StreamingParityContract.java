package megalodon4j.models;

import static megalodon4j.models.ParityContract.assertClose;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import megalodon4j.tensor.Backend;
import megalodon4j.tensor.SafeTensors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sequences fed in pieces give PyTorch's logits and leave PyTorch's caches. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class StreamingParityContract {
    private Backend backend;

    abstract Backend device();

    @BeforeAll
    void open() {
        backend = device();
    }

    @AfterAll
    void close() {
        assertEquals(0, backend.outstanding(), "tensors that were not given back");
        backend.close();
    }

    @ParameterizedTest
    @CsvSource({
        "megalodon, stream_chunked, 0",
        "megalodon_plain_ffn, stream_chunked, 0",
        "megalodon_one_chunk, stream_chunked, 0",
        "megalodon, stream_sliding, 24"
    })
    void piecesAndFinalCache(String name, String file, int maxCacheLen, @TempDir Path folder) throws IOException {
        var fixture = Fixture.of(name);
        var model = fixture.model(backend, EmaChoice.AUTO);
        var want = fixture.tensors(file);
        var ids = Fixture.ints(want, "input_ids");
        var cache = model.newCache(want.shape("input_ids").size(0), new CacheOptions(maxCacheLen, false));
        var got = Streams.feed(model, cache, ids, 0, Fixture.ints(want, "pieces"));
        assertEquals(want.shape("input_ids").size(1), cache.position());
        assertClose("logits", want.floats("logits"), got, 1e-4);

        var saved = folder.resolve("cache.safetensors");
        cache.save(saved);
        assertSame(want, SafeTensors.read(saved));
    }

    private static void assertSame(SafeTensors want, SafeTensors got) throws IOException {
        for (var tensor : want.names()) {
            if (tensor.endsWith("_count")) {
                assertArrayEquals(want.longs(tensor), got.longs(tensor), tensor);
            } else if (tensor.startsWith("cache.")) {
                assertEquals(want.shape(tensor), got.shape(tensor), tensor);
                assertClose(tensor, want.floats(tensor), got.floats(tensor), 1e-4);
            }
        }
    }
}
