package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Assumptions;

/**
 * CUDA's libraries with a simulated device behind them, built from src/test/cpp by g++ at their first use. What it simulates and what it refuses is
 * told in docs/cuda.md.
 *
 * <p>Without Linux and g++, tests that ask for it are skipped with a message, and fail where the environment says {@code CI=true}.
 */
@SuppressWarnings("restricted")
public final class SimulatedDevice {
    /** The order of blocks, and of the threads of a block between two barriers. Right kernels do not see a difference. */
    public enum Order {
        FORWARD,
        REVERSED,
        PERMUTED
    }

    /** The memory that the device has at first: all that tests ask for. */
    public static final int ENOUGH_MEGABYTES = 1 << 20;

    private static final String LIBRARY = "libsimulated.so";
    private static final List<String> NAMES =
            List.of("libcuda.so.1", "libcublas.so.13", "libcufft.so.12", "libnvrtc.so.13");

    private static Path home;

    private SimulatedDevice() {}

    /** The folder of the libraries, to be given as CUDA's home. From now on compiled kernels are cached in it as well. */
    public static synchronized Path home() {
        if (home == null) {
            try {
                home = build(sources());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            System.setProperty(CubinCache.FOLDER, home.resolve("cubins").toString());
        }
        return home;
    }

    /** In which order all kernels run from now on. */
    public static void order(Order order) {
        call("simulatedOrder", order.ordinal());
    }

    /** What the device says it is: 90 for compute capability 9.0. Devices that are open do not notice. */
    public static void capability(int capability) {
        call("simulatedCapability", capability);
    }

    /** How much memory the device has from now on. Its own working memory takes 32 MB of it. */
    public static void memory(int megabytes) {
        call("simulatedMemory", megabytes);
    }

    /** Whether kernels, products and transforms are left out from now on: for who wants to see the calls only. */
    public static void dry(boolean dry) {
        call("simulatedDry", dry ? 1 : 0);
    }

    /** Handles and allocations of this process that have not been given back. */
    public static long outstanding() {
        var type = FunctionDescriptor.of(ValueLayout.JAVA_LONG);
        try {
            return (long) Linker.nativeLinker()
                    .downcallHandle(library().findOrThrow("simulatedOutstanding"), type)
                    .invokeExact();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static void call(String function, int argument) {
        var type = FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT);
        try {
            Linker.nativeLinker()
                    .downcallHandle(library().findOrThrow(function), type)
                    .invokeExact(argument);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static SymbolLookup library() {
        return SymbolLookup.libraryLookup(home().resolve(LIBRARY), Arena.global());
    }

    // --- building ---------------------------------------------------------------------------------------------------

    private static Path sources() {
        // The working folder is a module's.
        var folder = Path.of("../tensor/src/test/cpp").toAbsolutePath().normalize();
        return Files.isDirectory(folder) ? folder : fail(folder + ": no such folder");
    }

    private static Path build(Path sources) throws IOException {
        var version = Long.toHexString(checksum(sources));
        var built =
                sources.resolve("../../../target/simulated-cuda").normalize().resolve(version);
        if (!Files.isDirectory(built)) {
            requireCompiler();
            Files.createDirectories(built.getParent());
            var aside = Files.createTempDirectory(built.getParent(), ".tmp-");
            compile(sources, aside);
            for (var name : NAMES) {
                Files.createSymbolicLink(aside.resolve(name), Path.of(LIBRARY));
            }
            publish(aside, built);
        }
        return built;
    }

    private static void publish(Path aside, Path built) throws IOException {
        try {
            Files.move(aside, built, StandardCopyOption.ATOMIC_MOVE);
        } catch (FileAlreadyExistsException | DirectoryNotEmptyException e) {
            // Another process was faster, with the same result.
        }
    }

    private static long checksum(Path sources) throws IOException {
        var sum = new CRC32();
        for (var file : files(sources, "")) {
            sum.update(Files.readAllBytes(file));
        }
        return sum.getValue();
    }

    private static List<Path> files(Path folder, String suffix) throws IOException {
        try (var list = Files.list(folder)) {
            return list.filter(file -> file.toString().endsWith(suffix))
                    .sorted()
                    .toList();
        }
    }

    private static void requireCompiler() {
        boolean linux = System.getProperty("os.name").equals("Linux");
        if (linux && starts("g++", "--version")) {
            return;
        }
        var message = (linux ? "g++ is missing" : "this is not Linux")
                + ", so that nothing of CUDA is tested on the simulated device";
        if ("true".equals(System.getenv("CI"))) {
            fail(message);
        }
        Assumptions.abort(message);
    }

    private static boolean starts(String... command) {
        try {
            new ProcessBuilder(command).start().destroy();
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static void compile(Path sources, Path into) throws IOException {
        var command = new ArrayList<>(List.of("g++", "-std=c++17", "-O2", "-Wall", "-Werror", "-shared", "-fPIC"));
        command.add("-DSIMULATED_FOLDER=\"" + sources + "\"");
        command.add("-DSIMULATED_VERSION=" + (1000 + checksum(sources) % 1_000_000));
        for (var headers : headers()) {
            command.add("-isystem" + headers);
        }
        command.add("-o");
        command.add(into.resolve(LIBRARY).toString());
        files(sources, ".cpp").forEach(file -> command.add(file.toString()));
        command.add("-ldl");
        var log = into.resolve("g++.log");
        var process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            if (process.waitFor() != 0) {
                fail(String.join(" ", command) + "\n" + Files.readString(log));
            }
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** Where CUDA's own headers are, if they are: the compiler then checks the simulated functions against them. */
    private static List<Path> headers() throws IOException {
        var homes = new ArrayList<Path>();
        if (System.getenv("CUDA_HOME") != null) {
            homes.add(Path.of(System.getenv("CUDA_HOME")));
        }
        var local = Path.of("/usr/local");
        if (Files.isDirectory(local)) {
            try (var list = Files.newDirectoryStream(local, "cuda*")) {
                list.forEach(homes::add);
            }
        }
        return homes.stream()
                .map(home -> home.resolve("include"))
                .filter(Files::isDirectory)
                .toList();
    }
}
