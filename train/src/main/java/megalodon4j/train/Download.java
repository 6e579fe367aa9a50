package megalodon4j.train;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpClient.Redirect;
import java.net.http.HttpClient.Version;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.nio.channels.UnresolvedAddressException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;

/** A file that comes over HTTP and, where an earlier try broke off, goes on from there. */
final class Download {
    private static final int OK = 200;
    private static final int PARTIAL_CONTENT = 206;
    private static final int RANGE_NOT_SATISFIABLE = 416;

    private final URI from;
    private final Path to;
    private final Duration patience;
    private final PrintWriter err;

    /**
     * @param to where the bytes are, of this try and earlier ones
     * @param patience how long the server may be silent
     */
    Download(URI from, Path to, Duration patience, PrintWriter err) {
        this.from = from;
        this.to = to;
        this.patience = patience;
        this.err = err;
    }

    /** @throws Failure if not all of it came; what came stays */
    void run() throws IOException {
        var client = HttpClient.newBuilder()
                .version(Version.HTTP_1_1)
                .followRedirects(Redirect.NORMAL)
                .build();
        try {
            run(client);
        } finally {
            client.shutdownNow(); // close() would wait for a silent server
        }
    }

    private void run(HttpClient client) throws IOException {
        long have = Files.exists(to) ? Files.size(to) : 0;
        var response = send(client, have);
        if (response.statusCode() == RANGE_NOT_SATISFIABLE && have > 0) {
            response.body().close();
            if (header(response, "Content-Range").equals("bytes */" + have)) {
                return; // nothing was missing
            }
            have = 0; // longer than the whole: another file's
            response = send(client, have);
        }
        try (var body = new Impatient(response.body(), patience)) {
            receive(response, body, start(response, have));
        }
    }

    // No timeout of the request: up to Java 25 it ends with the headers, from 26 on it limits the whole download.
    private HttpResponse<InputStream> send(HttpClient client, long have) {
        var request = HttpRequest.newBuilder(from);
        if (have > 0) {
            request.header("Range", "bytes=" + have + "-");
        }
        try {
            return client.sendAsync(request.build(), BodyHandlers.ofInputStream())
                    .get(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw Failure.job("%s: no answer for %d s", from, patience.toSeconds())
                    .causedBy(e);
        } catch (ExecutionException e) {
            throw Failure.job("%s: no answer: %s", from, reason(e.getCause())).causedBy(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failure.job("%s: interrupted", from).causedBy(e);
        }
    }

    /** Which byte the answer begins with: the first one if the server knows no ranges. */
    private long start(HttpResponse<?> response, long have) {
        int status = response.statusCode();
        if (status == OK) {
            return 0;
        }
        var range = header(response, "Content-Range");
        if (status == PARTIAL_CONTENT && range.startsWith("bytes " + have + "-")) {
            return have;
        }
        throw Failure.job(
                "%s: the server answers %d%s; 200 or 206 with the bytes from %d on is expected",
                from, status, range.isEmpty() ? "" : " with " + range, have);
    }

    private void receive(HttpResponse<?> response, InputStream body, long start) throws IOException {
        long length = response.headers().firstValueAsLong("Content-Length").orElse(-1);
        var mode = start > 0 ? StandardOpenOption.APPEND : StandardOpenOption.TRUNCATE_EXISTING;
        try (var progress = new ByteProgress(err, "downloading", start, length < 0 ? -1 : start + length);
                var file = Files.newOutputStream(to, StandardOpenOption.CREATE, StandardOpenOption.WRITE, mode)) {
            progress.copy(body, file);
        } catch (FileSystemException e) {
            throw e; // of the file, not the server
        } catch (IOException e) {
            throw Failure.job(
                            "%s: broke off after %,d bytes: %s; the same command goes on from there",
                            from, Files.size(to), reason(e))
                    .causedBy(e);
        }
    }

    private static String header(HttpResponse<?> response, String name) {
        return response.headers().firstValue(name).orElse("");
    }

    /** A stream that fails if nothing comes for so long. */
    private static final class Impatient extends FilterInputStream {
        private final Duration patience;
        private volatile boolean silent;

        Impatient(InputStream in, Duration patience) {
            super(in);
            this.patience = patience;
        }

        @Override
        public int read() throws IOException {
            var one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] to, int at, int count) throws IOException {
            var waiting = new CompletableFuture<Void>();
            waiting.orTimeout(patience.toMillis(), TimeUnit.MILLISECONDS).exceptionally(_ -> giveUp());
            try {
                return in.read(to, at, count);
            } catch (IOException e) {
                throw silent ? new HttpTimeoutException("nothing came for " + patience.toSeconds() + " s") : e;
            } finally {
                waiting.complete(null);
            }
        }

        // Closing the stream ends the read that waits.
        private Void giveUp() {
            silent = true;
            try {
                in.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            return null;
        }
    }

    /** {@link Failure#reason} for what the client leaves without words. */
    private static String reason(Throwable e) {
        boolean unknown = Stream.iterate(e, cause -> cause != null, Throwable::getCause)
                .anyMatch(UnresolvedAddressException.class::isInstance);
        if (unknown) {
            return "unknown host";
        }
        boolean refused = e instanceof ConnectException && e.getMessage() == null;
        return refused ? "connection refused, or host out of reach" : Failure.reason(e);
    }
}
