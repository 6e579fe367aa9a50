package megalodon4j.train;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Optional;

/** Remembers why output was lost, which a {@link java.io.PrintWriter} keeps to itself. */
final class Stdout extends FilterOutputStream {
    private Optional<String> lost = Optional.empty();

    Stdout(OutputStream out) {
        super(out);
    }

    @Override
    public void write(byte[] bytes, int at, int count) throws IOException {
        try {
            out.write(bytes, at, count);
        } catch (IOException e) {
            lost = Optional.of(Failure.reason(e));
            throw e;
        }
    }

    /** Why not all of it was written; nothing where a reader went away, which has what it wanted. */
    Optional<String> lost() {
        return lost.filter(reason -> !reason.equals("Broken pipe"));
    }
}
