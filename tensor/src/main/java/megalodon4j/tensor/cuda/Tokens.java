package megalodon4j.tensor.cuda;

import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** Where tokens become numbers and numbers tokens. */
final class Tokens implements Kernels.Tokens {
    private static final int COLUMNS = 128;

    private final Launcher launcher;

    Tokens(Launcher launcher) {
        this.launcher = launcher;
    }

    @Override
    public void embedding(int[] ids, Tensor table, float scale, Tensor y) {
        try (var scope = launcher.scope()) {
            launcher.each("tokens.embedding", y.elements(), 2L * y.elements())
                    .ptr(launcher.ints(scope, ids))
                    .ptr(launcher.at(table))
                    .f32(scale)
                    .ptr(launcher.at(y))
                    .i32(y.elements())
                    .i32(y.columns())
                    .run();
        }
    }

    @Override
    public void embeddingGrad(Tensor dy, int[] ids, int paddingId, float scale, Tensor dtable, boolean add) {
        if (!add) {
            launcher.device.fill(launcher.at(dtable), 0, dtable.elements());
        }
        if (dy.elements() == 0) {
            return;
        }
        int columns = dy.columns();
        try (var scope = launcher.scope()) {
            launcher.launch(
                            "tokens.embeddingGrad",
                            ids.length,
                            (int) Launcher.blocks(columns, COLUMNS),
                            COLUMNS,
                            dy.elements() + 2L * dtable.elements())
                    .ptr(launcher.at(dy))
                    .ptr(launcher.ints(scope, ids))
                    .i32(paddingId)
                    .f32(scale)
                    .ptr(launcher.at(dtable))
                    .i32(ids.length)
                    .i32(columns)
                    .run();
        }
    }

    @Override
    public void crossEntropy(Tensor logits, int[] labels, float scale, Tensor losses, Tensor dlogits) {
        try (var scope = launcher.scope()) {
            launcher.warps("tokens.crossEntropy", labels.length, (dlogits == null ? 2L : 3L) * logits.elements())
                    .ptr(launcher.at(logits))
                    .ptr(launcher.ints(scope, labels))
                    .f32(scale)
                    .ptr(launcher.at(losses))
                    .ptr(launcher.at(dlogits))
                    .i32(labels.length)
                    .i32(logits.columns())
                    .run();
        }
    }
}
