package megalodon4j.tensor;

import java.util.ArrayDeque;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

/**
 * A device: its memory, and the fused operations that both models are made of, forward and backward.
 *
 * <p>An operation checks shapes, fills its results, and calls the device's kernel of the same name ({@link Kernels}), which trusts its arguments.
 * An error names the operation, what was expected and what came.
 *
 * <p>Conventions. Letters are the paper's: B sequences, L tokens each, D model width, H heads, N complex states a channel, G groups. A tensor is
 * taken as rows × its last dimension unless said otherwise. Results of forward methods are overwritten. Gradients, whose names begin with
 * d, accumulate: a blank one is overwritten, a filled one is added to (see {@link Tensor}). Arguments marked nullable may be {@code null};
 * then their gradients are null as well. Inputs have been filled. An input and an output must not share memory unless said otherwise.
 *
 * <p>Not thread-safe: one thread at a time talks to a backend, and to the models, tapes and sessions on it. It spreads the work itself.
 */
public abstract class Backend implements AutoCloseable {
    private final Check check;
    private final Pool pool;
    private boolean[] addW = {}; // which gradients of linearGrad held something
    private final ArrayDeque<Scope> idleScopes = new ArrayDeque<>();
    private long poolGeneration;
    private BiConsumer<Tensor, Boolean> watcher;

    @SuppressWarnings("this-escape") // both only keep it
    protected Backend() {
        check = new Check(this);
        pool = new Pool(this::newStorage);
    }

