package megalodon4j.tensor.cuda;

/** Recorded work, to be run again as a whole: one call for all of it. */
final class Graph implements AutoCloseable {
    private final Device device;
    private long executable;

    Graph(Device device, long executable) {
        this.device = device;
        this.executable = executable;
    }

    void launch() {
        device.launch(executable);
    }

    @Override
    public void close() {
        if (executable != 0) {
            device.destroy(executable);
            executable = 0;
        }
    }
}
