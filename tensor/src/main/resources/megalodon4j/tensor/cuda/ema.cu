// The complex EMA by its recurrence, and its coefficients. x, y (batch, length, channels); coefficients (5, states,
// channels): p, Re q, Im q, Re γ, Im γ. A thread has one channel of one sequence.

// States that are in registers at a time.
#define GROUP 8
#define EACH_STATE(n) UNROLL for (int n = 0; n < GROUP; n++)

inline __device__ double logistic(double x) {
    return 1 / (1 + exp(-x));
}

// A thread a channel; parameters (channels, states), few numbers, in double.
extern "C" __global__ void coefficients(
    const float* alpha, const float* delta, const float* theta, const float* gammaReal, const float* gammaImag,
    float* c, int channels, int states) {
    const double TURN = 6.283185307179586 / states, scale = sqrt(1.0 / states);
    EACH(d, channels) {
        double angle = logistic(theta[d]) * TURN;
        for (int n = 0; n < states; n++) {
            int i = d * states + n, to = n * channels + d, plane = states * channels;
            double p = logistic(alpha[i]), radius = 1 - p * logistic(delta[i]), phi = (n + 1) * angle;
            c[to] = (float) p;
            c[to + plane] = (float) (radius * cos(phi));
            c[to + 2 * plane] = (float) (radius * sin(phi));
            c[to + 3 * plane] = (float) (gammaReal[i] * scale);
            c[to + 4 * plane] = (float) (gammaImag[i] * scale);
        }
    }
}

extern "C" __global__ void coefficientsGrad(
    const float* dc, const float* alpha, const float* delta, const float* theta, float* dalpha, float* ddelta,
    float* dtheta, float* dgammaReal, float* dgammaImag, int channels, int states, int addAlpha, int addDelta,
    int addTheta, int addReal, int addImag) {
    const double TURN = 6.283185307179586 / states, scale = sqrt(1.0 / states);
    EACH(d, channels) {
        double t = logistic(theta[d]), dAngle = 0;
        for (int n = 0; n < states; n++) {
            int i = d * states + n, at = n * channels + d, plane = states * channels;
            double a = logistic(alpha[i]), b = logistic(delta[i]), radius = 1 - a * b, phi = (n + 1) * t * TURN;
            double dqr = dc[at + plane], dqi = dc[at + 2 * plane];
            double dRadius = dqr * cos(phi) + dqi * sin(phi);
            dAngle += (n + 1) * radius * (dqi * cos(phi) - dqr * sin(phi));
            put(dalpha[i], (float) ((dc[at] - dRadius * b) * a * (1 - a)), addAlpha);
            put(ddelta[i], (float) (-dRadius * a * b * (1 - b)), addDelta);
            put(dgammaReal[i], (float) (dc[at + 3 * plane] * scale), addReal);
            put(dgammaImag[i], (float) (dc[at + 4 * plane] * scale), addImag);
        }
        put(dtheta[d], (float) (dAngle * TURN * t * (1 - t)), addTheta);
    }
}

// Coefficients of one channel and a group of states; states that do not exist have none.
struct States {
    float p[GROUP], qr[GROUP], qi[GROUP], gr[GROUP], gi[GROUP];

    __device__ States(const float* c, int channel, int channels, int first, int states) {
        EACH_STATE(n) {
            bool exists = first + n < states;
            int at = (first + n) * channels + channel, plane = states * channels;
            p[n] = exists ? c[at] : 0;
            qr[n] = exists ? c[at + plane] : 0;
            qi[n] = exists ? c[at + 2 * plane] : 0;
            gr[n] = exists ? c[at + 3 * plane] : 0;
            gi[n] = exists ? c[at + 4 * plane] : 0;
        }
    }
};

inline __device__ float input(const float* x, const float* mask, int token, int channels, int channel) {
    return !mask || mask[token] != 0 ? x[token * channels + channel] : 0;
}

