package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The launcher in a repository that looks built, with a JDK whose {@code java} says in which locale it was started. */
@EnabledOnOs(OS.LINUX)
class LauncherTest {
    @TempDir
    Path root;

    @BeforeEach
    void build() throws IOException {
        Files.copy(Path.of("..", "megalodon"), root.resolve("megalodon"));
        for (var module : List.of("tensor", "autograd", "models", "train")) {
            Files.createDirectories(root.resolve(module).resolve("src/main"));
            Files.createFile(root.resolve(module).resolve("pom.xml"));
        }
        Files.createFile(root.resolve("pom.xml"));
        Files.createDirectories(root.resolve("train/target/lib"));
        Files.createFile(root.resolve("train/target/train-1.jar"));
        Files.createFile(root.resolve("train/target/.built"));
        script("jdk/bin/javac", "");
        script("jdk/bin/java", "printf %s \"${LC_ALL-}\"\n");
        Files.writeString(root.resolve("jdk/release"), "JAVA_VERSION=\"25.0.1\"\n");
    }

    private void script(String name, String text) throws IOException {
        var file = root.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, "#!/bin/sh\n" + text);
        file.toFile().setExecutable(true);
    }

    /** The LC_ALL that {@code java} was started with. */
    private String lcAll(String lang, String path) throws IOException {
        var builder = new ProcessBuilder("/bin/bash", root.resolve("megalodon").toString(), "generate")
                .redirectError(ProcessBuilder.Redirect.DISCARD);
        var environment = builder.environment();
        environment.keySet().removeIf(name -> name.startsWith("LC_"));
        environment.put("LANG", lang);
        environment.put("JAVA_HOME", root.resolve("jdk").toString());
        environment.put("PATH", path);
        var out = builder.start().getInputStream().readAllBytes();
        return new String(out, StandardCharsets.UTF_8);
    }

    @ParameterizedTest
    @CsvSource({"C.UTF-8, ''", "xx_XX.UTF-8, C.UTF-8", "C, C.UTF-8"})
    void theLocaleKnowsUtf8(String lang, String expected) throws IOException {
        assertEquals(expected, lcAll(lang, System.getenv("PATH")));
    }

    @ParameterizedTest
    @CsvSource({"xx_XX.UTF-8, ''", "C, C.UTF-8"})
    void withoutTheProgramLocaleItsNameCounts(String lang, String expected) throws IOException {
        script("tools/locale", "exit 127\n");
        assertEquals(expected, lcAll(lang, root.resolve("tools") + ":" + System.getenv("PATH")));
    }
}
