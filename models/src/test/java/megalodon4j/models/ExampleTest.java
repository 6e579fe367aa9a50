package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import megalodon4j.autograd.Adam;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.tensor.Backend;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The library in one method: load a checkpoint, stream text, fine-tune ten steps. */
class ExampleTest {
    private static final String TEXT = "The keeper's log, winter quarter. ".repeat(2);

    private static double example(Path checkpoint, PrintStream out) throws IOException {
        try (var backend = Backend.cpu(1)) {
            Megalodon model = HuggingFace.load(checkpoint, backend);

            var options = GenerationOptions.of(Sampling.minP(0.1f), 40).seed(7).stopAt("\n\n");
            var text = new Utf8Stream();
            new Generator(model, options)
                    .generate(Utf8Stream.tokens("The keeper"), token -> out.print(text.add(token)));
            out.println(text.finish());

            int[] tokens = Utf8Stream.tokens(TEXT);
            int length = 64;
            int[] ids = Arrays.copyOf(tokens, length), labels = Arrays.copyOfRange(tokens, 1, length + 1);
            var adam = new Adam(model.parameters(), 0.9f, 0.999f, 1e-8f);
            double loss = 0;
            for (int step = 0; step < 10; step++) {
                model.parameters().zeroGrad();
                try (var tape = Tape.training(backend)) {
                    var losses = Ops.crossEntropy(model.logits(tape, ids, 1), labels, 1f / length);
                    loss = backend.sum(losses.value()) / length;
                    tape.backward(losses);
                }
                adam.step(1e-2f, 0, 1);
            }
            HuggingFace.save(model, checkpoint);
            return loss;
        }
    }

    /** Line by line, wherever the README indents it. */
    @Test
    void theReadmeShowsThisExample() throws IOException {
        var shown =
                Files.readString(Path.of("../README.md")).split("```java\n")[1].split("```")[0];
        assertTrue(shown.lines().count() < 40);
        var source = Path.of("src/test/java", getClass().getName().replace('.', '/') + ".java");
        assertTrue(withoutIndents(Files.readString(source)).contains(withoutIndents(shown)), shown);
    }

    /** The dependency that the README shows is this module, at its version. */
    @Test
    void theReadmeShowsThisModule() throws IOException {
        var shown =
                Files.readString(Path.of("../README.md")).split("```xml\n")[1].split("```")[0];
        var module = Files.readString(Path.of("pom.xml"));
        for (var name : List.of("groupId", "artifactId", "version")) {
            var line = shown.lines().filter(l -> l.contains(name)).findFirst().orElseThrow();
            assertTrue(module.contains(line.strip()), line);
        }
    }

    private static String withoutIndents(String code) {
        return code.lines().map(String::strip).collect(Collectors.joining("\n"));
    }

    @Test
    void runs(@TempDir Path checkpoint) throws IOException {
        double before;
        try (var backend = Backend.cpu(1)) {
            var model = TinyModels.megalodon(0).create(backend, 1);
            HuggingFace.save(model, checkpoint);
            var tokens = Utf8Stream.tokens(TEXT);
            before = model.session().loss(Arrays.copyOf(tokens, 64), Arrays.copyOfRange(tokens, 1, 65)) / 64;
        }
        var out = new ByteArrayOutputStream();
        double after = example(checkpoint, new PrintStream(out, true, StandardCharsets.UTF_8));
        assertFalse(out.toString(StandardCharsets.UTF_8).isBlank());
        assertTrue(after < 0.8 * before, before + " → " + after);
    }
}
