package megalodon4j.models;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Text from tokens that are bytes and come one at a time: a character is handed out when it is complete, and � for what
 * is no UTF-8.
 */
public final class Utf8Stream {
    private static final char UNKNOWN = '\uFFFD';

    private final CharsetDecoder decoder = StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    private final ByteBuffer bytes = ByteBuffer.allocate(16);
    private final CharBuffer chars = CharBuffer.allocate(32);

    /** At the beginning of a text. */
    public Utf8Stream() {}

    /** The characters that this token, 0 … 255, completes; none, one or a few. Any other token is a �. */
    public String add(int token) {
        if (token < 0 || token > 0xFF) {
            return finish() + UNKNOWN;
        }
        bytes.put((byte) token);
        return decode(false);
    }

    /** What is left when no more will come. */
    public String finish() {
        var rest = decode(true);
        decoder.reset();
        bytes.clear();
        return rest;
    }

    private String decode(boolean last) {
        chars.clear();
        decoder.decode(bytes.flip(), chars, last);
        bytes.compact();
        if (last) {
            decoder.flush(chars);
        }
        return chars.flip().toString();
    }

    /** All of it at once. */
    public static String decode(int... tokens) {
        var stream = new Utf8Stream();
        var text = new StringBuilder();
        for (int token : tokens) {
            text.append(stream.add(token));
        }
        return text.append(stream.finish()).toString();
    }

    /** The tokens of bytes. */
    public static int[] tokens(byte[] bytes) {
        var tokens = new int[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            tokens[i] = bytes[i] & 0xFF;
        }
        return tokens;
    }

    /** The tokens of a text's UTF-8. */
    public static int[] tokens(String text) {
        return tokens(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Text that cannot move a terminal's cursor: control characters other than line ends and tabs become �. */
    public static String printable(String text) {
        return text.replaceAll("[\\p{Cc}&&[^\n\t]]", String.valueOf(UNKNOWN));
    }
}
