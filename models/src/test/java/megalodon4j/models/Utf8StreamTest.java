package megalodon4j.models;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class Utf8StreamTest {
    @Test
    void brokenUtf8BecomesReadable() {
        var stream = new Utf8Stream();
        assertEquals("", stream.add(0xE2));
        assertEquals("", stream.add(0x82));
        assertEquals("€", stream.add(0xAC));
        assertEquals("", stream.add(0xE2));
        assertEquals("�a", stream.add('a'));
        assertEquals("�", stream.add(0xFF));
        assertEquals("", stream.add(0xF0));
        assertEquals("�", stream.finish());
        assertEquals("x�y", Utf8Stream.decode('x', 300, 'y'));
        assertEquals("é😀", Utf8Stream.decode(Utf8Stream.tokens("é😀")));
        assertEquals("a\n\t�[2J", Utf8Stream.printable("a\n\t\u001b[2J"));
        assertEquals("�2J é", Utf8Stream.printable("\u009b2J é"), "the escape sequences of 8 bits");
    }
}
