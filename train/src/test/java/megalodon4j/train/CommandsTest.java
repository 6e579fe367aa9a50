package megalodon4j.train;

import static megalodon4j.train.Tiny.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import megalodon4j.models.Weights;
import megalodon4j.tensor.Backend;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** generate, score, summary, doctor on a trained model. */
class CommandsTest {
    @TempDir
    static Path folder;

    private static Path config;
    private static Path checkpoint;
    private static Path text;

    @BeforeAll
    static void train() throws IOException {
        config = Tiny.config(folder, Tiny.MEGALODON);
        assertEquals(
                0, run("train", "--config", config, "--set", "num_batches=30").exitCode());
        checkpoint = folder.resolve("run/checkpoint_final");
        text = Files.write(folder.resolve("text"), BuiltinText.synthetic(165));
    }

    @Test
    void generatedTextGoesToStdout() {
        var outcome = run("generate", "--ckpt", checkpoint, "--max-new-tokens", 40);
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertTrue(outcome.out().length() > 30, outcome::out);
        assertTrue(outcome.err().startsWith(GenerateCommand.DEFAULT_PROMPT), outcome::err);
        assertTrue(outcome.err().contains("40 tokens, "), outcome::err);
        assertEquals(
                0, run("generate", "--ckpt", checkpoint, "--max-new-tokens", 0).exitCode());
    }

    @Test
    void jsonHoldsTheSame() {
        var plain = run("generate", "--ckpt", checkpoint, "--prompt", "A quiet", "--max-new-tokens", 20);
        var json = json("generate", "--ckpt", checkpoint, "--prompt", "A quiet", "--max-new-tokens", 20, "--json");
        assertEquals(7, json.get("prompt_tokens").intValue());
        assertEquals(20, json.get("tokens").size());
        assertEquals(plain.out(), json.get("text").stringValue() + System.lineSeparator());
        assertTrue(json.get("tokens_per_second").doubleValue() > 0);
        assertEquals(4, json.size());
    }

