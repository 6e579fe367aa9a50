package megalodon4j.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import megalodon4j.tensor.CudaException;
import megalodon4j.tensor.CudaReport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The right libraries are found, and what is missing is said. */
class LibrariesTest {
    @TempDir
    private Path folder;

    @Test
    void theNewestThatTheDriverServesIsTaken() throws IOException {
        var old = folder("old", "libcublas.so.12", "libcublas.so.12.4.5.8", "libcufft.so.11", "libnvrtc.so.12");
        var recent = folder("recent", "libcublas.so.13.10", "libcublas.so.13.9", "libcufft.so.12", "libnvrtc.so.13");
        for (var order : List.of(List.of(old, recent), List.of(recent, old))) {
            var libraries = new Libraries(List.of(), order);
            assertEquals(
                    recent.resolve("libcublas.so.13.10"),
                    libraries.toolkit(Libraries.BLAS, 13000).file());
            assertEquals(
                    old.resolve("libcublas.so.12.4.5.8"),
                    libraries.toolkit(Libraries.BLAS, 12040).file());
            // cuFFT counts otherwise: its 12 is CUDA's 13.
            assertEquals(
                    recent.resolve("libcufft.so.12"),
                    libraries.toolkit(Libraries.FFT, 13010).file());
            assertEquals(
                    old.resolve("libcufft.so.11"),
                    libraries.toolkit(Libraries.FFT, 12080).file());
        }
    }

    @Test
    void namedFoldersGoFirst() throws IOException {
        var home = folder("home");
        var lib64 = folder("home/lib64", "libcublas.so.12");
        var usual = folder("usual", "libcublas.so.13", "libnvrtc.so.13");
        var libraries = withFolders(usual, () -> Libraries.of(home));
        assertEquals(
                lib64.resolve("libcublas.so.12"),
                libraries.toolkit(Libraries.BLAS, 13000).file());
        assertEquals(
                usual.resolve("libnvrtc.so.13"),
                libraries.toolkit(Libraries.COMPILER, 13000).file());
    }

    @Test
    void onlyTheLibraryItselfCounts() throws IOException {
        var only =
                folder("only", "libnvrtc.alt.so.13", "libnvrtc-builtins.so.13.0", "libnvrtc.so", "libnvrtc.so.13.bak");
        var libraries = new Libraries(List.of(), List.of(only));
        assertThrows(CudaException.class, () -> libraries.toolkit(Libraries.COMPILER, 13000));
        var found =
                new Libraries(List.of(folder("only", "libnvrtc.so.13")), List.of()).toolkit(Libraries.COMPILER, 13000);
        assertEquals(
                only.resolve("libnvrtc-builtins.so.13.0"),
                found.companion("libnvrtc-builtins").orElseThrow());
    }

    @Test
    void whatIsMissingIsNamedWithTheFoldersSearched() throws IOException {
        var a = folder("a", "libcuda.so.1");
        var b = folder("b");
        var none = folder.resolve("none");
        var missing = assertThrows(
                CudaException.class, () -> new Libraries(List.of(a), List.of(b, none)).toolkit(Libraries.BLAS, 13000));
        assertEquals(
                "libcublas.so not found; searched: " + a + ", " + b
                        + ". --cuda-home or CUDA_HOME names a folder that has it",
                missing.getMessage());
        var tooNew = assertThrows(
                CudaException.class,
                () -> new Libraries(List.of(), List.of(folder("c", "libcublas.so.13"))).toolkit(Libraries.BLAS, 12080));
        assertTrue(tooNew.getMessage().contains("libcublas.so.13 is of CUDA 13"), tooNew::getMessage);
        assertTrue(tooNew.getMessage().contains("up to CUDA 12"), tooNew::getMessage);
    }

    @Test
    void whatIsNoLibraryIsSaid() throws IOException {
        var a = folder("a", "libcuda.so.1");
        var report = CudaReport.of(a);
        assertFalse(report.available());
        assertTrue(report.problem().startsWith(a.resolve("libcuda.so.1") + " cannot be loaded"), report::problem);
    }

    @Test
    void aSurveySaysWhatThereIs() {
        var report = CudaReport.of(SimulatedDevice.home());
        assertTrue(report.available());
        assertEquals(List.of(new CudaReport.Gpu(0, "simulated device", "9.0", 1L << 40)), report.gpus());
        assertEquals(
                "driver for CUDA 13.0 from " + SimulatedDevice.home().resolve("libcuda.so.1"),
                report.libraries().getFirst());
        assertEquals(4, report.libraries().size());
        SimulatedDevice.capability(75);
        try {
            assertEquals(
                    "no GPU of compute capability 8.0 or more",
                    CudaReport.of(SimulatedDevice.home()).problem());
        } finally {
            SimulatedDevice.capability(90);
        }
    }

    private Path folder(String name, String... files) throws IOException {
        var made = Files.createDirectories(folder.resolve(name)).toAbsolutePath();
        for (var file : files) {
            Files.writeString(made.resolve(file), "no library");
        }
        return made;
    }

    private static Libraries withFolders(Path usual, Supplier<Libraries> make) {
        System.setProperty(Libraries.FOLDERS, usual + File.pathSeparator + usual.resolve("none"));
        try {
            return make.get();
        } finally {
            System.clearProperty(Libraries.FOLDERS);
        }
    }
}
