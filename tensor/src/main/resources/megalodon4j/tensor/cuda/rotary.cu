// Rotary positions, and Megalodon's queries and keys. x (rows, heads · d), cos and sin (length, d / 2).

// A pair (u, v) becomes (u cos − v sin, v cos + u sin), in place; sign −1 turns back.
extern "C" __global__ void rope(
    float* x, const float* cos, const float* sin, int pairs, int length, int heads, int d, int adjacent,
    float sign) {
    int half = d / 2;
    EACH(i, pairs) {
        int pair = i % half, head = i / half, angle = head / heads % length * half + pair;
        float* u = x + head * d + (adjacent ? 2 * pair : pair);
        float* v = u + (adjacent ? 1 : half);
        float a = *u, b = *v, c = cos[angle], s = sign * sin[angle];
        *u = a * c - b * s;
        *v = b * c + a * s;
    }
}

// A warp a head: u = z / rms(z), then rope(u (γ + 1) / √d + β) with each of the two γ and β (2, heads · d).
extern "C" __global__ void queryKey(
    const float* z, const float* gamma, const float* beta, const float* cos, const float* sin, float* q, float* k,
    float* rstd, int count, int length, int heads, int d, float eps) {
    int head = WARP_OF_GRID, half = d / 2;
    if (head >= count) {
        return;
    }
    z += head * d;
    float squares = 0;
    for (int i = LANE; i < d; i += 32) {
        squares += z[i] * z[i];
    }
    float r = 1 / sqrtf(warpSum(squares) / d + eps), scale = 1 / sqrtf(d);
    int angles = head / heads % length * half;
    for (int which = 0; which < 2; which++) {
        float* out = (which == 0 ? q : k) + head * d;
        const float* g = gamma + (which * heads + head % heads) * d;
        const float* b = beta + (which * heads + head % heads) * d;
        for (int i = LANE; i < half; i += 32) {
            int j = i + half;
            float u = z[i] * r * (g[i] + 1) * scale + b[i], v = z[j] * r * (g[j] + 1) * scale + b[j];
            float c = cos[angles + i], s = sin[angles + i];
            out[i] = u * c - v * s;
            out[j] = v * c + u * s;
        }
    }
    if (LANE == 0) {
        rstd[head] = r;
    }
}

// From dq and dk turned back: with g = (dq (γ₀ + 1) + dk (γ₁ + 1)) / √d, dz = r g − r³ z mean(g z).
extern "C" __global__ void queryKeyGrad(
    const float* dq, const float* dk, const float* z, const float* gamma, const float* rstd, float* dz, int count,
    int heads, int d, int add) {
    int head = WARP_OF_GRID;
    if (head >= count) {
        return;
    }
    dq += head * d;
    dk += head * d;
    z += head * d;
    dz += head * d;
    const float *g0 = gamma + head % heads * d, *g1 = g0 + heads * d;
    float r = rstd[head], scale = 1 / sqrtf(d), along = 0;
    for (int i = LANE; i < d; i += 32) {
        along += (dq[i] * (g0[i] + 1) + dk[i] * (g1[i] + 1)) * scale * z[i];
    }
    float slope = r * r * r * warpSum(along) / d;
    for (int i = LANE; i < d; i += 32) {
        put(dz[i], (dq[i] * (g0[i] + 1) + dk[i] * (g1[i] + 1)) * scale * r - z[i] * slope, add);
    }
}

// dγ (2, width) = Σ dq u / √d, Σ dk u / √d.
extern "C" __global__ void queryKeyGammaGrad(
    const float* dq, const float* dk, const float* z, const float* rstd, int rows, int width, int d,
    float* partial) {
    columnSums(rows, 2 * width, partial, [&](int row, int column) {
        int i = row * width + column % width;
        return (column < width ? dq : dk)[i] * z[i] * rstd[i / d] / sqrtf(d);
    });
}

// dβ (2, width) = Σ dq, Σ dk.
extern "C" __global__ void queryKeyBetaGrad(const float* dq, const float* dk, int rows, int width, float* partial) {
    columnSums(rows, 2 * width, partial, [&](int row, int column) {
        return (column < width ? dq : dk)[row * width + column % width];
    });
}
