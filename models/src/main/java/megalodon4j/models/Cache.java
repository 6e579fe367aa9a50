package megalodon4j.models;

/** What a model keeps of the tokens it has been fed, so that the next ones cost no more than themselves. */
public interface Cache {
    /** Tokens fed so far. */
    long position();

    /** How many of {@code remaining} tokens the model takes in one call: the rest follows in further ones. */
    int nextBlock(int remaining);
}
