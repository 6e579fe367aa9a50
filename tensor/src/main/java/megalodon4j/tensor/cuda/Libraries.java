package megalodon4j.tensor.cuda;

import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import megalodon4j.tensor.CudaException;

/**
 * Where CUDA's shared libraries are. Folders that the user names go before all others; among the rest the newest version that the driver can
 * serve is taken.
 */
final class Libraries {
    /** Names the folders that are searched in place of the usual ones, as a path list. */
    static final String FOLDERS = "megalodon.cuda.folders";

    static final String DRIVER = "libcuda";
    static final String BLAS = "libcublas";
    static final String FFT = "libcufft";
    static final String COMPILER = "libnvrtc";

    /** Of a folder that someone calls CUDA's home: where libraries may lie in it. */
    private static final List<String> INSIDE_HOME =
            List.of("", "lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib");

    private static final int ANY = Integer.MAX_VALUE;

    private final List<Path> named;
    private final List<Path> usual;

    /**
     * @param named folders that the user names
     * @param usual the others
     */
    Libraries(List<Path> named, List<Path> usual) {
        this.named = named;
        this.usual = usual;
    }

    /** Those of this machine; home, which may be null, is what the user calls CUDA's home. */
    static Libraries of(Path home) {
        var named = new LinkedHashSet<Path>();
        if (home != null) {
            INSIDE_HOME.forEach(folder -> named.add(home.resolve(folder)));
        }
        var instead = System.getProperty(FOLDERS);
        if (instead != null) {
            return new Libraries(List.copyOf(named), paths(instead).toList());
        }
        Stream.of("CUDA_HOME", "CUDA_PATH")
                .flatMap(name -> paths(System.getenv(name)))
                .forEach(folder -> INSIDE_HOME.forEach(inside -> named.add(folder.resolve(inside))));
        return new Libraries(List.copyOf(named), List.copyOf(usualFolders()));
    }

    private static Set<Path> usualFolders() {
        var folders = paths(System.getenv("LD_LIBRARY_PATH")).collect(Collectors.toCollection(LinkedHashSet::new));
        var arch = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
        Stream.of(
                        "/usr/lib/" + arch + "-linux-gnu",
                        "/usr/lib64",
                        "/usr/lib",
                        "/usr/lib/wsl/lib",
                        "/run/opengl-driver/lib")
                .map(Path::of)
                .forEach(folders::add);
        Stream.of("/usr/local", "/opt")
                .flatMap(parent -> list(Path.of(parent), "cuda*").stream())
                .flatMap(home -> Stream.of(home.resolve("lib64"), home.resolve("lib")))
                .forEach(folders::add);
        return folders;
    }

    private static Stream<Path> paths(String list) {
        return list == null
                ? Stream.empty()
                : Arrays.stream(list.split(File.pathSeparator))
                        .filter(path -> !path.isEmpty())
                        .map(Path::of);
    }

    /**
     * A library that was found.
     *
     * @param version from the file's name: 13.0.1, or as much of it as there is
     */
    record Found(String library, Path file, List<Integer> version) {
        /** The CUDA to which it belongs: cuFFT alone counts otherwise, 11 for CUDA 12. */
        int cuda() {
            return version.isEmpty() ? 0 : version.getFirst() + (library.equals(FFT) ? 1 : 0);
        }

        /** The newest version of another library in the same folder. */
        Optional<Path> companion(String other) {
            return in(file.getParent(), other).map(Found::file);
        }
    }

    /** The driver. */
    Found driver() {
        return find(DRIVER, ANY);
    }

    /**
     * A library of the toolkit.
     *
     * @param driverVersion the newest CUDA that the driver serves: 13000 for 13.0
     */
    Found toolkit(String library, int driverVersion) {
        return find(library, driverVersion / 1000);
    }

    private Found find(String library, int newest) {
        var first =
                named.stream().flatMap(folder -> in(folder, library).stream()).findFirst();
        if (first.isPresent()) {
            return first.get();
        }
        var all = usual.stream().flatMap(folder -> in(folder, library).stream()).toList();
        return all.stream()
                .filter(found -> found.cuda() <= newest)
                .max(BY_VERSION)
                .orElseThrow(() -> all.isEmpty() ? missing(library) : tooNew(all.getFirst(), newest));
    }

    /** Orders 12.4 before 12.10, and 13 before 13.0. */
    private static final Comparator<Found> BY_VERSION = (a, b) -> {
        int common = Math.min(a.version.size(), b.version.size());
        return IntStream.range(0, common)
                .map(i -> Integer.compare(a.version.get(i), b.version.get(i)))
                .filter(sign -> sign != 0)
                .findFirst()
                .orElse(Integer.compare(a.version.size(), b.version.size()));
    };

    private static Optional<Found> in(Path folder, String library) {
        var name = Pattern.compile(Pattern.quote(library) + "\\.so((\\.\\d+)+)");
        var found = new ArrayList<Found>();
        for (var file : list(folder, library + ".so.*")) {
            var match = name.matcher(file.getFileName().toString());
            if (match.matches()) {
                var version = Arrays.stream(match.group(1).substring(1).split("\\."))
                        .map(Integer::valueOf)
                        .toList();
                found.add(new Found(library, file.toAbsolutePath(), version));
            }
        }
        return found.stream().max(BY_VERSION);
    }

    private static List<Path> list(Path folder, String glob) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, glob)) {
            var list = new ArrayList<Path>();
            files.forEach(list::add);
            list.sort(Comparator.naturalOrder());
            return list;
        } catch (IOException e) {
            return List.of(); // no such folder, or not ours to read: nothing to find in it
        }
    }

    private CudaException missing(String library) {
        var searched = Stream.concat(named.stream(), usual.stream())
                .filter(Files::isDirectory)
                .map(Path::toString)
                .collect(Collectors.joining(", "));
        return new CudaException(String.format(
                Locale.ROOT,
                "%s.so not found; searched: %s. --cuda-home or CUDA_HOME names a folder that has it",
                library,
                searched.isEmpty() ? "no folder, since none of the usual ones exists" : searched));
    }

    private static CudaException tooNew(Found found, int newest) {
        return new CudaException(String.format(
                Locale.ROOT,
                "%s is of CUDA %d; the driver serves up to CUDA %d: install a newer driver or an older toolkit",
                found.file,
                found.cuda(),
                newest));
    }
}
