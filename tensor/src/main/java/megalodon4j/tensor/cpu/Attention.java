package megalodon4j.tensor.cpu;

import static megalodon4j.tensor.cpu.CpuStorage.data;
import static megalodon4j.tensor.cpu.CpuStorage.offset;
import static megalodon4j.tensor.cpu.Gemm.NR;

import java.util.Arrays;
import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Kernels;
import megalodon4j.tensor.Tensor;
import megalodon4j.tensor.Workers;

/**
 * Causal attention by tiles: one worker takes one chunk of one head of one sequence and walks over blocks of {@link Gemm#NR} queries
 * (forward) or keys (backward). Nothing of size L × L exists, and no score above the diagonal is computed but in the tiles on it.
 *
 * <p>Scores lie the way the next product wants them, [keys][queries] forward and [queries][keys] backward, so that they are packed already:
 * forward Sᵀ = K Qᵀ and Oᵀ = Vᵀ Pᵀ; backward S = Q Kᵀ, dP = dO Vᵀ, dVᵀ = dOᵀ P, dKᵀ = Qᵀ dS and dQ = dS K. Backward recomputes the
 * probabilities from the saved logarithms of their sums, as FlashAttention does (Dao et al. 2022).
 */
final class Attention implements Kernels.Attention {
    private final Workers workers;
    private final Dropouts dropouts;
    private final WorkerScratch scratch;
    private final FewQueries fewQueries;

    Attention(Workers workers, Dropouts dropouts) {
        this.workers = workers;
        this.dropouts = dropouts;
        this.scratch = new WorkerScratch(workers);
        this.fewQueries = new FewQueries(workers);
    }

