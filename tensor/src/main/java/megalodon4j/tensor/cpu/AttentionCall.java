package megalodon4j.tensor.cpu;

import megalodon4j.tensor.Dropout;
import megalodon4j.tensor.Tensor;

/** What attends to what, and where one head's queries, keys and values lie. */
final class AttentionCall {
    final Tensor q, k, v, mask, o, logSum;
    final Dropout dropout;
    final float scale;
    final int heads, d, e, queries, keys, capacity, chunk, chunks, shift;

    AttentionCall(
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
        this.q = q;
        this.k = k;
        this.v = v;
        this.mask = mask;
        this.o = o;
        this.logSum = logSum;
        this.dropout = dropout;
        this.scale = scale;
        this.heads = heads;
        this.keys = keys;
        d = q.columns() / heads;
        e = v.columns() / heads;
        queries = q.shape().size(1);
        capacity = k.shape().size(1);
        this.chunk = Math.min(chunk, Math.max(1, keys));
        chunks = Math.ceilDiv(keys, this.chunk);
        // Query i sits at position i + shift among the keys.
        shift = keys - queries;
    }

    /** One item for each chunk of each head of each sequence. */
    int items() {
        return q.shape().size(0) * heads * chunks;
    }

    int sequence(int item) {
        return item / chunks / heads;
    }

    int head(int item) {
        return item / chunks % heads;
    }

    int firstKey(int item) {
        return item % chunks * chunk;
    }

    /** The position of a query among the keys of its sequence; {@code row} counts those of all sequences. */
    int position(int row) {
        return row % queries + shift;
    }

    /** The first key that a query sees. */
    int first(int row) {
        return position(row) / chunk * chunk;
    }

    /** How many keys a query sees. */
    int seen(int row) {
        return position(row) - first(row) + 1;
    }
}
