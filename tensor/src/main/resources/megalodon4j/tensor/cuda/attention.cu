// Causal softmax attention by tiles of 64 queries and 64 keys; nothing of size L × L exists. q, k (…, heads · d), v, o
// (…, heads · e). A block of 128 threads has one tile of results, of which thread (x, y) keeps rows y + 8r and columns
// x + 16c. Widths of any size are walked through in slices. Backward recomputes the weights from the logarithms of
// their sums, as FlashAttention does (Dao et al. 2022).

#define TILE 64
#define DEPTH 32
#define PITCH (DEPTH + 1)
#define WEIGHTS (TILE + 1)
#define THREADS 128
#define ROWS 8
#define COLUMNS 4

#define ROW(r) (int(threadIdx.x) / 16 + 8 * (r))
#define COLUMN(c) (int(threadIdx.x) % 16 + 16 * (c))

// A thread's own; unrolled, so that tiles stay in registers.
#define EACH_ROW(r) UNROLL for (int r = 0; r < ROWS; r++)
#define EACH_COLUMN(c) UNROLL for (int c = 0; c < COLUMNS; c++)

typedef float Tile[ROWS][COLUMNS];

// panel[line][i] = x[line · stride + i], 0 beyond so many lines and numbers.
inline __device__ void load(float* panel, const float* x, int stride, int lines, int depth) {
    for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
        int line = i / DEPTH, at = i % DEPTH;
        panel[line * PITCH + at] = line < lines && at < depth ? x[line * stride + at] : 0;
    }
}

// panel[line][i] = x[i · stride + line].
inline __device__ void loadTransposed(float* panel, const float* x, int stride, int lines, int depth) {
    for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
        int line = i % TILE, at = i / TILE;
        panel[line * PITCH + at] = line < lines && at < depth ? x[at * stride + line] : 0;
    }
}

// tile += left · rightᵀ
inline __device__ void accumulate(Tile& tile, const float* left, int pitch, const float* right) {
#pragma unroll 4
    for (int i = 0; i < DEPTH; i++) {
        float column[COLUMNS];
        EACH_COLUMN(c) {
            column[c] = right[COLUMN(c) * PITCH + i];
        }
        EACH_ROW(r) {
            float row = left[ROW(r) * pitch + i];
            EACH_COLUMN(c) {
                tile[r][c] += row * column[c];
            }
        }
    }
}

// tile = a · bᵀ, both with so many rows of a width.
inline __device__ void product(
    Tile& tile, const float* a, int rowsA, const float* b, int rowsB, int stride, int width, float* left,
    float* right) {
    EACH_ROW(r) {
        EACH_COLUMN(c) {
            tile[r][c] = 0;
        }
    }
    for (int from = 0; from < width; from += DEPTH) {
        __syncthreads(); // the panels may still be read
        load(left, a + from, stride, rowsA, width - from);
        load(right, b + from, stride, rowsB, width - from);
        __syncthreads();
        accumulate(tile, left, PITCH, right);
    }
}

// tile += weights · x, where x has so many rows and columns.
inline __device__ void addWeighted(
    Tile& tile, const float* weights, const float* x, int stride, int rows, int columns, float* panel) {
    for (int from = 0; from < TILE; from += DEPTH) {
        __syncthreads();
        loadTransposed(panel, x + from * stride, stride, columns, rows - from);
        __syncthreads();
        accumulate(tile, weights + from, WEIGHTS, panel);
    }
}

inline __device__ bool sees(int position, int key, int chunk, const float* mask) {
    return key <= position && key / chunk == position / chunk && (!mask || mask[key] != 0);
}

// The 16 threads of a row.
inline __device__ float rowMax(float x) {
    for (int other = 8; other > 0; other /= 2) {
        x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, other));
    }
    return x;
}

inline __device__ float rowSum(float x) {
    for (int other = 8; other > 0; other /= 2) {
        x += __shfl_xor_sync(ALL_LANES, x, other);
    }
    return x;
}

// Grid: tiles of queries × slices of e, batch · heads. mask and logSum nullable.
extern "C" __global__ void attention(
    const float* q, const float* k, const float* v, const float* mask, float* o, float* logSum, int queries,
    int keys, int capacity, int heads, int d, int e, int chunk, float scale, DROPOUT) {
    __shared__ float left[TILE * PITCH], right[TILE * PITCH], weights[TILE * WEIGHTS];
    int slices = (e + TILE - 1) / TILE, first = blockIdx.x / slices * TILE, slice = blockIdx.x % slices * TILE;
    int b = blockIdx.y / heads, h = blockIdx.y % heads, shift = keys - queries, count = min(TILE, queries - first);
    int strideK = heads * d, strideV = heads * e;
    q += (b * queries + first) * strideK + h * d;
    k += b * capacity * strideK + h * d;
    v += b * capacity * strideV + h * e + slice;
    mask = mask ? mask + b * keys : nullptr;
    float maxima[ROWS], sums[ROWS];
    Tile out = {};
    EACH_ROW(r) {
        maxima[r] = MINUS_INFINITY;
        sums[r] = 0;
    }
    for (int j = (first + shift) / chunk * chunk; j < first + count + shift; j += TILE) {
        int seen = min(TILE, keys - j);
        Tile s;
        product(s, q, count, k + j * strideK, seen, strideK, d, left, right);
        EACH_ROW(r) {
            float max = maxima[r], sum = 0;
            EACH_COLUMN(c) {
                bool visible = COLUMN(c) < seen && sees(first + ROW(r) + shift, j + COLUMN(c), chunk, mask);
                s[r][c] = visible ? s[r][c] * scale : MINUS_INFINITY;
                max = fmaxf(max, s[r][c]);
            }
            max = rowMax(max);
            EACH_COLUMN(c) {
                float p = s[r][c] == MINUS_INFINITY ? 0 : expf(s[r][c] - max);
                sum += p;
                if (p != 0) {
                    p *= DROPOUT_FACTOR(b, h * queries + first + ROW(r), j + COLUMN(c));
                }
                weights[ROW(r) * WEIGHTS + COLUMN(c)] = p;
            }
            // What was summed so far was relative to the old maximum.
            float shrink = maxima[r] == max ? 1 : expf(maxima[r] - max);
            sums[r] = sums[r] * shrink + rowSum(sum);
            maxima[r] = max;
            EACH_COLUMN(c) {
                out[r][c] *= shrink;
            }
        }
        addWeighted(out, weights, v + j * strideV, strideV, seen, e - slice, right);
    }
    EACH_ROW(r) {
        int i = first + ROW(r);
        EACH_COLUMN(c) {
            if (i < queries && slice + COLUMN(c) < e) {
                o[(b * queries + i) * strideV + h * e + slice + COLUMN(c)] = sums[r] == 0 ? 0 : out[r][c] / sums[r];
            }
        }
        if (logSum && slice == 0 && COLUMN(0) == 0 && i < queries) {
            logSum[blockIdx.y * queries + i] = maxima[r] + logf(sums[r]);
        }
    }
}

