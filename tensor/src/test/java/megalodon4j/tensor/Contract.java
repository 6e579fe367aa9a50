package megalodon4j.tensor;

/** What the parts of the {@link BackendContract} know: whom they test. */
interface Contract {
    /** Widths around the sizes of vectors and tiles. */
    int[] WIDTHS = {1, 2, 3, 13, 31, 32, 33, 64, 207, 384, 702};

    int[] LENGTHS = {1, 5, 16, 63, 64, 65, 130, 300};

    /** The backend, the same one each time. */
    Backend backend();

    default Trial trial(int seed) {
        return new Trial(backend(), seed);
    }
}