    /**
     * A backend on the CPU. Results are the same bit for bit for any number of threads.
     *
     * @param threads at least 1
     * @throws IllegalStateException if the JVM was started without the Vector API's module
     */
    public static Backend cpu(int threads) {
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            throw new IllegalStateException("the JVM must be started with --add-modules jdk.incubator.vector");
        }
        return new megalodon4j.tensor.cpu.CpuBackend(threads);
    }

    /** A backend on all cores of the CPU. */
    public static Backend cpu() {
        return cpu(Runtime.getRuntime().availableProcessors());
    }

    /**
     * A backend on an NVIDIA GPU, which computes what the CPU does.
     *
     * @param ordinal which GPU, from 0
     * @param home a folder with CUDA's libraries that goes before all others, nullable
     * @throws CudaException if CUDA or the GPU is missing
     */
    public static Backend cuda(int ordinal, java.nio.file.Path home, Precision precision) {
        return megalodon4j.tensor.cuda.CudaBackend.open(ordinal, home, precision);
    }

    /** What computes, in words, for example {@code cpu (2 threads, 16 lanes)}. */
    public abstract String describe();

    /** How many floats an instruction of its kernels takes at once; 0 if the device has no such vectors. */
    public int vectorLanes() {
        return 0;
    }

    /** What the operations run on. */
    protected abstract Kernels kernels();

    // --- memory -----------------------------------------------------------------------------------------------------

    /** Memory for so many floats, at least 1, of any contents. */
    protected abstract Storage newStorage(int capacity);

    /** Copies all elements to the host. */
    protected abstract void download(Tensor from, float[] to);

    /** Copies all elements from the host. */
    protected abstract void upload(float[] from, Tensor to);

    /** A scope for temporary tensors. */
    public final Scope scope() {
        return (idleScopes.isEmpty() ? new Scope(this) : idleScopes.pop()).opened();
    }

    /** A blank tensor that lives as long as it is reachable: parameters, optimizer state, caches. */
    public final Tensor tensor(Shape shape) {
        return new Tensor(this, newStorage(Math.max(1, shape.elements())), shape);
    }

    /** {@link #tensor(Shape)} of {@code Shape.of(sizes)}. */
    public final Tensor tensor(int... sizes) {
        return tensor(Shape.of(sizes));
    }

    /** Tensors of scopes that have not been given back: 0 whenever no scope is open. */
    public final int outstanding() {
        return pool.outstanding();
    }

    /** Bytes that the pool of scopes holds, in use or not: the peak of the activations so far. */
    public final long pooledBytes() {
        return pool.allocatedFloats() * Float.BYTES;
    }

    /** Frees the pooled memory that no scope uses. */
    public final void trim() {
        pool.freeAll();
        poolGeneration++;
    }

    // --- repeated work ----------------------------------------------------------------------------------------------

    /**
     * The same work, to be run many times. A device may record what it does and replay it as a whole, without running it again: it must do the
     * same operations on the same tensors each time (those of its own scopes aside), read none of them back, hold no scope open at its end, and
     * take what changes from tensors or from the arrays of integers that it gives to operations, which are read anew each time.
     */
    public Runnable repeated(Runnable work) {
        return work;
    }

    /** What {@link #repeated} returns for a device that records. */
    protected final Runnable replayed(Runnable work, Supplier<Recording> recordings) {
        return new Replay(this, work, recordings);
    }

    /** Changes whenever pooled memory is freed. */
    final long poolGeneration() {
        return poolGeneration;
    }

    /** Tells the watcher each tensor outside of scopes that is about to be written, and whether it is blank; null: nobody. */
    final void watch(BiConsumer<Tensor, Boolean> watcher) {
        this.watcher = watcher;
    }

    final void filling(Tensor tensor, boolean blank) {
        if (watcher != null && !tensor.storage().isPooled()) {
            watcher.accept(tensor, blank);
        }
    }

    final Storage take(int elements) {
        return pool.take(elements);
    }

    final void giveBack(Storage storage) {
        pool.giveBack(storage);
    }

    final void closed(Scope scope) {
        idleScopes.push(scope);
    }

    /** Ends its threads and frees its memory: neither the backend nor any of its tensors may be used afterwards. */
    @Override
    public void close() {
        trim();
    }

    // --- whole tensors ----------------------------------------------------------------------------------------------

    /** to = from. */
    public final void copy(Tensor from, Tensor to) {
        if (from.elements() != to.elements()) {
            throw Check.error("copy", "%s does not fit %s", from, to);
        }
        check.own("copy", "from", from);
        check.own("copy", "to", to);
        to.fill();
        kernels().elementwise().copy(from, to);
    }

    /** y += scale · x, element by element; y = scale · x if y is blank. */
    public final void add(float scale, Tensor x, Tensor y) {
        check.same("add", "x", x, "y", y);
        kernels().elementwise().add(scale, x, y, y.fill());
    }

    /** z = x · y, element by element. */
    public final void multiply(Tensor x, Tensor y, Tensor z) {
        check.same("multiply", "x", x, "y", y);
        check.same("multiply", "x", x, "z", z);
        z.fill();
        kernels().elementwise().multiply(x, y, z, false);
    }

    /** dx += dz · y, dy += dz · x. */
    public final void multiplyGrad(Tensor dz, Tensor x, Tensor y, Tensor dx, Tensor dy) {
        check.same("multiplyGrad", "dz", dz, "x", x);
        check.same("multiplyGrad", "dz", dz, "y", y);
        check.same("multiplyGrad", "dx", dx, "x", x);
        check.same("multiplyGrad", "dy", dy, "y", y);
        kernels().elementwise().multiply(dz, y, dx, dx.fill());
        kernels().elementwise().multiply(dz, x, dy, dy.fill());
    }

    /** Σ x², in double but for short runs, in an order that depends on the shape alone. */
    public final double sumOfSquares(Tensor x) {
        return sumOfSquares(List.of(x));
    }

    /** Σ x² of all the tensors together, one after the other as in {@link #sumOfSquares(Tensor)}. */
    public final double sumOfSquares(List<Tensor> tensors) {
        for (var x : tensors) {
            check.own("sumOfSquares", "x", x);
        }
        return kernels()
                .reductions()
                .sumOfSquares(tensors.stream().filter(x -> !x.isBlank()).toList());
    }

    /** Σ x, in double but for short runs, in an order that depends on the shape alone. */
    public final double sum(Tensor x) {
        check.own("sum", "x", x);
        return x.isBlank() ? 0 : kernels().reductions().sum(x);
    }

    // --- products ---------------------------------------------------------------------------------------------------

    /**
     * c += op(a) · op(b), where op transposes if its flag says so; c = … if c is blank. Tensors are taken as rows × last dimension.
     */
    public final void matmul(boolean transposeA, boolean transposeB, Tensor a, Tensor b, Tensor c) {
        int m = transposeA ? a.columns() : a.rows();
        int k = transposeA ? a.rows() : a.columns();
        int kb = transposeB ? b.columns() : b.rows();
        int n = transposeB ? b.rows() : b.columns();
        if (k != kb) {
            throw Check.error("matmul", "inner sizes differ: %d of a %s, %d of b %s", k, a.shape(), kb, b.shape());
        }
        if (c.rows() != m || c.columns() != n) {
            throw Check.error("matmul", "c must be %d × %d, got %s", m, n, c.shape());
        }
        check.own("matmul", "a", a);
        check.own("matmul", "b", b);
        check.own("matmul", "c", c);
        kernels().products().matmul(transposeA, transposeB, m, n, k, a, b, c, c.fill());
    }

    /**
     * y = x · wᵀ + bias + residual.
     *
     * @param x (…, K)
     * @param w (N, K)
     * @param bias (N), nullable
     * @param residual (…, N), nullable
     * @param y (…, N)
     */
    public final void linear(Tensor x, Tensor w, Tensor bias, Tensor residual, Tensor y) {
        checkLinear("linear", x, w, "y", y);
        check.elements("linear", "bias", bias, w.rows());
        if (residual != null) {
            check.same("linear", "residual", residual, "y", y);
        }
        y.fill();
        kernels().products().linear(x, w, bias, residual, y);
    }

    /**
     * Several linear layers of the same input, which is read once: y_i = x · w_iᵀ + bias_i; to the first one the residual is added.
     *
     * @param x (…, K)
     * @param w each (N_i, K)
     * @param bias each (N_i) or null
     * @param residual (…, N_0), nullable
     * @param y each (…, N_i)
     */
    public final void linear(Tensor x, Tensor[] w, Tensor[] bias, Tensor residual, Tensor[] y) {
        sameCount("linear", "w", w, "bias", bias);
        sameCount("linear", "w", w, "y", y);
        for (int i = 0; i < w.length; i++) {
            checkLinear("linear", x, w[i], "y", y[i]);
            check.elements("linear", "bias", bias[i], w[i].rows());
        }
        if (residual != null) {
            check.same("linear", "residual", residual, "y", y[0]);
        }
        for (var filled : y) {
            filled.fill();
        }
        kernels().products().linear(x, w, bias, residual, y);
    }

    /**
     * The gradients of {@link #linear(Tensor, Tensor[], Tensor[], Tensor, Tensor[])} but for the biases, whose are {@link #sumRows}, and the
     * residual, whose is dy_0: dx += Σ dy_i · w_i, dw_i += dy_iᵀ · x.
     */
    public final void linearGrad(Tensor[] dy, Tensor x, Tensor[] w, Tensor dx, Tensor[] dw) {
        sameCount("linearGrad", "dy", dy, "w", w);
        sameCount("linearGrad", "dy", dy, "dw", dw);
        check.same("linearGrad", "dx", dx, "x", x);
        for (int i = 0; i < w.length; i++) {
            checkLinear("linearGrad", x, w[i], "dy", dy[i]);
            check.same("linearGrad", "dw", dw[i], "w", w[i]);
        }
        addW = addW.length < dw.length ? new boolean[dw.length] : addW;
        for (int i = 0; i < dw.length; i++) {
            addW[i] = dw[i].fill();
        }
        kernels().products().linearGrad(dy, x, w, dx, dx.fill(), dw, addW);
    }

    private void checkLinear(String operation, Tensor x, Tensor w, String name, Tensor y) {
        if (x.columns() != w.columns()) {
            throw Check.error(operation, "x %s does not fit w %s: last sizes must agree", x.shape(), w.shape());
        }
        if (y.rows() != x.rows() || y.columns() != w.rows()) {
            throw Check.error(operation, "%s must be %d × %d, got %s", name, x.rows(), w.rows(), y.shape());
        }
        check.own(operation, "x", x);
        check.own(operation, "w", w);
        check.own(operation, name, y);
    }

    private static void sameCount(String operation, String a, Tensor[] as, String b, Tensor[] bs) {
        if (as.length == 0 || as.length != bs.length) {
            throw Check.error(operation, "%d %s and %d %s: as many of each, at least one", as.length, a, bs.length, b);
        }
    }

    /** dColumns += Σ over rows of dy. dy: (…, N); dColumns: (N): the gradient of a bias. */
    public final void sumRows(Tensor dy, Tensor dColumns) {
        check.own("sumRows", "dy", dy);
        check.elements("sumRows", "dColumns", dColumns, dy.columns());
        kernels().reductions().sumRows(dy, dColumns, dColumns.fill());
    }

    // --- activations ------------------------------------------------------------------------------------------------

    /** y = silu(a) · b with silu(a) = a / (1 + e⁻ᵃ); y = silu(a) where b is null. */
    public final void silu(Tensor a, Tensor b, Tensor y) {
        check.same("silu", "a", a, "y", y);
        if (b != null) {
            check.same("silu", "a", a, "b", b);
        }
        y.fill();
        kernels().activations().silu(a, b, y);
    }

    /**
     * The gradients of {@link #silu}: da += dy · b · silu'(a), db += dy · silu(a); and y = silu(a) · b once more, to the bit what silu computed.
     *
     * @param b null together with db
     * @param y null if not wanted; may be dy itself
     */
    public final void siluGrad(Tensor dy, Tensor a, Tensor b, Tensor da, Tensor db, Tensor y) {
        check.same("siluGrad", "dy", dy, "a", a);
        check.same("siluGrad", "da", da, "a", a);
        Check.together("siluGrad", "b", b, "db", db);
        if (b != null) {
            check.same("siluGrad", "b", b, "a", a);
            check.same("siluGrad", "db", db, "a", a);
        }
        if (y != null) {
            check.same("siluGrad", "y", y, "a", a);
            y.fill();
        }
        kernels().activations().siluGrad(dy, a, b, da, db, da.fill(), db != null && db.fill(), y);
    }

    /**
     * y = x with some elements dropped, the others divided by 1 − p; also the gradient of itself. Row t, column j of sequence b is element
     * (t, j) of {@link Dropout}.
     *
     * @param x (B, L, D)
     * @param y (B, L, D), may be x itself
     */
    public final void dropout(Dropout dropout, Tensor x, Tensor y) {
        check.rank("dropout", "x", x, 3);
        check.same("dropout", "x", x, "y", y);
        y.fill();
        kernels().dropouts().dropout(dropout, x, y);
    }

    // --- norms ------------------------------------------------------------------------------------------------------

    /**
     * y = x / sqrt(mean(x²) + ε) · (γ + shift), row by row.
     *
     * @param x (rows, D)
     * @param gamma (D), nullable: then the factor is 1
     * @param shift what is added to γ: 0 (Llama) or 1 (Megalodon)
     * @param y (rows, D)
     * @param rstd (rows): receives 1 / sqrt(mean(x²) + ε)
     */
    public final void rmsNorm(Tensor x, Tensor gamma, float shift, float eps, Tensor y, Tensor rstd) {
        check.same("rmsNorm", "x", x, "y", y);
        check.elements("rmsNorm", "gamma", gamma, x.columns());
        check.elements("rmsNorm", "rstd", rstd, x.rows());
        y.fill();
        rstd.fill();
        kernels().norms().rmsNorm(x, gamma, shift, eps, y, rstd);
    }

    /** The gradients of {@link #rmsNorm}; dgamma is null where gamma is. */
    public final void rmsNormGrad(
            Tensor dy, Tensor x, Tensor gamma, float shift, Tensor rstd, Tensor dx, Tensor dgamma) {
        check.same("rmsNormGrad", "dy", dy, "x", x);
        check.same("rmsNormGrad", "dx", dx, "x", x);
        checkWeight("rmsNormGrad", "gamma", gamma, dgamma, x);
        check.elements("rmsNormGrad", "rstd", rstd, x.rows());
        kernels()
                .norms()
                .rmsNormGrad(dy, x, gamma, shift, rstd, dx, dgamma, dx.fill(), dgamma != null && dgamma.fill());
    }

    /**
     * y = (x − mean(x)) / sqrt(var(x) + ε) · w + b, row by row (biased variance).
     *
     * @param x (rows, D)
     * @param w (D), nullable: then 1
     * @param b (D), nullable: then 0
     * @param mean (rows), receives the means
     * @param rstd (rows), receives 1 / sqrt(var + ε)
     */
    public final void layerNorm(Tensor x, Tensor w, Tensor b, float eps, Tensor y, Tensor mean, Tensor rstd) {
        check.same("layerNorm", "x", x, "y", y);
        check.elements("layerNorm", "w", w, x.columns());
        check.elements("layerNorm", "b", b, x.columns());
        check.elements("layerNorm", "mean", mean, x.rows());
        check.elements("layerNorm", "rstd", rstd, x.rows());
        y.fill();
        mean.fill();
        rstd.fill();
        kernels().norms().layerNorm(x, w, b, eps, y, mean, rstd);
    }

    /** The gradients of {@link #layerNorm}; dw and db are null where w and b are. */
    public final void layerNormGrad(
            Tensor dy, Tensor x, Tensor w, Tensor mean, Tensor rstd, Tensor dx, Tensor dw, Tensor db) {
        check.same("layerNormGrad", "dy", dy, "x", x);
        check.same("layerNormGrad", "dx", dx, "x", x);
        checkWeight("layerNormGrad", "w", w, dw, x);
        check.elements("layerNormGrad", "db", db, x.columns());
        check.elements("layerNormGrad", "mean", mean, x.rows());
        check.elements("layerNormGrad", "rstd", rstd, x.rows());
        kernels()
                .norms()
                .layerNormGrad(
                        dy, x, w, mean, rstd, dx, dw, db, dx.fill(), dw != null && dw.fill(), db != null && db.fill());
    }

    /**
     * Timestep normalisation: a group norm whose statistics run over time. With g_t the mean of a group's features at t,
     *
     * <pre>
     * count_t = count_{t-1} + valid_t
     * mean_t  = (mean_0·count_0 + Σ_{s≤t} valid_s g_s) / max(count_t, 1)          (mean_0 while count_t = 0)
     * m2_t    = var_0·max(count_0, 1) + Σ_{s≤t} valid_s (g_s − mean_{s−1})(g_s − mean_s)
     * var_t   = max(m2_t / max(count_t, 1), 1e-6)                                 (var_0 while count_t = 0)
     * y_t     = (x_t − mean_t) / sqrt(var_t + ε) · (w + 1) + b
     * </pre>
     *
     * @param x (B, L, D)
     * @param mask (B, L), 1 = valid, nullable: then all are
     * @param w (D), nullable: then 0
     * @param b (D), nullable: then 0
     * @param groups G, divides D
     * @param state (B, 2, 1 + 2·G): count, means, variances, each the sum of two floats that lie 1 + 2·G apart, since a float alone stands
     *     still after 2²⁴ tokens; read and then overwritten with the state after the last token; nullable: then it starts from (0, 0, 1) and is
     *     not kept
     * @param y (B, L, D)
     * @param mean (B, L, G), receives mean_t
     * @param rstd (B, L, G), receives 1 / sqrt(var_t + ε)
     */
    public final void timestepNorm(
            Tensor x,
            Tensor mask,
            Tensor w,
            Tensor b,
            int groups,
            float eps,
            Tensor state,
            Tensor y,
            Tensor mean,
            Tensor rstd) {
        check.rank("timestepNorm", "x", x, 3);
        check.same("timestepNorm", "x", x, "y", y);
        checkStatistics("timestepNorm", x, mask, groups, mean, rstd);
        check.elements("timestepNorm", "w", w, x.columns());
        check.elements("timestepNorm", "b", b, x.columns());
        check.elements("timestepNorm", "state", state, 2L * x.shape().size(0) * (1 + 2 * groups));
        y.fill();
        mean.fill();
        rstd.fill();
        kernels().timestepNorm().timestepNorm(x, mask, w, b, groups, eps, state, y, mean, rstd);
    }

    /**
     * The gradients of {@link #timestepNorm} from a fresh state (0, 0, 1): through y_t directly, and through mean_t and var_t to all
     * earlier tokens. A variance at its floor of 1e-6 passes no gradient. dw and db are null where w and b are.
     */
    public final void timestepNormGrad(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor w,
            int groups,
            float eps,
            Tensor mean,
            Tensor rstd,
            Tensor dx,
            Tensor dw,
            Tensor db) {
        check.rank("timestepNormGrad", "x", x, 3);
        check.same("timestepNormGrad", "dy", dy, "x", x);
        check.same("timestepNormGrad", "dx", dx, "x", x);
        checkStatistics("timestepNormGrad", x, mask, groups, mean, rstd);
        checkWeight("timestepNormGrad", "w", w, dw, x);
        check.elements("timestepNormGrad", "db", db, x.columns());
        kernels()
                .timestepNorm()
                .timestepNormGrad(
                        dy,
                        x,
                        mask,
                        w,
                        groups,
                        eps,
                        mean,
                        rstd,
                        dx,
                        dw,
                        db,
                        dx.fill(),
                        dw != null && dw.fill(),
                        db != null && db.fill());
    }

    private void checkStatistics(String operation, Tensor x, Tensor mask, int groups, Tensor mean, Tensor rstd) {
        if (groups < 1 || x.columns() % groups != 0) {
            throw Check.error(operation, "%d groups do not divide %d features", groups, x.columns());
        }
        check.elements(operation, "mask", mask, x.rows());
        check.elements(operation, "mean", mean, (long) x.rows() * groups);
        check.elements(operation, "rstd", rstd, (long) x.rows() * groups);
    }

    // One factor a feature, and its gradient.
    private void checkWeight(String operation, String name, Tensor w, Tensor dw, Tensor x) {
        check.elements(operation, name, w, x.columns());
        check.elements(operation, "d" + name, dw, x.columns());
    }

    // --- attention --------------------------------------------------------------------------------------------------

    /**
     * Rotates pairs of features by position, in place: for a pair (u, v) and its angle, (u·cos − v·sin, v·cos + u·sin).
     *
     * @param x (B, L, H·d)
     * @param cos (L, d/2)
     * @param sin (L, d/2)
     * @param heads H
     * @param adjacent whether pairs are (2i, 2i+1), as in Llama, or (i, i + d/2), as in Megalodon
     * @param inverse whether to rotate back, which is also the gradient
     */
    public final void rope(Tensor x, Tensor cos, Tensor sin, int heads, boolean adjacent, boolean inverse) {
        check.rank("rope", "x", x, 3);
        check.rope("rope", x.shape().size(1), x.columns(), heads, cos, sin);
        kernels().rotary().rope(x, cos, sin, heads, adjacent, inverse);
    }

    /**
     * Megalodon's queries and keys from their shared projection: every head of z is divided by its root mean square, then scaled, shifted
     * and rotated (half-split pairs). With u = z / sqrt(mean over d of z² + ε) and i = 0 for q, 1 for k:
     *
     * <pre>rope(u · (gamma[i] + 1) / √d + beta[i])</pre>
     *
     * @param z (B, L, Z), Z = H·d
     * @param gamma (2, Z)
     * @param beta (2, Z)
     * @param cos (L, d/2)
     * @param sin (L, d/2)
     * @param q (B, L, Z)
     * @param k (B, L, Z)
     * @param rstd (B, L, H): receives 1 / sqrt(mean(z²) + ε)
     */
    public final void queryKey(
            Tensor z,
            Tensor gamma,
            Tensor beta,
            Tensor cos,
            Tensor sin,
            int heads,
            float eps,
            Tensor q,
            Tensor k,
            Tensor rstd) {
        check.rank("queryKey", "z", z, 3);
        check.rope("queryKey", z.shape().size(1), z.columns(), heads, cos, sin);
        check.same("queryKey", "z", z, "q", q);
        check.same("queryKey", "z", z, "k", k);
        check.elements("queryKey", "gamma", gamma, 2L * z.columns());
        check.elements("queryKey", "beta", beta, 2L * z.columns());
        check.elements("queryKey", "rstd", rstd, (long) z.rows() * heads);
        q.fill();
        k.fill();
        rstd.fill();
        kernels().rotary().queryKey(z, gamma, beta, cos, sin, heads, eps, q, k, rstd);
    }

    /** The gradients of {@link #queryKey}. dq and dk are used as working memory: their contents are lost. */
    public final void queryKeyGrad(
            Tensor dq,
            Tensor dk,
            Tensor z,
            Tensor gamma,
            Tensor cos,
            Tensor sin,
            int heads,
            Tensor rstd,
            Tensor dz,
            Tensor dgamma,
            Tensor dbeta) {
        check.same("queryKeyGrad", "dq", dq, "z", z);
        check.same("queryKeyGrad", "dk", dk, "z", z);
        check.same("queryKeyGrad", "dz", dz, "z", z);
        check.rank("queryKeyGrad", "z", z, 3);
        check.rope("queryKeyGrad", z.shape().size(1), z.columns(), heads, cos, sin);
        check.elements("queryKeyGrad", "gamma", gamma, 2L * z.columns());
        check.elements("queryKeyGrad", "dgamma", dgamma, 2L * z.columns());
        check.elements("queryKeyGrad", "dbeta", dbeta, 2L * z.columns());
        check.elements("queryKeyGrad", "rstd", rstd, (long) z.rows() * heads);
        fillWithZeros(dq);
        fillWithZeros(dk);
        kernels()
                .rotary()
                .queryKeyGrad(
                        dq,
                        dk,
                        z,
                        gamma,
                        cos,
                        sin,
                        heads,
                        rstd,
                        dz,
                        dgamma,
                        dbeta,
                        dz.fill(),
                        dgamma.fill(),
                        dbeta.fill());
    }

    /**
     * Causal softmax attention, o = softmax(scale · q kᵀ) v for every head, inside chunks.
     *
     * <p>The last of the Lk keys belongs to the last of the Lq queries: query i sits at position i + Lk − Lq among the keys and sees those
     * up to its own, from the start of its chunk of {@code chunk} keys on. A query that sees no valid key gets o = 0.
     *
     * @param q (B, Lq, H·d)
     * @param k (B, C, H·d), of which the first Lk entries of each sequence are keys
     * @param v (B, C, H·e)
     * @param keys Lk, Lq ≤ Lk ≤ C
     * @param mask (B, Lk), 1 = valid key, nullable
     * @param heads H
     * @param chunk positive; at least Lk means no chunks. Smaller only where Lq = Lk
     * @param scale the factor of the scores
     * @param dropout of the softmax's results, nullable, only where Lq = Lk = C: the weight that query i of head h gives to key j is element
     *     (h · Lq + i, j)
     * @param o (B, Lq, H·e)
     * @param logSum (B, H, Lq): receives ln Σ e^score of each query, −∞ where it sees nothing; nullable
     */
    public final void attention(
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
        check.attention("attention", q, k, v, keys, mask, heads, chunk);
        if (dropout != null && (q.shape().size(1) != keys || k.shape().size(1) != keys)) {
            throw Check.error("attention", "weights are dropped only where there are as many keys as queries");
        }
        if (o.rows() != q.rows() || o.columns() != v.columns()) {
            throw Check.error("attention", "o must be %d × %d, got %s", q.rows(), v.columns(), o.shape());
        }
        check.own("attention", "o", o);
        check.elements("attention", "logSum", logSum, (long) q.rows() * heads);
        o.fill();
        if (logSum != null) {
            logSum.fill();
        }
        kernels().attention().attention(q, k, v, keys, mask, heads, chunk, scale, dropout, o, logSum);
    }

    /** {@link #attention} that drops nothing. */
    public final void attention(
            Tensor q,
            Tensor k,
            Tensor v,
            int keys,
            Tensor mask,
            int heads,
            int chunk,
            float scale,
            Tensor o,
            Tensor logSum) {
        attention(q, k, v, keys, mask, heads, chunk, scale, null, o, logSum);
    }

    /** The gradients of {@link #attention} where C = Lk = Lq. dq, dk, dv are overwritten if blank, else added to. */
    public final void attentionGrad(
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
            Tensor dv) {
        check.attention("attentionGrad", q, k, v, q.shape().size(1), mask, heads, chunk);
        check.same("attentionGrad", "q", q, "k", k);
        check.same("attentionGrad", "dO", dO, "v", v);
        check.same("attentionGrad", "o", o, "v", v);
        check.same("attentionGrad", "dq", dq, "q", q);
        check.same("attentionGrad", "dk", dk, "k", k);
        check.same("attentionGrad", "dv", dv, "v", v);
        check.elements("attentionGrad", "logSum", logSum, (long) q.rows() * heads);
        kernels()
                .attention()
                .attentionGrad(
                        dO, q, k, v, mask, heads, chunk, scale, dropout, o, logSum, dq, dk, dv, dq.fill(), dk.fill(),
                        dv.fill());
    }

    /** {@link #attentionGrad} where nothing was dropped. */
    public final void attentionGrad(
            Tensor dO,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor mask,
            int heads,
            int chunk,
            float scale,
            Tensor o,
            Tensor logSum,
            Tensor dq,
            Tensor dk,
            Tensor dv) {
        attentionGrad(dO, q, k, v, mask, heads, chunk, scale, null, o, logSum, dq, dk, dv);
    }

    // --- complex EMA ------------------------------------------------------------------------------------------------

    /**
     * The coefficients of the complex EMA from its parameters, σ the logistic function, n = 1 … N:
     *
     * <pre>
     * p = σ(alpha)      q = (1 − σ(alpha) σ(delta)) · exp(i·n·σ(theta)·2π/N)      γ = (gammaReal + i·gammaImag) · √(1/N)
     * </pre>
     *
     * @param alpha (D, N)
     * @param delta (D, N)
     * @param theta (D)
     * @param gammaReal (D, N)
     * @param gammaImag (D, N)
     * @param coefficients (5, N, D): p, Re q, Im q, Re γ, Im γ
     */
    public final void emaCoefficients(
            Tensor alpha, Tensor delta, Tensor theta, Tensor gammaReal, Tensor gammaImag, Tensor coefficients) {
        checkCoefficients("emaCoefficients", alpha, delta, theta, coefficients);
        check.elements("emaCoefficients", "gammaReal", gammaReal, alpha.elements());
        check.elements("emaCoefficients", "gammaImag", gammaImag, alpha.elements());
        coefficients.fill();
        kernels().emaCoefficients().emaCoefficients(alpha, delta, theta, gammaReal, gammaImag, coefficients);
    }

    /** The gradients of {@link #emaCoefficients}. All five results are given. */
    public final void emaCoefficientsGrad(
            Tensor dcoefficients,
            Tensor alpha,
            Tensor delta,
            Tensor theta,
            Tensor dalpha,
            Tensor ddelta,
            Tensor dtheta,
            Tensor dgammaReal,
            Tensor dgammaImag) {
        checkCoefficients("emaCoefficientsGrad", alpha, delta, theta, dcoefficients);
        check.elements("emaCoefficientsGrad", "dalpha", dalpha, alpha.elements());
        check.elements("emaCoefficientsGrad", "ddelta", ddelta, alpha.elements());
        check.elements("emaCoefficientsGrad", "dtheta", dtheta, theta.elements());
        check.elements("emaCoefficientsGrad", "dgammaReal", dgammaReal, alpha.elements());
        check.elements("emaCoefficientsGrad", "dgammaImag", dgammaImag, alpha.elements());
        kernels()
                .emaCoefficients()
                .emaCoefficientsGrad(
                        dcoefficients,
                        alpha,
                        delta,
                        theta,
                        dalpha,
                        ddelta,
                        dtheta,
                        dgammaReal,
                        dgammaImag,
                        dalpha.fill(),
                        ddelta.fill(),
                        dtheta.fill(),
                        dgammaReal.fill(),
                        dgammaImag.fill());
    }

    private void checkCoefficients(String operation, Tensor alpha, Tensor delta, Tensor theta, Tensor coefficients) {
        check.own(operation, "alpha", alpha);
        check.elements(operation, "delta", delta, alpha.elements());
        check.elements(operation, "coefficients", coefficients, 5L * alpha.elements());
        check.elements(operation, "theta", theta, coefficients.columns());
    }

    /** How the complex EMA of a training step is evaluated; both agree up to rounding. */
    public enum EmaMethod {
        /** The recurrence, channel by channel in vector lanes. */
        SCAN,
        /** A convolution with k[j] = Re Σ_n γ_n p_n q_nʲ by FFT, padded to a power of two ≥ 2L. */
        FFT
    }

    /**
     * The complex EMA: h_t = q h_{t−1} + p x_t, y_t = Re Σ_n γ_n h_{n,t} + omega · x_t, for each channel.
     *
     * @param x (B, L, D)
     * @param mask (B, L), nullable: a token whose entry is 0 enters as x_t = 0
     * @param coefficients (5, N, D) of {@link #emaCoefficients}
     * @param omega (D)
     * @param state (B, 2, N, D): Re h, Im h before the first token, overwritten with those after the last; nullable: then h starts from 0 and
     *     is not kept. Only with {@link EmaMethod#SCAN}
     * @param y (B, L, D)
     */
    public final void ema(
            Tensor x, Tensor mask, Tensor coefficients, Tensor omega, Tensor state, EmaMethod method, Tensor y) {
        check.ema("ema", x, mask, coefficients, omega);
        check.same("ema", "x", x, "y", y);
        int n = coefficients.elements() / (5 * x.columns());
        check.elements("ema", "state", state, 2L * x.shape().size(0) * n * x.columns());
        if (state != null && method != EmaMethod.SCAN) {
            throw Check.error("ema", "a state is carried by the scan only");
        }
        y.fill();
        kernels().ema().ema(x, mask, coefficients, omega, state, method, y);
    }

    /** The gradients of {@link #ema} from h = 0. */
    public final void emaGrad(
            Tensor dy,
            Tensor x,
            Tensor mask,
            Tensor coefficients,
            Tensor omega,
            EmaMethod method,
            Tensor dx,
            Tensor dcoefficients,
            Tensor domega) {
        check.ema("emaGrad", x, mask, coefficients, omega);
        check.same("emaGrad", "dy", dy, "x", x);
        check.same("emaGrad", "dx", dx, "x", x);
        check.elements("emaGrad", "dcoefficients", dcoefficients, coefficients.elements());
        check.elements("emaGrad", "domega", domega, x.columns());
        kernels()
                .ema()
                .emaGrad(
                        dy,
                        x,
                        mask,
                        coefficients,
                        omega,
                        method,
                        dx,
                        dcoefficients,
                        domega,
                        dx.fill(),
                        dcoefficients.fill(),
                        domega.fill());
    }

    // --- tokens -----------------------------------------------------------------------------------------------------

    /**
     * y[r] = table[ids[r]] · scale.
     *
     * @param ids one token a row, each in [0, V)
     * @param table (V, D)
     * @param y (…, D) with as many rows as ids
     */
    public final void embedding(int[] ids, Tensor table, float scale, Tensor y) {
        if (y.rows() != ids.length || y.columns() != table.columns()) {
            throw Check.error("embedding", "y must be %d × %d, got %s", ids.length, table.columns(), y.shape());
        }
        check.own("embedding", "table", table);
        check.own("embedding", "y", y);
        Check.ids("embedding", ids, table.rows());
        y.fill();
        kernels().tokens().embedding(ids, table, scale, y);
    }

    /** dtable[ids[r]] += dy[r] · scale, except for the rows of {@code paddingId} (−1: none). */
    public final void embeddingGrad(Tensor dy, int[] ids, int paddingId, float scale, Tensor dtable) {
        if (dy.rows() != ids.length || dy.columns() != dtable.columns()) {
            throw Check.error("embeddingGrad", "dy must be %d × %d, got %s", ids.length, dtable.columns(), dy.shape());
        }
        check.own("embeddingGrad", "dy", dy);
        check.own("embeddingGrad", "dtable", dtable);
        Check.ids("embeddingGrad", ids, dtable.rows());
        kernels().tokens().embeddingGrad(dy, ids, paddingId, scale, dtable, dtable.fill());
    }

    /** The label of a position that has no target. */
    public static final int IGNORE_INDEX = -100;

    /**
     * Cross-entropy of each row in nats, and its gradient in the same pass: loss = ln Σ_j e^{x_j} − x_label.
     *
     * @param logits (rows, V)
     * @param labels one a row, in [0, V) or {@link #IGNORE_INDEX}, whose loss and gradient are 0
     * @param scale what the gradient is multiplied by: 1 / number of targets for a mean
     * @param losses (rows), receives the loss of each row
     * @param dlogits (rows, V), overwritten, may be the logits themselves; nullable
     */
    public final void crossEntropy(Tensor logits, int[] labels, float scale, Tensor losses, Tensor dlogits) {
        if (logits.rows() != labels.length) {
            throw Check.error(
                    "crossEntropy",
                    "logits %s have %d rows, got %d labels",
                    logits.shape(),
                    logits.rows(),
                    labels.length);
        }
        check.own("crossEntropy", "logits", logits);
        Check.labels("crossEntropy", labels, logits.columns());
        check.elements("crossEntropy", "losses", losses, labels.length);
        losses.fill();
        if (dlogits != null) {
            check.same("crossEntropy", "dlogits", dlogits, "logits", logits);
            dlogits.fill();
        }
        kernels().tokens().crossEntropy(logits, labels, scale, losses, dlogits);
    }

    // --- optimizer --------------------------------------------------------------------------------------------------

    /** Adam's constants for one step: learning rate, decay of both moments, ε, coupled weight decay, and the factor of clipping. */
    public record AdamStep(
            float learningRate, float beta1, float beta2, float eps, float weightDecay, float gradScale, int step) {
        /** 1 − β₁ᵗ. */
        public double correction1() {
            return 1 - Math.pow(beta1, step);
        }

        /** 1 − β₂ᵗ. */
        public double correction2() {
            return 1 - Math.pow(beta2, step);
        }
    }

    /**
     * One step of Adam (Kingma and Ba 2014) with coupled L2, t = step counted from 1:
     *
     * <pre>
     * g = gradScale·grad + weightDecay·p     m = β₁m + (1−β₁)g     v = β₂v + (1−β₂)g²
     * p −= lr · (m / (1−β₁ᵗ)) / (sqrt(v / (1−β₂ᵗ)) + ε)
     * </pre>
     *
     * A blank gradient counts as zero, so do blank moments.
     */
    public final void adam(AdamStep step, Tensor p, Tensor grad, Tensor m, Tensor v) {
        check.same("adam", "p", p, "grad", grad);
        check.same("adam", "p", p, "m", m);
        check.same("adam", "p", p, "v", v);
        fillWithZeros(grad);
        fillWithZeros(m);
        fillWithZeros(v);
        kernels().optimizer().adam(step, p, grad, m, v);
    }

    // Reads as zero what is blank.
    private void fillWithZeros(Tensor x) {
        if (!x.fill()) {
            kernels().elementwise().zero(x);
        }
    }

    /** Clears the tensor; unlike a blank one, it is then filled with zeros. */
    public final void zero(Tensor x) {
        check.own("zero", "x", x);
        x.fill();
        kernels().elementwise().zero(x);
    }
}
