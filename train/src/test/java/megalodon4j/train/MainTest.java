package megalodon4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MainTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @Test
    void versionGoesToStdout() {
        assertEquals(0, run("--version"));
        assertTrue(out.toString().startsWith("megalodon4j "), out::toString);
        assertEquals("", err.toString());
    }

    @Test
    void helpGoesToStdout() {
        assertEquals(0, run("--help"));
        assertTrue(out.toString().contains("Usage: megalodon"), out::toString);
        assertEquals("", err.toString());
    }

    @ParameterizedTest
    @CsvSource({"'', a command is missing", "fly, 'fly'", "--fly, '--fly'"})
    void usageErrorIsOneLineOnStderrAndExitCode2(String arg, String named) {
        assertEquals(2, arg.isEmpty() ? run() : run(arg));
        assertEquals("", out.toString());
        assertEquals(1, err.toString().lines().count(), err::toString);
        assertTrue(err.toString().contains(named), err::toString);
    }

    @ParameterizedTest
    @CsvSource({"No space left on device, No space left on device", "Broken pipe,"})
    void lostOutputIsKnownUnlessTheReaderWentAway(String reason, String lost) {
        var stdout = new Stdout(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException(reason);
            }
        });
        assertEquals(Optional.empty(), stdout.lost());
        new PrintWriter(stdout, true).println("a line");
        assertEquals(Optional.ofNullable(lost), stdout.lost());
    }

    private int run(String... args) {
        return Main.commandLine()
                .setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err))
                .execute(args);
    }
}
