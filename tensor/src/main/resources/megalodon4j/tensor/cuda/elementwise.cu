// What happens to each element by itself.

extern "C" __global__ void add(float scale, const float* x, float* y, int n, int add) {
    EACH(i, n) {
        put(y[i], scale * x[i], add);
    }
}

extern "C" __global__ void multiply(const float* x, const float* y, float* z, int n, int add) {
    EACH(i, n) {
        put(z[i], x[i] * y[i], add);
    }
}

// y (rows, columns) += bias (columns) + residual (rows, columns), both nullable.
extern "C" __global__ void addBias(const float* bias, const float* residual, float* y, int n, int columns) {
    EACH(i, n) {
        y[i] += (bias ? bias[i % columns] : 0) + (residual ? residual[i] : 0);
    }
}

// y = silu(a) · b, b nullable.
extern "C" __global__ void silu(const float* a, const float* b, float* y, int n) {
    EACH(i, n) {
        y[i] = a[i] * sigmoid(a[i]) * (b ? b[i] : 1);
    }
}

// silu'(a) = σ + a σ (1 − σ); b and db nullable. y, what silu computes, is nullable too and may be dy.
extern "C" __global__ void siluGrad(
    const float* dy, const float* a, const float* b, float* da, float* db, float* y, int n, int addA, int addB) {
    EACH(i, n) {
        float g = dy[i], s = sigmoid(a[i]);
        float value = a[i] * s;
        put(da[i], g * (b ? b[i] : 1) * (s + value * (1 - s)), addA);
        if (db) {
            put(db[i], g * value, addB);
        }
        if (y) {
            y[i] = value * (b ? b[i] : 1);
        }
    }
}

// x, y (batch, length, columns)
extern "C" __global__ void dropout(const float* x, float* y, int n, int length, int columns, DROPOUT) {
    EACH(i, n) {
        int row = i / columns;
        y[i] = x[i] * DROPOUT_FACTOR(row / length, row % length, i % columns);
    }
}

// rate = lr / (1 − β₁ᵗ), root = 1 / √(1 − β₂ᵗ).
extern "C" __global__ void adam(
    float* p, const float* grad, float* m, float* v, int n,
    float gradScale, float decay, float beta1, float beta2, float rate, float root, float eps) {
    EACH(i, n) {
        float g = grad[i] * gradScale + p[i] * decay;
        m[i] = m[i] * beta1 + g * (1 - beta1);
        v[i] = v[i] * beta2 + g * g * (1 - beta2);
        p[i] -= m[i] * rate / (sqrtf(v[i]) * root + eps);
    }
}