    /** Where the gradients come from and go to. */
    private record Gradients(Tensor dO, Tensor dq, Tensor dk, Tensor dv, boolean addQ, boolean addK, boolean addV) {}

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
        var s = new AttentionCall(q, k, v, keys, mask, heads, chunk, scale, dropout, o, logSum);
        if (s.queries <= FewQueries.MOST && dropout == null) {
            fewQueries.forward(s);
            return;
        }
        workers.run(s.items(), (item, worker) -> forward(s, item, worker));
    }

    private void forward(AttentionCall s, int item, int worker) {
        int b = s.sequence(item), h = s.head(item), first = s.firstKey(item);
        int count = Math.min(s.chunk, s.keys - first);
        int qFirst = Math.max(0, first - s.shift), qCount = Math.min(count, s.queries - qFirst);
        int d = s.d, e = s.e, qWidth = s.heads * d, vWidth = s.heads * e;
        int kPanels = Math.ceilDiv(count, Gemm.MR) * Gemm.MR * d, vPanels = Math.ceilDiv(e, Gemm.MR) * Gemm.MR * count;
        int factors = Gemm.PANELS + kPanels + vPanels + (d + count + e + 3) * NR + NR * e + 6 * Pack.SLACK;
        var w = scratch.of(worker, factors + (s.dropout == null ? 0 : count));
        int kAt = Gemm.PANELS, vAt = kAt + kPanels + Pack.SLACK, qAt = vAt + vPanels + Pack.SLACK;
        int scores = qAt + d * NR + Pack.SLACK, out = scores + count * NR + Pack.SLACK, sums = out + e * NR;
        int rows = sums + 3 * NR;
        int kFrom = s.k.offset() + (b * s.capacity + first) * qWidth + h * d;
        int vFrom = s.v.offset() + (b * s.capacity + first) * vWidth + h * e;
        Gemm.packA(false, data(s.k), kFrom, qWidth, count, d, w, kAt);
        Gemm.packA(true, data(s.v), vFrom, vWidth, e, count, w, vAt);
        for (int i = 0; i < qCount; i += NR) {
            int width = Math.min(NR, qCount - i);
            int query = b * s.queries + qFirst + i;
            // The block's first query sees this many keys, its last one width - 1 more.
            int sees = qFirst + i + s.shift - first + 1, visible = sees + width - 1;
            Gemm.packB(true, data(s.q), s.q.offset() + query * qWidth + h * d, qWidth, d, width, w, qAt);
            // Whole panels of keys, as they are packed.
            int keys = Math.min(count, Math.ceilDiv(visible, Gemm.MR) * Gemm.MR);
            Gemm.multiply(keys, NR, d, w, kAt, w, qAt, 0, w, scores, NR, false, w, 0);
            hideInvalid(visible, s.mask, b * s.keys + first, w, scores);
            Softmax.columns(visible, sees, s.scale, w, scores, sums);
            for (int c = 0; s.dropout != null && c < width; c++) {
                int row = h * s.queries + qFirst + i + c;
                dropouts.factors(s.dropout, b, row, first, sees + c, w, factors, worker);
                multiplyColumn(sees + c, w, factors, scores + c);
            }
            // Vᵀ is packed to the depth of all keys: each panel's first rows are the visible ones.
            for (int r = 0; r < e; r += Gemm.MR) {
                Gemm.multiply(
                        Math.min(Gemm.MR, e - r),
                        NR,
                        visible,
                        w,
                        vAt + r * count,
                        w,
                        scores,
                        0,
                        w,
                        out + r * NR,
                        NR,
                        false,
                        w,
                        0);
            }
            Softmax.scaleColumns(e, w, out, sums + NR);
            Pack.transposeRows(w, out, NR, e, width, w, rows, e);
            putRows(w, rows, width, e, data(s.o), s.o.offset() + query * vWidth + h * e, vWidth, false);
            if (s.logSum != null) {
                System.arraycopy(
                        w, sums, data(s.logSum), s.logSum.offset() + (b * s.heads + h) * s.queries + qFirst + i, width);
            }
        }
    }

    private static void multiplyColumn(int rows, float[] w, int factors, int at) {
        for (int j = 0; j < rows; j++) {
            w[at + j * NR] *= w[factors + j];
        }
    }

    // A key that is no key gets the score −∞.
    private static void hideInvalid(int keys, Tensor mask, int from, float[] w, int scores) {
        if (mask != null) {
            for (int j = 0; j < keys; j++) {
                if (data(mask)[mask.offset() + from + j] == 0) {
                    Arrays.fill(w, scores + j * NR, scores + (j + 1) * NR, Float.NEGATIVE_INFINITY);
                }
            }
        }
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
        var s = new AttentionCall(q, k, v, q.shape().size(1), mask, heads, chunk, scale, dropout, o, logSum);
        var g = new Gradients(dO, dq, dk, dv, addQ, addK, addV);
        workers.run(s.items(), (item, worker) -> backward(s, g, item, worker));
    }

    private void backward(AttentionCall s, Gradients g, int item, int worker) {
        int b = s.sequence(item), h = s.head(item), first = s.firstKey(item);
        int count = Math.min(s.chunk, s.keys - first);
        int d = s.d, e = s.e, qWidth = s.heads * d, vWidth = s.heads * e;
        int rowPanels = Math.ceilDiv(count, Gemm.MR) * Gemm.MR;
        int dPanels = Math.ceilDiv(d, Gemm.MR) * Gemm.MR, ePanels = Math.ceilDiv(e, Gemm.MR) * Gemm.MR;
        int dColumns = Math.ceilDiv(d, NR) * NR;
        int slack = Pack.SLACK;
        int floats = Gemm.PANELS
                + rowPanels * (d + e)
                + (dPanels + ePanels) * count
                + 2 * count * NR
                + rowPanels * NR
                + NR * (d + e + dColumns)
                + 2 * NR * Math.max(d, e)
                + count
                + 12 * slack;
        int factors = floats; // [queries][keys], like scores
        var w = scratch.of(worker, floats + (s.dropout == null ? 0 : count * NR));
        int qAt = Gemm.PANELS, oAt = qAt + rowPanels * d + slack; // Q and dO, rows in panels
        int qtAt = oAt + rowPanels * e + slack, otAt = qtAt + dPanels * count + slack; // Qᵀ and dOᵀ
        int scores = otAt + ePanels * count + slack, dScores = scores + count * NR + slack; // P and dS
        int dsAt = dScores + count * NR + slack; // dS, rows in panels
        int ktAt = dsAt + rowPanels * NR + slack, vtAt = ktAt + d * NR + slack, kAt = vtAt + e * NR + slack;
        int out = kAt + dColumns * NR + slack,
                rows = out + NR * Math.max(d, e),
                delta = rows + NR * Math.max(d, e) + slack;
        int token = b * s.queries + first;
        int qFrom = token * qWidth + h * d, vFrom = token * vWidth + h * e;
        int sumsFrom = offset(s.logSum) + (b * s.heads + h) * s.queries + first;

        Gemm.packA(false, data(s.q), s.q.offset() + qFrom, qWidth, count, d, w, qAt);
        Gemm.packA(false, data(g.dO), g.dO.offset() + vFrom, vWidth, count, e, w, oAt);
        Gemm.packA(true, data(s.q), s.q.offset() + qFrom, qWidth, d, count, w, qtAt);
        Gemm.packA(true, data(g.dO), g.dO.offset() + vFrom, vWidth, e, count, w, otAt);
        for (int i = 0, at = vFrom; i < count; i++, at += vWidth) {
            w[delta + i] = Reductions.dot(data(g.dO), g.dO.offset() + at, data(s.o), s.o.offset() + at, e);
        }
        for (int j = 0; j < count; j += NR) {
            int width = Math.min(NR, count - j);
            // Queries before the tile of the block's first key see none of it.
            int skip = j / Gemm.MR * Gemm.MR, seen = count - skip;
            int kFrom = s.k.offset() + qFrom + j * qWidth, vAt = s.v.offset() + vFrom + j * vWidth;
            Gemm.packB(true, data(s.k), kFrom, qWidth, d, width, w, ktAt);
            Gemm.packB(true, data(s.v), vAt, vWidth, e, width, w, vtAt);
            Gemm.multiply(seen, NR, d, w, qAt + skip * d, w, ktAt, 0, w, scores, NR, false, w, 0);
            Gemm.multiply(seen, NR, e, w, oAt + skip * e, w, vtAt, 0, w, dScores, NR, false, w, 0);
            // The gradient of what was kept of the weights becomes that of the weights.
            if (s.dropout != null) {
                factors(s, b, h, first + skip, first + j, seen, width, w, factors, worker);
                multiplyRows(seen, skip - j, width, w, factors, dScores);
            }
            Softmax.gradient(
                    seen,
                    skip - j,
                    width,
                    s.scale,
                    data(s.mask),
                    offset(s.mask) + token + j,
                    data(s.logSum),
                    sumsFrom + skip,
                    w,
                    delta + skip,
                    scores,
                    dScores);

            if (s.dropout != null) {
                multiplyRows(seen, skip - j, width, w, factors, scores);
            }
            transposedProduct(e, seen, w, otAt, count, skip, scores, out);
            Pack.transposeRows(w, out, NR, e, width, w, rows, e);
            putRows(w, rows, width, e, data(g.dv), g.dv.offset() + vFrom + j * vWidth, vWidth, g.addV);
            transposedProduct(d, seen, w, qtAt, count, skip, dScores, out);
            Pack.transposeRows(w, out, NR, d, width, w, rows, d);
            putRows(w, rows, width, d, data(g.dk), g.dk.offset() + qFrom + j * qWidth, qWidth, g.addK);

            for (int c = 0; c < d; c += NR) {
                Gemm.packB(false, data(s.k), kFrom + c, qWidth, width, Math.min(NR, d - c), w, kAt + c * width);
            }
            Gemm.packA(false, w, dScores, NR, seen, width, w, dsAt);
            Gemm.multiply(
                    seen,
                    d,
                    width,
                    w,
                    dsAt,
                    w,
                    kAt,
                    width * NR,
                    data(g.dq),
                    g.dq.offset() + qFrom + skip * qWidth,
                    qWidth,
                    g.addQ || j > 0,
                    w,
                    0);
        }
    }

    // Of queries from `query` on and the keys from `key` on that each sees.
    private void factors(
            AttentionCall s, int b, int h, int query, int key, int rows, int width, float[] w, int at, int worker) {
        for (int i = 0; i < rows; i++) {
            int seen = Math.min(width, query + i - key + 1);
            dropouts.factors(s.dropout, b, h * s.queries + query + i, key, seen, w, at + i * NR, worker);
        }
    }

    // Row i of a tile has i + shift + 1 columns, at most width.
    private static void multiplyRows(int rows, int shift, int width, float[] w, int factors, int tile) {
        for (int i = 0; i < rows; i++) {
            int seen = Math.max(0, Math.min(width, i + shift + 1)), at = tile + i * NR;
            Elementwise.multiply(w, at, w, factors + i * NR, w, at, seen, false);
        }
    }

    // out[n][NR] = Aᵀ[n × seen] · scores[seen][NR], A packed to the depth of all queries, the first `skip` left out.
    private static void transposedProduct(
            int n, int seen, float[] w, int at, int depth, int skip, int scores, int out) {
        for (int r = 0; r < n; r += Gemm.MR) {
            Gemm.multiply(
                    Math.min(Gemm.MR, n - r),
                    NR,
                    seen,
                    w,
                    at + r * depth + skip * Gemm.panelRows(n - r),
                    w,
                    scores,
                    0,
                    w,
                    out + r * NR,
                    NR,
                    false,
                    w,
                    0);
        }
    }

    private static void putRows(
            float[] rows, int from, int count, int width, float[] to, int at, int stride, boolean add) {
        for (int i = 0; i < count; i++) {
            Elementwise.add(1, rows, from + i * width, to, at + i * stride, width, add);
        }
    }
}
