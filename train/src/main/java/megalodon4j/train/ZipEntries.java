package megalodon4j.train;

import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipInputStream;

/** What a zip file holds, one entry after another. */
final class ZipEntries extends InputStream {
    private final ZipInputStream zip;
    private boolean within;

    /** @throws IOException if there is no entry */
    ZipEntries(InputStream in) throws IOException {
        zip = new ZipInputStream(in);
        within = zip.getNextEntry() != null;
        if (!within) {
            throw new IOException("not a zip file, or an empty one");
        }
    }

    @Override
    public int read() throws IOException {
        var one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] to, int at, int count) throws IOException {
        for (; within; within = zip.getNextEntry() != null) {
            int read = zip.read(to, at, count);
            if (read >= 0) {
                return read;
            }
        }
        return -1;
    }

    @Override
    public void close() throws IOException {
        zip.close();
    }
}
