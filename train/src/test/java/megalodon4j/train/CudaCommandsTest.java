package megalodon4j.train;

import static megalodon4j.train.Tiny.metrics;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import megalodon4j.tensor.cuda.TestDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Commands with {@code --device cuda} do what they do on the CPU. */
class CudaCommandsTest {
    private static final int STEPS = 20;
    private static final double TOLERANCE = 1e-3;

    @TempDir
    private Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void losses(String model) throws IOException {
        train("cpu", model, STEPS);
        train("cuda", model, STEPS, cuda());
        assertSameLosses("cuda", STEPS);
        for (var file : List.of("model.safetensors", "optimizer.safetensors", "state.json", "config.yaml")) {
            assertTrue(Files.size(folder.resolve("cuda/checkpoint_final").resolve(file)) > 0, file);
        }
        assertSameScore("cpu", "cuda");
        assertSameText("Call me");
    }

    /** A checkpoint knows nothing of the device that wrote it. */
    @ParameterizedTest
    @ValueSource(strings = {"llama", "megalodon"})
    void checkpointsMoveBetweenDevices(String model) throws IOException {
        int half = 5, steps = 2 * half;
        train("cpu", model, steps);
        train("there", model, half, cuda());
        train("there", model, steps, "--resume", "latest");
        assertSameLosses("there", steps);
        train("back", model, half);
        train("back", model, steps, cuda("--resume", "latest"));
        assertSameLosses("back", steps);
    }

    @Test
    void whatIsDroppedIsTheSame() throws IOException {
        Object[] rates = {"--set", "dropout=0.1", "--set", "hidden_dropout=0.2", "--set", "attention_dropout=0.3"};
        train("cpu", "megalodon", 5, rates);
        train("cuda", "megalodon", 5, cuda(rates));
        assertSameLosses("cuda", 5);
    }

    private static Object[] cuda(Object... more) {
        var home = TestDevice.home();
        var device = concat(new Object[] {"--device", "cuda"}, more);
        return home == null ? device : concat(device, "--cuda-home", home);
    }

    private void train(String run, String model, int steps, Object... more) {
        var command = new ArrayList<Object>(List.of("train", "--config", "../configs/test.yaml"));
        command.addAll(List.of("--run-dir", folder.resolve(run), "--set", "model=" + model));
        command.addAll(List.of("--set", "num_batches=" + steps, "--set", "precision=fp32"));
        command.addAll(List.of("--set", "generate_every=0", "--set", "val_batches=2"));
        command.addAll(List.of(more));
        succeed(command.toArray());
    }

    private static Tiny.Outcome succeed(Object... command) {
        var outcome = Tiny.run(command);
        assertEquals(0, outcome.exitCode(), outcome::err);
        return outcome;
    }

    private void assertSameLosses(String run, int steps) throws IOException {
        List<String> want = metrics(folder.resolve("cpu")), got = metrics(folder.resolve(run));
        int losses = 0;
        for (var line : want) {
            var expected = Json.MAPPER.readTree(line);
            for (var loss : List.of("train_loss", "val_loss")) {
                if (expected.has(loss)) {
                    int step = expected.get("step").intValue();
                    assertEquals(
                            expected.get(loss).doubleValue(), loss(got, loss, step), TOLERANCE, loss + " of " + step);
                    losses++;
                }
            }
        }
        assertEquals(steps + steps / 5 + 1, losses);
    }

    private static double loss(List<String> metrics, String loss, int step) {
        return metrics.stream()
                .map(Json.MAPPER::readTree)
                .filter(line -> line.get("step").intValue() == step && line.has(loss))
                .mapToDouble(line -> line.get(loss).doubleValue())
                .findFirst()
                .orElseThrow();
    }

    private void assertSameScore(String one, String other) throws IOException {
        var text = Files.write(folder.resolve("text"), BuiltinText.synthetic(700));
        Object[] command = {"score", "--ckpt", folder.resolve(one + "/checkpoint_final"), "--data", text, "--json"};
        double cpu = score(command), cuda = score(concat(command, cuda()));
        assertEquals(cpu, cuda, 1e-4 * cpu);
        command[2] = folder.resolve(other + "/checkpoint_final");
        assertEquals(cpu, score(command), TOLERANCE);
    }

    private static double score(Object... command) {
        return Json.MAPPER.readTree(succeed(command).out()).get("loss").doubleValue();
    }

    private void assertSameText(String prompt) {
        Object[] command = {
            "generate",
            "--ckpt",
            folder.resolve("cpu/checkpoint_final"),
            "--prompt",
            prompt,
            "--temperature",
            0,
            "--max-new-tokens",
            80
        };
        assertEquals(succeed(command).out(), succeed(concat(command, cuda())).out());
    }

    private static Object[] concat(Object[] words, Object... more) {
        var all = new ArrayList<>(List.of(words));
        all.addAll(List.of(more));
        return all.toArray();
    }
}