// delta (batch, heads, length) = dO · o of each head's row. A warp each.
extern "C" __global__ void delta(const float* dO, const float* o, float* delta, int count, int length, int heads, int e) {
    int head = WARP_OF_GRID;
    if (head >= count) {
        return;
    }
    float sum = 0;
    for (int i = LANE; i < e; i += 32) {
        sum += dO[head * e + i] * o[head * e + i];
    }
    sum = warpSum(sum);
    if (LANE == 0) {
        int token = head / heads, h = head % heads;
        delta[(token / length * heads + h) * length + token % length] = sum;
    }
}

// With ds = scale p (f dO vᵀ − delta): dq = ds k, dk = dsᵀ q, dv = (f p)ᵀ dO; f the dropout's factors. A block has a slice of one tile of one of the
// three, and walks over the keys that its queries see, or over the queries that see its keys.
// Grid: tiles × (2 slices of d + slices of e), batch · heads.
extern "C" __global__ void attentionGrad(
    const float* dO, const float* q, const float* k, const float* v, const float* mask, const float* logSum,
    const float* delta, float* dq, float* dk, float* dv, int length, int heads, int d, int e, int chunk, float scale,
    int addQ, int addK, int addV, DROPOUT) {
    __shared__ float left[TILE * PITCH], right[TILE * PITCH], weights[TILE * WEIGHTS];
    int slicesD = (d + TILE - 1) / TILE, slicesE = (e + TILE - 1) / TILE, slices = 2 * slicesD + slicesE;
    int first = blockIdx.x / slices * TILE, slice = blockIdx.x % slices;
    bool ofQ = slice < slicesD, ofV = slice >= 2 * slicesD;
    int column = (ofV ? slice - 2 * slicesD : slice % slicesD) * TILE, width = ofV ? e : d;
    int b = blockIdx.y / heads, h = blockIdx.y % heads, strideK = heads * d, strideV = heads * e;
    int atK = b * length * strideK + h * d, atV = b * length * strideV + h * e;
    mask = mask ? mask + b * length : nullptr;
    logSum += blockIdx.y * length;
    delta += blockIdx.y * length;
    int last = min(length, first + TILE) - 1;
    int from = ofQ ? first / chunk * chunk : first, to = ofQ ? last + 1 : min(length, (last / chunk + 1) * chunk);
    Tile out = {};
    for (int other = from; other < to; other += TILE) {
        int i = ofQ ? first : other, j = ofQ ? other : first;
        int queries = min(TILE, length - i), keys = min(TILE, length - j);
        Tile p, dp;
        product(p, q + atK + i * strideK, queries, k + atK + j * strideK, keys, strideK, d, left, right);
        if (!ofV) {
            product(dp, dO + atV + i * strideV, queries, v + atV + j * strideV, keys, strideV, e, left, right);
        }
        EACH_ROW(r) {
            int query = i + ROW(r);
            EACH_COLUMN(c) {
                bool visible = ROW(r) < queries && COLUMN(c) < keys && sees(query, j + COLUMN(c), chunk, mask);
                float weight = visible ? expf(p[r][c] * scale - logSum[query]) : 0;
                float kept = visible ? DROPOUT_FACTOR(b, h * length + query, j + COLUMN(c)) : 0;
                float w = ofV ? weight * kept : visible ? weight * (kept * dp[r][c] - delta[query]) * scale : 0;
                weights[ofQ ? ROW(r) * WEIGHTS + COLUMN(c) : COLUMN(c) * WEIGHTS + ROW(r)] = w;
            }
        }
        const float* x = ofV ? dO + atV + i * strideV : ofQ ? k + atK + j * strideK : q + atK + i * strideK;
        addWeighted(out, weights, x + column, ofV ? strideV : strideK, ofQ ? keys : queries, width - column, right);
    }
    float* result = (ofV ? dv + atV : ofQ ? dq + atK : dk + atK) + column;
    EACH_ROW(r) {
        EACH_COLUMN(c) {
            if (first + ROW(r) < length && column + COLUMN(c) < width) {
                int at = (first + ROW(r)) * (ofV ? strideV : strideK) + COLUMN(c);
                put(result[at], out[r][c], ofV ? addV : ofQ ? addQ : addK);
            }
        }
    }
}