// state (batch, 2, states, channels): Re h, Im h before and after; history (batch, length, 2, states, channels): h of
// each token. mask, state, y and history nullable.
extern "C" __global__ void scan(
    const float* x, const float* mask, const float* c, const float* omega, float* state, float* y, float* history,
    int batch, int length, int channels, int states) {
    EACH(i, batch * channels) {
        int b = i / channels, d = i % channels, plane = states * channels;
        for (int first = 0; first < states; first += GROUP) {
            const States s(c, d, channels, first, states);
            int count = min(GROUP, states - first), at = b * 2 * plane + first * channels + d;
            float hr[GROUP], hi[GROUP];
            EACH_STATE(n) {
                hr[n] = state && n < count ? state[at + n * channels] : 0;
                hi[n] = state && n < count ? state[at + n * channels + plane] : 0;
            }
            for (int t = 0; t < length; t++) {
                int token = b * length + t;
                float in = input(x, mask, token, channels, d), sum = 0;
                float* kept = history ? history + (size_t) token * 2 * plane + first * channels + d : nullptr;
                EACH_STATE(n) {
                    float before = hr[n];
                    hr[n] = s.qr[n] * before - s.qi[n] * hi[n] + s.p[n] * in;
                    hi[n] = s.qr[n] * hi[n] + s.qi[n] * before;
                    sum += s.gr[n] * hr[n] - s.gi[n] * hi[n];
                    if (kept && n < count) {
                        kept[n * channels] = hr[n];
                        kept[n * channels + plane] = hi[n];
                    }
                }
                if (y) {
                    put(y[token * channels + d], first == 0 ? sum + omega[d] * in : sum, first > 0);
                }
            }
            for (int n = 0; state && n < GROUP && n < count; n++) {
                state[at + n * channels] = hr[n];
                state[at + n * channels + plane] = hi[n];
            }
        }
    }
}

// The adjoint l of h runs backwards: l_t = conj(q) l_{t+1} + conj(γ) dy_t. dx = Re(p l) + omega dy; the gradients of
// the coefficients are sums over time, partial (batch, 5, states, channels).
extern "C" __global__ void scanGrad(
    const float* dy, const float* x, const float* mask, const float* c, const float* omega, const float* history,
    float* dx, float* partial, int batch, int length, int channels, int states, int add) {
    EACH(i, batch * channels) {
        int b = i / channels, d = i % channels, plane = states * channels;
        for (int first = 0; first < states; first += GROUP) {
            const States s(c, d, channels, first, states);
            int count = min(GROUP, states - first);
            float lr[GROUP] = {}, li[GROUP] = {};
            float dp[GROUP] = {}, dqr[GROUP] = {}, dqi[GROUP] = {}, dgr[GROUP] = {}, dgi[GROUP] = {};
            for (int t = length - 1; t >= 0; t--) {
                int token = b * length + t;
                float g = dy[token * channels + d], in = input(x, mask, token, channels, d), sum = 0;
                const float* h = history + (size_t) token * 2 * plane + first * channels + d;
                for (int n = 0; n < GROUP && n < count; n++) {
                    float next = lr[n];
                    lr[n] = s.qr[n] * next + s.qi[n] * li[n] + s.gr[n] * g;
                    li[n] = s.qr[n] * li[n] - s.qi[n] * next - s.gi[n] * g;
                    sum += s.p[n] * lr[n];
                    dp[n] += lr[n] * in;
                    dgr[n] += g * h[n * channels];
                    dgi[n] -= g * h[n * channels + plane];
                    float hr = t > 0 ? h[n * channels - 2 * plane] : 0, hi = t > 0 ? h[n * channels - plane] : 0;
                    dqr[n] += lr[n] * hr + li[n] * hi;
                    dqi[n] += li[n] * hr - lr[n] * hi;
                }
                bool valid = !mask || mask[token] != 0;
                sum += first == 0 ? omega[d] * g : 0;
                put(dx[token * channels + d], valid ? sum : 0, add || first > 0);
            }
            float* to = partial + b * 5 * plane + first * channels + d;
            for (int n = 0; n < GROUP && n < count; n++, to += channels) {
                to[0] = dp[n];
                to[plane] = dqr[n];
                to[2 * plane] = dqi[n];
                to[3 * plane] = dgr[n];
                to[4 * plane] = dgi[n];
            }
        }
    }
}

// domega = Σ x dy over valid tokens.
extern "C" __global__ void omegaGrad(const float* dy, const float* x, const float* mask, int rows, int channels, float* partial) {
    columnSums(rows, channels, partial, [&](int row, int column) {
        return input(x, mask, row, channels, column) * dy[row * channels + column];
    });
}
