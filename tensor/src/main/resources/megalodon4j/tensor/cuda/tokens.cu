// Where tokens become numbers and numbers tokens.

#define IGNORE_INDEX -100

// y (rows, columns)
extern "C" __global__ void embedding(const int* ids, const float* table, float scale, float* y, int n, int columns) {
    EACH(i, n) {
        y[i] = table[ids[i / columns] * columns + i % columns] * scale;
    }
}

// A token's first row adds all its rows up, in their order. Grid: rows, columns / 128.
extern "C" __global__ void embeddingGrad(
    const float* dy, const int* ids, int padding, float scale, float* dtable, int rows, int columns) {
    int first = blockIdx.x, id = ids[first], column = blockIdx.y * blockDim.x + threadIdx.x;
    if (id == padding || column >= columns) {
        return;
    }
    for (int row = 0; row < first; row++) {
        if (ids[row] == id) {
            return;
        }
    }
    float sum = 0;
    for (int row = first; row < rows; row++) {
        if (ids[row] == id) {
            sum += dy[row * columns + column];
        }
    }
    dtable[id * columns + column] += sum * scale;
}

// A warp a row: loss = ln Σ eˣ − x_label, d = (eˣ / Σ eˣ − onehot(label)) · scale; d may be x, or null.
extern "C" __global__ void crossEntropy(
    const float* x, const int* labels, float scale, float* losses, float* d, int rows, int columns) {
    int row = WARP_OF_GRID;
    if (row >= rows) {
        return;
    }
    int label = labels[row];
    x += row * columns;
    d = d ? d + row * columns : nullptr;
    if (label == IGNORE_INDEX) {
        for (int i = LANE; d && i < columns; i += 32) {
            d[i] = 0;
        }
        losses[row] = 0;
        return;
    }
    float max = MINUS_INFINITY;
    for (int i = LANE; i < columns; i += 32) {
        max = fmaxf(max, x[i]);
    }
    max = warpMax(max);
    double sum = 0;
    for (int i = LANE; i < columns; i += 32) {
        sum += expf(x[i] - max);
    }
    sum = warpSum(sum);
    // The label's own lane reads it before it is overwritten.
    if (LANE == label % 32) {
        losses[row] = (float) (log(sum) + max - x[label]);
    }
    float share = (float) (scale / sum);
    for (int i = LANE; d && i < columns; i += 32) {
        d[i] = expf(x[i] - max) * share - (i == label ? scale : 0);
    }
}
