// Norms over rows (rows, columns), a warp each.

extern "C" __global__ void rmsNorm(
    const float* x, const float* gamma, float shift, float eps, float* y, float* rstd, int rows, int columns) {
    int row = WARP_OF_GRID;
    if (row >= rows) {
        return;
    }
    x += row * columns;
    y += row * columns;
    float squares = 0;
    for (int i = LANE; i < columns; i += 32) {
        squares += x[i] * x[i];
    }
    float r = 1 / sqrtf(warpSum(squares) / columns + eps);
    for (int i = LANE; i < columns; i += 32) {
        y[i] = x[i] * r * (gamma ? gamma[i] + shift : 1);
    }
    if (LANE == 0) {
        rstd[row] = r;
    }
}

// With g = dy (γ + shift): dx = r g − r³ x mean(g x).
extern "C" __global__ void rmsNormGrad(
    const float* dy, const float* x, const float* gamma, float shift, const float* rstd, float* dx, int rows,
    int columns, int add) {
    int row = WARP_OF_GRID;
    if (row >= rows) {
        return;
    }
    dy += row * columns;
    x += row * columns;
    dx += row * columns;
    float along = 0;
    for (int i = LANE; i < columns; i += 32) {
        along += dy[i] * (gamma ? gamma[i] + shift : 1) * x[i];
    }
    float r = rstd[row], slope = r * r * r * warpSum(along) / columns;
    for (int i = LANE; i < columns; i += 32) {
        put(dx[i], dy[i] * (gamma ? gamma[i] + shift : 1) * r - x[i] * slope, add);
    }
}

// dγ = Σ dy x r.
extern "C" __global__ void rmsNormGammaGrad(const float* dy, const float* x, const float* rstd, int rows, int columns, float* partial) {
    columnSums(rows, columns, partial, [&](int row, int column) {
        int i = row * columns + column;
        return dy[i] * x[i] * rstd[row];
    });
}

extern "C" __global__ void layerNorm(
    const float* x, const float* w, const float* b, float eps, float* y, float* mean, float* rstd, int rows,
    int columns) {
    int row = WARP_OF_GRID;
    if (row >= rows) {
        return;
    }
    x += row * columns;
    y += row * columns;
    float sum = 0, squares = 0;
    for (int i = LANE; i < columns; i += 32) {
        sum += x[i];
    }
    float mu = warpSum(sum) / columns;
    for (int i = LANE; i < columns; i += 32) {
        squares += (x[i] - mu) * (x[i] - mu);
    }
    float r = 1 / sqrtf(warpSum(squares) / columns + eps);
    for (int i = LANE; i < columns; i += 32) {
        y[i] = (x[i] - mu) * r * (w ? w[i] : 1) + (b ? b[i] : 0);
    }
    if (LANE == 0) {
        mean[row] = mu;
        rstd[row] = r;
    }
}

// With u = (x − mean) r and g = dy w: dx = r (g − mean(g) − u mean(g u)).
extern "C" __global__ void layerNormGrad(
    const float* dy, const float* x, const float* w, const float* mean, const float* rstd, float* dx, int rows,
    int columns, int add) {
    int row = WARP_OF_GRID;
    if (row >= rows) {
        return;
    }
    dy += row * columns;
    x += row * columns;
    dx += row * columns;
    float mu = mean[row], r = rstd[row], sum = 0, along = 0;
    for (int i = LANE; i < columns; i += 32) {
        float g = dy[i] * (w ? w[i] : 1);
        sum += g;
        along += g * (x[i] - mu) * r;
    }
    sum = warpSum(sum) / columns;
    along = warpSum(along) / columns;
    for (int i = LANE; i < columns; i += 32) {
        put(dx[i], r * (dy[i] * (w ? w[i] : 1) - sum - (x[i] - mu) * r * along), add);
    }
}

// dw = Σ dy u.
extern "C" __global__ void layerNormWeightGrad(
    const float* dy, const float* x, const float* mean, const float* rstd, int rows, int columns, float* partial) {
    columnSums(rows, columns, partial, [&](int row, int column) {
        int i = row * columns + column;
        return dy[i] * (x[i] - mean[row]) * rstd[row];
    });
}
