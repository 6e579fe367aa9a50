package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import java.util.List;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** Sums of whole tensors and of columns, in an order that depends on the shapes alone. */
final class Reductions implements Kernels.Reductions {
    private static final int RUN = 4096;
    private static final int BLOCK = 256;

    private final Launcher launcher;

    Reductions(Launcher launcher) {
        this.launcher = launcher;
    }

    @Override
    public double sum(Tensor x) {
        return sum(List.of(x), false);
    }

    @Override
    public double sumOfSquares(List<Tensor> tensors) {
        return tensors.isEmpty() ? 0 : sum(tensors, true);
    }

    /** Σ x or Σ x² of all the tensors together; waits for it. */
    private double sum(List<Tensor> tensors, boolean squared) {
        int blocks = 0;
        for (var x : tensors) {
            blocks += blocks(x);
        }
        try (var scope = launcher.scope()) {
            long partial = launcher.floats(scope, 2 * blocks), total = launcher.floats(scope, 2);
            long to = partial;
            for (var x : tensors) {
                launcher.launch("reductions.partialSums", blocks(x), 1, BLOCK, x.elements())
                        .ptr(launcher.at(x))
                        .i32(x.elements())
                        .i32(flag(squared))
                        .ptr(to)
                        .run();
                to += (long) blocks(x) * Double.BYTES;
            }
            launcher.launch("reductions.total", 1, 1, BLOCK, 2L * blocks)
                    .ptr(partial)
                    .i32(blocks)
                    .ptr(total)
                    .run();
            var parts = new float[2];
            launcher.device.download(total, parts, 0, 2);
            return (double) parts[0] + parts[1];
        }
    }

    private static int blocks(Tensor x) {
        return (int) Math.max(1, Launcher.blocks(x.elements(), RUN));
    }

    @Override
    public void sumRows(Tensor dy, Tensor dColumns, boolean add) {
        int rows = dy.rows(), columns = dy.columns();
        launcher.columnSums(
                "reductions.sumRows",
                rows,
                columns,
                dy.elements(),
                dColumns,
                add,
                launch -> launch.ptr(launcher.at(dy)).i32(rows).i32(columns));
    }
}
