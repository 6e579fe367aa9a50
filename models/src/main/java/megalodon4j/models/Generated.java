package megalodon4j.models;

import java.util.List;
import megalodon4j.tensor.Philox;

/**
 * A continued text, and all that it takes to go on with it ({@link Generator#resume}).
 *
 * <p>What was drawn stays part of what the model has read, the stop string or end-of-text token included.
 */
public final class Generated {
    /** Why a text ends. */
    public enum End {
        /** As many tokens as were allowed. */
        LENGTH,
        /** The end-of-text token. */
        END_OF_TEXT,
        /** A stop string. */
        STOP_STRING
    }

    private final int[] tokens;
    private final End end;
    private final Session session;
    private final long position; // where the session stood
    private final int[] unread;
    private final List<Integer> held;
    private final Philox random;

    Generated(int[] tokens, End end, Session session, int[] unread, List<Integer> held, Philox random) {
        this.tokens = tokens;
        this.end = end;
        this.session = session;
        position = session.position();
        this.unread = unread;
        this.held = held;
        this.random = random;
    }

    /** The new tokens, without the prompt and without what ended the text. */
    public int[] tokens() {
        return tokens.clone();
    }

    public End end() {
        return end;
    }

    /** The text of {@link #tokens} that are bytes, � for what is no UTF-8. */
    public String text() {
        return Utf8Stream.decode(tokens);
    }

    /** The model's state; it lacks the last token drawn, which {@link Generator#resume} feeds first. */
    public Session session() {
        return session;
    }

    /** Whether the session has read more since. */
    boolean isPast() {
        return session.position() != position;
    }

    /** What the session has yet to read. */
    int[] unread() {
        return unread;
    }

    /** The end of the text, as much as may be the beginning of a stop string. */
    List<Integer> held() {
        return held;
    }

    /** Where the random numbers go on. */
    Philox random() {
        return random;
    }
}