    @Test
    void aTextThatNobodyReadsIsNotWritten() {
        var writes = new int[1];
        var gone = new Stdout(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException("Broken pipe");
            }

            @Override
            public void write(byte[] bytes, int at, int count) throws IOException {
                if (++writes[0] > 3) {
                    write(0);
                }
            }
        });
        var err = new StringWriter();
        int exitCode = Main.commandLine()
                .setOut(new PrintWriter(gone))
                .setErr(new PrintWriter(err))
                .execute("generate", "--ckpt", checkpoint.toString(), "--prompt", "A", "--max-new-tokens", "500");
        assertEquals(0, exitCode, err::toString);
        assertEquals(4, writes[0]);
        assertEquals("A", err.toString().strip());
    }

    @Test
    void aPromptThatBeginsWithAtIsNoFile() throws IOException {
        var file = Files.writeString(folder.resolve("arguments"), "home");
        var prompt = "@" + file;
        var json = json("generate", "--ckpt", checkpoint, "--prompt", prompt, "--max-new-tokens", 1, "--json");
        assertEquals(prompt.length(), json.get("prompt_tokens").intValue());
    }

    @Test
    void promptsComeFromFilesToo() throws IOException {
        var gz = folder.resolve("prompt.gz");
        try (var out = new GZIPOutputStream(Files.newOutputStream(gz))) {
            out.write("A quiet engineer".getBytes());
        }
        var raw = Files.write(folder.resolve("prompt"), new byte[] {'A', (byte) 0xFF, ' ', 'q'});
        assertEquals(
                4,
                json("generate", "--ckpt", checkpoint, "--prompt-file", raw, "--json")
                        .get("prompt_tokens")
                        .intValue());
        assertEquals(
                json("generate", "--ckpt", checkpoint, "--prompt", "A quiet", "--json")
                        .get("tokens"),
                json("generate", "--ckpt", checkpoint, "--prompt-gzip", gz, "--prompt-len", 7, "--json")
                        .get("tokens"));
    }

    @Test
    void theSeedAndTheFiltersMatter() {
        var one = json("generate", "--ckpt", checkpoint, "--json", "--seed", 1, "--min-p", 0)
                .get("tokens");
        assertEquals(
                one,
                json("generate", "--ckpt", checkpoint, "--json", "--seed", 1, "--min-p", 0)
                        .get("tokens"));
        assertNotEquals(
                one,
                json("generate", "--ckpt", checkpoint, "--json", "--seed", 2, "--min-p", 0)
                        .get("tokens"));
        var greedy = json("generate", "--ckpt", checkpoint, "--json", "--temperature", 0)
                .get("tokens");
        assertEquals(
                greedy,
                json("generate", "--ckpt", checkpoint, "--json", "--top-k", 1, "--seed", 5)
                        .get("tokens"));
        assertEquals(
                greedy,
                json(
                                "generate",
                                "--config",
                                config,
                                "--weights",
                                checkpoint.resolve("model.safetensors"),
                                "--temperature",
                                0,
                                "--json")
                        .get("tokens"));
    }

    @Test
    void scoreIsTheMeanOverWindows() throws IOException {
        var json = json("score", "--ckpt", checkpoint, "--data", text, "--json");
        assertEquals(160, json.get("tokens").intValue()); // ten windows of 16 in 165 bytes
        assertEquals(
                json.get("loss").doubleValue() / Math.log(2), json.get("bpc").doubleValue(), 1e-12);
        assertEquals(4, json.size());
        try (var backend = Backend.cpu(1)) {
            var read = Tiny.read(config);
            var model = read.model().create(backend, 0);
            Checkpoint.load(model, checkpoint.resolve("model.safetensors"));
            double sum = 0;
            var bytes = Files.readAllBytes(text);
            for (int i = 0; i < 10; i++) {
                int start = 16 * i;
                sum += new Windows(bytes, 16, 1, _ -> start).loss(model, 1, Stop.never());
            }
            assertEquals(sum / 10, json.get("loss").doubleValue(), 1e-5);
        }
        var longer = json("score", "--ckpt", checkpoint, "--data", text, "--seq-len", 32, "--json");
        assertEquals(160, longer.get("tokens").intValue());
        assertNotEquals(json.get("loss"), longer.get("loss"));
    }

    /** Five batches of 128 windows, 2,048 tokens each, and one of the rest, though 641 is a prime. */
    @Test
    void windowsAreTakenAsManyAtOnceAsThereMayBe() {
        var batches = new int[1];
        try (var backend = Backend.cpu(1)) {
            var model = new WatchedModel(Tiny.read(config).model().create(backend, 0), (_, _) -> batches[0]++);
            var windows = Windows.consecutive(BuiltinText.synthetic(641 * 16 + 1), 16);
            assertEquals(
                    641 * 16, ScoreCommand.score(windows, model, Stop.never()).tokens());
        }
        assertEquals(6, batches[0]);
    }

    @Test
    void aStreamIsOneLongWindow() {
        var stream = json("score", "--ckpt", checkpoint, "--data", text, "--stream", "--json");
        assertEquals(164, stream.get("tokens").intValue());
        // 160 tokens are 20 chunks, so one window takes all but the last 4 targets.
        var window = json("score", "--ckpt", checkpoint, "--data", text, "--seq-len", 160, "--json");
        assertEquals(window.get("loss").doubleValue(), stream.get("loss").doubleValue(), 0.1);
        var head = folder.resolve("head");
        write(head, BuiltinText.synthetic(161));
        assertEquals(
                window.get("loss").doubleValue(),
                json("score", "--ckpt", checkpoint, "--data", head, "--stream", "--json")
                        .get("loss")
                        .doubleValue(),
                1e-5);
    }

    @Test
    void aStreamIsReadPieceByPiece() throws IOException {
        var packed = folder.resolve("packed.gz");
        var bytes = BuiltinText.synthetic((1 << 15) + 9);
        try (var out = new GZIPOutputStream(Files.newOutputStream(packed))) {
            out.write(bytes);
        }
        var stream = json("score", "--ckpt", checkpoint, "--data", packed, "--stream", "--json");
        assertEquals(bytes.length - 1, stream.get("tokens").intValue());
        var window = json("score", "--ckpt", checkpoint, "--data", packed, "--seq-len", bytes.length - 1, "--json");
        assertEquals(window.get("loss").doubleValue(), stream.get("loss").doubleValue(), 1e-4);
        write(folder.resolve("one"), new byte[1]);
        assertRefused(
                "one: 1 bytes; at least 2", "score", "--ckpt", checkpoint, "--data", folder.resolve("one"), "--stream");
    }

    @Test
    void whatAModelCannotPredictIsRefused() throws IOException {
        var narrow = Files.writeString(folder.resolve("narrow.yaml"), Files.readString(config) + "output_size: 200\n");
        var weights = folder.resolve("narrow.safetensors");
        try (var backend = Backend.cpu(1)) {
            Weights.save(Tiny.read(narrow).model().create(backend, 0), weights);
        }
        var bytes = BuiltinText.synthetic(100);
        bytes[99] = (byte) 200; // never read, only predicted
        var wide = Files.write(folder.resolve("wide"), bytes);
        var model = new Object[] {"score", "--config", narrow, "--weights", weights, "--data", wide};
        var error = "wide: byte 99 is 200; the model's output_size allows values below 200";
        assertRefused(error, model);
        assertRefused(error, append(model, "--stream"));
        assertEquals(
                0,
                run("generate", "--config", narrow, "--weights", weights, "--prompt-file", wide)
                        .exitCode());
    }

    private static Object[] append(Object[] command, Object... more) {
        return Stream.concat(Arrays.stream(command), Arrays.stream(more)).toArray();
    }

    @Test
    void attentionMayLookFurtherBack() throws IOException {
        var local = loss();
        assertEquals(local, loss("--max-cache-len", 8));
        assertNotEquals(local, loss("--max-cache-len", 20));
        assertNotEquals(loss("--max-cache-len", 20), loss("--cache-unbounded"));
        assertEquals(loss("--max-cache-len", 1000), loss("--cache-unbounded"));
        var unbounded = Files.writeString(
                folder.resolve("unbounded.yaml"), Files.readString(config) + "cache_unbounded: true\n");
        var weights = checkpoint.resolve("model.safetensors");
        assertEquals(
                loss("--cache-unbounded"),
                json("score", "--config", unbounded, "--weights", weights, "--data", text, "--stream", "--json")
                        .get("loss")
                        .doubleValue());
    }

    private static double loss(Object... options) {
        var command =
                new ArrayList<Object>(List.of("score", "--ckpt", checkpoint, "--data", text, "--stream", "--json"));
        command.addAll(List.of(options));
        return json(command.toArray()).get("loss").doubleValue();
    }

    @Test
    void aTextEndsWhereItShould() {
        var whole = json("generate", "--ckpt", checkpoint, "--prompt", "A quiet", "--json", "--min-p", 0);
        var text = whole.get("text").stringValue();
        var stop = text.substring(2, 4);
        var stopped = json(
                "generate",
                "--ckpt",
                checkpoint,
                "--prompt",
                "A quiet",
                "--json",
                "--min-p",
                0,
                "--stop",
                stop,
                "--stop",
                "no such text");
        assertEquals(text.substring(0, text.indexOf(stop)), stopped.get("text").stringValue());
        int end = whole.get("tokens").get(3).intValue();
        var ended = json(
                "generate", "--ckpt", checkpoint, "--prompt", "A quiet", "--json", "--min-p", 0, "--end-of-text", end);
        assertTrue(ended.get("tokens").size() <= 3);
        for (int i = 0; i < ended.get("tokens").size(); i++) {
            assertEquals(whole.get("tokens").get(i), ended.get("tokens").get(i));
        }
    }

    @Test
    void anEmptyPromptIsOne() throws IOException {
        var empty = Files.write(folder.resolve("empty"), new byte[0]);
        var json = json("generate", "--ckpt", checkpoint, "--prompt", "", "--json", "--max-new-tokens", 5);
        assertEquals(0, json.get("prompt_tokens").intValue());
        assertEquals(5, json.get("tokens").size());
        assertEquals(
                json.get("tokens"),
                json("generate", "--ckpt", checkpoint, "--prompt-file", empty, "--json", "--max-new-tokens", 5)
                        .get("tokens"));
    }

    private static void write(Path file, byte[] bytes) {
        try {
            Files.write(file, bytes);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void summaryListsParameters() {
        var outcome = run("summary", "--config", "../configs/llama_512.yaml");
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertTrue(outcome.out().contains("layers.5.ff.w2.weight"), outcome::out);
        assertTrue(outcome.out().lines().toList().getLast().matches("total +12,489,600"), outcome::out);
        var megalodon = run("summary", "--config", "../configs/megalodon_multichunk_512.yaml")
                .out();
        assertTrue(megalodon.lines().toList().getLast().matches("total +11,277,696"), megalodon);
    }

    @Test
    void summaryTakesNoMemoryForTheModel() {
        var llama = run("summary", "--config", "../configs/llama_512.yaml", "--set", "dim=16384", "--set", "depth=256");
        assertEquals(0, llama.exitCode(), llama::err);
        assertTrue(llama.out().lines().toList().getLast().matches("total +557,284,605,952"), llama::out);
    }

    @Test
    void doctorAlwaysAnswers() {
        var json = json("doctor", "--json");
        assertEquals(Runtime.version().toString(), json.get("jdk").stringValue());
        assertTrue(json.get("sgemm_gflops").get("one_thread").doubleValue() > 0, json::toString);
    }

    @Test
    void whatIsWrongEndsInOneLine() {
        assertRefused("--ckpt DIR is needed", "generate");
        assertRefused("together with --weights", "generate", "--config", config);
        assertRefused("none: no such folder", "generate", "--ckpt", folder.resolve("none"));
        assertRefused("it holds " + checkpoint, "generate", "--ckpt", folder.resolve("run"));
        assertRefused(
                "--weights: none: no such file", "score", "--config", config, "--weights", "none", "--data", text);
        assertRefused("--data", "score", "--ckpt", checkpoint);
        assertRefused("--data: none: no such file", "score", "--ckpt", checkpoint, "--data", "none");
        assertRefused("--seq-len: 12; allowed", "score", "--ckpt", checkpoint, "--data", text, "--seq-len", 12);
        assertRefused("at least 801", "score", "--ckpt", checkpoint, "--data", text, "--seq-len", 800);
        assertRefused("--stop: \"\"", "generate", "--ckpt", checkpoint, "--stop", "");
        assertRefused("--end-of-text: 256; allowed", "generate", "--ckpt", checkpoint, "--end-of-text", 256);
        assertRefused("at least chunk_size = 8", "generate", "--ckpt", checkpoint, "--max-cache-len", 7);
        assertRefused(
                "--max-cache-len: 9; allowed",
                "generate",
                "--ckpt",
                checkpoint,
                "--max-cache-len",
                9,
                "--cache-unbounded");
        assertRefused("with --stream", "score", "--ckpt", checkpoint, "--data", text, "--max-cache-len", 9);
        assertRefused("only one of", "generate", "--ckpt", checkpoint, "--prompt", "a", "--prompt-file", text);
        assertRefused("--prompt-len: 3", "generate", "--ckpt", checkpoint, "--prompt-len", 3);
        assertRefused("--prompt-file: none", "generate", "--ckpt", checkpoint, "--prompt-file", "none");
        assertRefused("--temperature must be", "generate", "--ckpt", checkpoint, "--temperature", -1);
        assertRefused("--max-new-tokens: -1", "generate", "--ckpt", checkpoint, "--max-new-tokens", -1);
        assertRefused("--threads: 0", "generate", "--ckpt", checkpoint, "--threads", 0);
        assertRefused("nope.yaml: no such file", "summary", "--config", "nope.yaml");
    }

    private static void assertRefused(String expected, Object... command) {
        var outcome = run(command);
        assertEquals(2, outcome.exitCode(), outcome::err);
        assertTrue(outcome.error().startsWith("megalodon " + command[0] + ": "), outcome::err);
        assertTrue(outcome.error().contains(expected), outcome::err);
        assertEquals("", outcome.out());
    }

    @Test
    void hugeNumbersAreTakenAtTheirWord() throws IOException {
        assertRefused(
                "165 bytes; at least 2147483648 are needed",
                "score",
                "--config",
                Tiny.config(Files.createDirectories(folder.resolve("llama")), Tiny.LLAMA),
                "--weights",
                checkpoint.resolve("model.safetensors"),
                "--data",
                text,
                "--seq-len",
                Integer.MAX_VALUE);
        var stop = json("generate", "--ckpt", checkpoint, "--prompt", "A", "--json")
                .get("text")
                .stringValue()
                .substring(1, 2);
        var most = Integer.MAX_VALUE;
        var stopped = json(
                "generate", "--ckpt", checkpoint, "--prompt", "A", "--max-new-tokens", most, "--stop", stop, "--json");
        assertFalse(stopped.get("text").stringValue().contains(stop));
    }

    @Test
    void aFolderOfTheHuggingFaceKindIsACheckpoint() throws IOException {
        var bare = Files.createDirectory(folder.resolve("bare"));
        for (var name : List.of("config.json", "model.safetensors")) {
            Files.copy(checkpoint.resolve(name), bare.resolve(name));
        }
        var command = List.of("generate", "--prompt", "A", "--max-new-tokens", 20, "--seed", 7, "--json", "--ckpt");
        var texts = new ArrayList<String>();
        for (var from : List.of(checkpoint, bare)) {
            var words = new ArrayList<Object>(command);
            words.add(from);
            texts.add(json(words.toArray()).get("text").stringValue());
        }
        assertEquals(texts.getFirst(), texts.getLast());
        var score = json("score", "--ckpt", bare, "--data", text, "--json");
        assertEquals(
                json("score", "--ckpt", checkpoint, "--data", text, "--seq-len", 8, "--json")
                        .get("loss"),
                score.get("loss"));
        var file = bare.resolve("config.json");
        Files.writeString(file, Files.readString(file).replaceFirst("\\{", "{ \"zoom\": 2, \"depth\": 1,"));
        var note = "note: " + file + ": without effect here: zoom, depth";
        var generated = run("generate", "--prompt", "A", "--max-new-tokens", 1, "--json", "--ckpt", bare);
        assertEquals(note, generated.err().strip());
        assertEquals(
                note,
                run("score", "--ckpt", bare, "--data", text, "--json").err().strip());
        Files.writeString(bare.resolve("config.json"), "{\"model_type\": \"gpt2\"}");
        assertRefused("config.json: model_type: gpt2; allowed: megalodon", "generate", "--ckpt", bare);
        Files.delete(bare.resolve("config.json"));
        assertRefused("no checkpoint, which holds config.yaml or config.json, and", "generate", "--ckpt", bare);
    }

    /** Windows that are larger than any tensor are refused before the model is built. */
    @Test
    void windowsMayBeTooWide() throws IOException {
        var wide = Files.writeString(folder.resolve("wide.yaml"), Tiny.LLAMA + "num_tokens: 1048576\n");
        var lengthy = Files.write(folder.resolve("long.txt"), BuiltinText.synthetic(3000));
        assertRefused(
                "--seq-len: 2048 tokens at once; allowed for a model that is 1048576 features wide: up to 2047",
                "score",
                "--config",
                wide,
                "--weights",
                checkpoint.resolve("model.safetensors"),
                "--data",
                lengthy,
                "--seq-len",
                2048);
    }

    @Test
    void anEmptyFileIsNoGzipFile() throws IOException {
        var empty = Files.createFile(folder.resolve("empty.gz"));
        assertRefused("empty.gz: cannot be read: it ends too early", "score", "--ckpt", checkpoint, "--data", empty);
    }

    @Test
    void weightsThatAreNotFiniteAreToldAsSuch() throws IOException {
        var weights = folder.resolve("diverged.safetensors");
        try (var backend = Backend.cpu(1)) {
            var model = Tiny.read(config).model().create(backend, 0);
            model.parameters().values().forEach(value -> value.set(filled(value.elements(), Float.NaN)));
            Weights.save(model, weights);
        }
        for (var command : List.of(List.of("generate", "--prompt", "A"), List.of("score", "--data", text))) {
            var words = new ArrayList<Object>(command);
            words.addAll(List.of("--config", config, "--weights", weights, "--json"));
            var outcome = run(words.toArray());
            assertEquals(1, outcome.exitCode(), outcome::err);
            assertTrue(
                    outcome.error().endsWith(": the weights are not those of a trained model, or not finite"),
                    outcome::err);
        }
    }

    private static float[] filled(int count, float value) {
        var elements = new float[count];
        Arrays.fill(elements, value);
        return elements;
    }

    @Test
    void verboseShowsWhere() {
        assertTrue(run("--verbose", "summary", "--config", "nope.yaml").err().contains("\tat "));
        assertTrue(run("summary", "--config", "nope.yaml", "--verbose").err().contains("\tat "));
    }

    private static JsonNode json(Object... command) {
        var outcome = run(command);
        assertEquals(0, outcome.exitCode(), outcome::err);
        assertEquals(1, outcome.out().lines().count());
        return Json.MAPPER.readTree(outcome.out());
    }
}
