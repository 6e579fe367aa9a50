// Timestep normalisation: sums over the features of each group, a scan over time in double, the result. Equations are
// those of the CPU's kernel. A warp scans one group of one sequence, 32 tokens at a time.

#define FLOOR 1e-6

inline __device__ bool isValid(const float* mask, int token) {
    return !mask || mask[token] != 0;
}

inline __device__ float groupMean(const float* x, int width) {
    float sum = 0;
    for (int i = 0; i < width; i++) {
        sum += x[i];
    }
    return sum / width;
}

// means (rows, groups)
extern "C" __global__ void groupMeans(const float* x, float* means, int n, int width) {
    EACH(i, n) {
        means[i] = groupMean(x + i * width, width);
    }
}

// A number of a state is the sum of two floats that lie so far apart.
inline __device__ double stored(const float* at, int apart) {
    return at[0] + (double) at[apart];
}

inline __device__ void store(double x, float* at, int apart) {
    at[0] = (float) x;
    at[apart] = (float) (x - at[0]);
}

// Of so many tokens; that of the state if there are none.
inline __device__ double variance(double m2, double count, double before) {
    return count > 0 ? fmax(m2 / count, FLOOR) : before;
}

// Replaces the group's means g_t in mean by the running ones, and gives rstd; state (batch, 2, 1 + 2 groups), nullable.
extern "C" __global__ void scan(
    const float* mask, float* mean, float* rstd, float* state, int batch, int length, int groups, float eps) {
    int sequence = WARP_OF_GRID / groups, group = WARP_OF_GRID % groups;
    if (sequence >= batch) {
        return;
    }
    const int numbers = 1 + 2 * groups;
    state = state ? state + sequence * 2 * numbers : nullptr;
    const double mean0 = state ? stored(state + 1 + group, numbers) : 0;
    const double var0 = state ? stored(state + 1 + groups + group, numbers) : 1;
    double count = state ? stored(state, numbers) : 0, sum = mean0 * count, m2 = var0 * fmax(count, 1.0), last = mean0;
    for (int from = 0; from < length; from += 32) {
        int t = from + LANE, token = sequence * length + t, at = token * groups + group;
        bool valid = t < length && isValid(mask, token);
        double g = valid ? mean[at] : 0;
        unsigned valids = __ballot_sync(ALL_LANES, valid);
        double c = count + __popc(valids & LANES_SO_FAR), s = sum + warpPrefixSum(g);
        double mu = c > 0 ? s / c : mean0;
        double before = __shfl_up_sync(ALL_LANES, mu, 1);
        before = LANE == 0 ? last : before;
        double m = m2 + warpPrefixSum(valid ? (g - before) * (g - mu) : 0);
        if (t < length) {
            mean[at] = (float) mu;
            rstd[at] = (float) (1 / sqrt(variance(m, c, var0) + eps));
        }
        count += __popc(valids);
        sum = __shfl_sync(ALL_LANES, s, 31);
        m2 = __shfl_sync(ALL_LANES, m, 31);
        last = __shfl_sync(ALL_LANES, mu, 31);
    }
    if (state && LANE == 0) {
        store(last, state + 1 + group, numbers);
        store(variance(m2, count, var0), state + 1 + groups + group, numbers);
    }
}

// The counts of a state go on, once no scan needs the old ones.
extern "C" __global__ void advanceCounts(const float* mask, float* state, int batch, int length, int groups) {
    int sequence = WARP_OF_GRID;
    if (sequence >= batch) {
        return;
    }
    int count = 0;
    for (int t = LANE; t < length; t += 32) {
        count += isValid(mask, sequence * length + t);
    }
    count = warpSum(count);
    if (LANE == 0) {
        const int numbers = 1 + 2 * groups;
        state += sequence * 2 * numbers;
        store(stored(state, numbers) + count, state, numbers);
    }
}

extern "C" __global__ void normalise(
    const float* x, const float* w, const float* b, const float* mean, const float* rstd, float* y, int n,
    int columns, int width) {
    EACH(i, n) {
        int column = i % columns, group = i / width;
        y[i] = (x[i] - mean[group]) * rstd[group] * (w ? w[column] + 1 : 1) + (b ? b[column] : 0);
    }
}

// S = Σ dŷ, V = Σ dŷ (x − mean) and the mean of x for each token and group, dŷ = dy (w + 1).
extern "C" __global__ void groupSums(
    const float* dy, const float* x, const float* w, const float* mean, float* sums, float* deviations,
    float* means, int n, int groups, int width) {
    EACH(i, n) {
        const float *xs = x + i * width, *dys = dy + i * width;
        int column = i % groups * width;
        float sum = 0, deviation = 0;
        for (int j = 0; j < width; j++) {
            float g = dys[j] * (w ? w[column + j] + 1 : 1);
            sum += g;
            deviation += g * (xs[j] - mean[i]);
        }
        sums[i] = sum;
        deviations[i] = deviation;
        means[i] = groupMean(xs, width);
    }
}

// Backwards in time: replaces S in sums by what each feature of the group gets from the statistics.
extern "C" __global__ void scanGrad(
    const float* mask, const float* mean, const float* rstd, const float* deviations, const float* means,
    float* sums, int batch, int length, int groups, int width, float eps) {
    int sequence = WARP_OF_GRID / groups, group = WARP_OF_GRID % groups;
    if (sequence >= batch) {
        return;
    }
    const float atFloor = (float) (1 / sqrt(FLOOR + eps));
    int valids = 0;
    for (int t = LANE; t < length; t += 32) {
        valids += isValid(mask, sequence * length + t);
    }
    double count = warpSum(valids), level = 0, slope = 0; // dg_s = level + slope · g_s
    for (int from = 0; from < length; from += 32) {
        int t = length - 1 - from - LANE, token = sequence * length + t, at = token * groups + group;
        bool valid = t >= 0 && isValid(mask, token);
        unsigned votes = __ballot_sync(ALL_LANES, valid);
        double c = count - __popc(votes & LANES_SO_FAR) + valid, a = 0, b = 0;
        if (t >= 0 && c > 0) {
            double r = rstd[at], dvar = rstd[at] < atFloor ? -0.5 * r * r * r * deviations[at] : 0;
            a = (-r * sums[at] - 2 * dvar * mean[at]) / c;
            b = 2 * dvar / c;
        }
        a = level + warpPrefixSum(a);
        b = slope + warpPrefixSum(b);
        if (t >= 0) {
            sums[at] = valid ? (float) ((a + b * means[at]) / width) : 0;
        }
        count -= __popc(votes);
        level = __shfl_sync(ALL_LANES, a, 31);
        slope = __shfl_sync(ALL_LANES, b, 31);
    }
}

extern "C" __global__ void inputGrad(
    const float* dy, const float* w, const float* rstd, const float* shares, float* dx, int n, int columns,
    int width, int add) {
    EACH(i, n) {
        int group = i / width;
        put(dx[i], dy[i] * (w ? w[i % columns] + 1 : 1) * rstd[group] + shares[group], add);
    }
}

// dw = Σ dy (x − mean) rstd.
extern "C" __global__ void weightGrad(
    const float* dy, const float* x, const float* mean, const float* rstd, int rows, int columns, int width,
    float* partial) {
    columnSums(rows, columns, partial, [&](int row, int column) {
        int i = row * columns + column, group = i / width;
        return dy[i] * (x[i] - mean[group]) * rstd[group];
    });
}
