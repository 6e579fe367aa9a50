package megalodon4j.tensor.cuda;

import static megalodon4j.tensor.cuda.Launcher.flag;

import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;

/** Causal attention by tiles, within chunks. */
final class Attention implements Kernels.Attention {
    private static final int TILE = 64;
    private static final int THREADS = 128;

    private final Launcher launcher;

    Attention(Launcher launcher) {
        this.launcher = launcher;
    }

    @Override
    public void attention(
            Tensor q,
            Tensor k,
            Tensor v,
            int keys,
            Tensor mask,
            int heads,
            int chunk,
            float scale,
            Dropout dropout,
            Tensor o,
            Tensor logSum) {
        int batch = q.shape().size(0), queries = q.shape().size(1), d = q.columns() / heads, e = v.columns() / heads;
        int blocks = tiles(queries) * tiles(e);
        if (blocks == 0 || batch == 0) {
            return;
        }
        var launch = launcher.launch(
                        "attention.attention",
                        blocks,
                        Math.multiplyExact(batch, heads),
                        THREADS,
                        (long) batch * keys * (k.columns() + v.columns()) + q.elements() + o.elements())
                .ptr(launcher.at(q))
                .ptr(launcher.at(k))
                .ptr(launcher.at(v))
                .ptr(launcher.at(mask))
                .ptr(launcher.at(o))
                .ptr(launcher.at(logSum))
                .i32(queries)
                .i32(keys)
                .i32(k.shape().size(1))
                .i32(heads)
                .i32(d)
                .i32(e)
                .i32(Math.min(chunk, keys))
                .f32(scale);
        launcher.dropout(launch, dropout).run();
    }

    @Override
    public void attentionGrad(
            Tensor dO,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor mask,
            int heads,
            int chunk,
            float scale,
            Dropout dropout,
            Tensor o,
            Tensor logSum,
            Tensor dq,
            Tensor dk,
            Tensor dv,
            boolean addQ,
            boolean addK,
            boolean addV) {
        int batch = q.shape().size(0), length = q.shape().size(1), d = q.columns() / heads, e = v.columns() / heads;
        int blocks = tiles(length) * (2 * tiles(d) + tiles(e));
        if (blocks == 0 || batch == 0) {
            return;
        }
        try (var scope = launcher.scope()) {
            long delta = delta(dO, o, heads, length, e, launcher.floats(scope, q.rows() * heads));
            var launch = launcher.launch(
                            "attention.attentionGrad",
                            blocks,
                            Math.multiplyExact(batch, heads),
                            THREADS,
                            4L * q.elements() + 4L * v.elements())
                    .ptr(launcher.at(dO))
                    .ptr(launcher.at(q))
                    .ptr(launcher.at(k))
                    .ptr(launcher.at(v))
                    .ptr(launcher.at(mask))
                    .ptr(launcher.at(logSum))
                    .ptr(delta)
                    .ptr(launcher.at(dq))
                    .ptr(launcher.at(dk))
                    .ptr(launcher.at(dv))
                    .i32(length)
                    .i32(heads)
                    .i32(d)
                    .i32(e)
                    .i32(Math.min(chunk, length))
                    .f32(scale)
                    .i32(flag(addQ))
                    .i32(flag(addK))
                    .i32(flag(addV));
            launcher.dropout(launch, dropout).run();
        }
    }

    private long delta(Tensor dO, Tensor o, int heads, int length, int e, long delta) {
        int count = o.rows() * heads;
        launcher.warps("attention.delta", count, 2L * o.elements())
                .ptr(launcher.at(dO))
                .ptr(launcher.at(o))
                .ptr(delta)
                .i32(count)
                .i32(length)
                .i32(heads)
                .i32(e)
                .run();
        return delta;
    }

    private static int tiles(int n) {
        return (int) Launcher.blocks(n, TILE);
    }
}
