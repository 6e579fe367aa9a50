package megalodon4j.train;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Text from bytes that come one at a time: a character is handed out when it is complete, and � for what is no UTF-8.
 */
final class Utf8Stream {
    private static final char UNKNOWN = '\uFFFD';

    private final CharsetDecoder decoder = StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    private final ByteBuffer bytes = ByteBuffer.allocate(16);
    private final CharBuffer chars = CharBuffer.allocate(32);

    /** The characters that this token completes; none, one or a few. */
    String add(int token) {
        if (token > 0xFF) {
            return finish() + UNKNOWN;
        }
        bytes.put((byte) token);
        return decode(false);
    }

    /** What is left when no more will come. */
    String finish() {
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
    static String decode(int... tokens) {
        var stream = new Utf8Stream();
        var text = new StringBuilder();
        for (int token : tokens) {
            text.append(stream.add(token));
        }
        return text.append(stream.finish()).toString();
    }

    /** Text that cannot move a terminal's cursor: control characters other than line ends and tabs become �. */
    static String printable(String text) {
        return text.replaceAll("[\\p{Cntrl}&&[^\n\t]]", String.valueOf(UNKNOWN));
    }
}
