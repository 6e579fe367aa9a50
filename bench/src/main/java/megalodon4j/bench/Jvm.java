package megalodon4j.bench;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Another JVM like this one. */
final class Jvm {
    private Jvm() {}

    /** A program on the class path of this JVM, with its flags and further ones, which count where the two disagree. */
    static ProcessBuilder again(Class<?> program, List<String> flags, String... arguments) {
        var command = new ArrayList<String>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(flags);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), program.getName()));
        command.addAll(List.of(arguments));
        var process = new ProcessBuilder(command);
        // A child does not inherit the launcher's third descriptor.
        process.environment().remove("MEGALODON_STDERR");
        return process;
    }
}
