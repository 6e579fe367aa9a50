package megalodon4j.bench;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.nn.Activation;
import ai.djl.nn.core.Embedding;
import ai.djl.nn.core.Linear;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import megalodon4j.autograd.Ops;
import megalodon4j.autograd.Tape;
import megalodon4j.models.LlamaConfig;
import megalodon4j.tensor.Backend;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * {@link StepBench}'s Llama in DJL on its native PyTorch, fp32: what trains such a model in Java today. Setup checks
 * that its loss and its gradients are ours.
 */
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3)
@Measurement(iterations = 5)
public class DjlStepBench extends Bench {
    private static final float EPS = 1e-5f;

    @Param("2")
    int cores;

    /** L. */
    @Param("512")
    int length;

    @Param("4")
    int microBatch;

    @Param("llama")
    String model;

    @Param("16")
    int sequences;

    private LlamaConfig config;
    private Batches batches;
    private NDManager manager;
    private final Map<String, NDArray> weights = new LinkedHashMap<>();
    private NDArray cos; // (L, 1, d/2)
    private NDArray sin;
    private NDArray mask; // (L, L), −∞ above the diagonal
    private Optimizer adam;
    private double first;
    private double last;

    @Setup
    public void open() {
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("ai.djl.pytorch.num_threads", String.valueOf(cores));
        System.setProperty("ai.djl.pytorch.num_interop_threads", "1");
        config = (LlamaConfig) Models.config(model);
        batches = new Batches(sequences / microBatch, microBatch, length, config.numTokens());
        manager = NDManager.newBaseManager(Device.cpu());
        System.out.println("DJL: " + Engine.getInstance().getEngineName() + " "
                + Engine.getInstance().getVersion() + ", threads: " + cores);
        tables();
        adam = Optimizer.adam()
                .optLearningRateTracker(Tracker.fixed(3e-4f))
                .optBeta1(0.9f)
                .optBeta2(0.999f)
                .optEpsilon(1e-8f)
                .build();
        compareWithOurs();
        for (var weight : weights.values()) {
            clear(weight.getGradient());
        }
        first = Double.NaN;
    }

    private void tables() {
        int half = config.dimHead() / 2;
        var c = new float[length * half];
        var s = new float[length * half];
        for (int i = 0; i < c.length; i++) {
            double angle = i / half * Math.pow(10_000, -(i % half) / (double) half);
            c[i] = (float) Math.cos(angle);
            s[i] = (float) Math.sin(angle);
        }
        cos = manager.create(c, new Shape(length, 1, half));
        sin = manager.create(s, new Shape(length, 1, half));
        var above = new float[length * length];
        for (int i = 0; i < above.length; i++) {
            above[i] = i % length > i / length ? Float.NEGATIVE_INFINITY : 0;
        }
        mask = manager.create(above, new Shape(length, length));
    }

    // Takes over the weights of our model; both must find the same loss and the same norm of all gradients.
    private void compareWithOurs() {
        try (var backend = Backend.cpu(cores)) {
            var ours = config.create(backend, 1);
            for (var p : ours.parameters()) {
                var array = manager.create(p.value().toArray(), shape(p.shape().toArray()));
                array.setRequiresGradient(true);
                weights.put(p.name(), array);
            }
            double loss, squares = 0;
            try (var tape = Tape.training(backend)) {
                var logits = ours.logits(tape, batches.ids()[0], microBatch);
                var losses = Ops.crossEntropy(logits, batches.labels()[0], 1f / (sequences * length));
                loss = backend.sum(losses.value());
                tape.backward(losses);
            }
            for (var p : ours.parameters()) {
                squares += backend.sumOfSquares(p.grad());
            }
            Verify.close("DJL's loss", loss, accumulate(0), loss, 1e-4);
            Verify.close("DJL's gradients", Math.sqrt(squares), gradientNorm(), Math.sqrt(squares), 1e-3);
        }
    }

    // From then on it is DJL's Adam that clears them.
    private static void clear(NDArray gradient) {
        gradient.subi(gradient);
        gradient.close();
    }

    private static Shape shape(int[] sizes) {
        var longs = new long[sizes.length];
        for (int i = 0; i < sizes.length; i++) {
            longs[i] = sizes[i];
        }
        return new Shape(longs);
    }

    @Benchmark
    public double step() {
        double sum = 0;
        for (int i = 0; i < batches.ids().length; i++) {
            sum += accumulate(i);
        }
        float scale = (float) Math.min(1, 1 / (gradientNorm() + 1e-6));
        weights.forEach((name, weight) -> {
            var grad = weight.getGradient();
            grad.muli(scale);
            adam.update(name, weight, grad);
            grad.close();
        });
        last = sum / (sequences * length);
        first = Double.isNaN(first) ? last : first;
        return last;
    }

    // One micro-batch forward and backward; the sum of its losses.
    private double accumulate(int i) {
        try (var scope = manager.newSubManager();
                var collector = Engine.getInstance().newGradientCollector()) {
            var ids = scope.create(batches.ids()[i], new Shape(microBatch, length));
            var labels = scope.create(batches.labels()[i], new Shape(microBatch * length, 1));
            var logits = logits(ids).reshape(microBatch * length, config.numTokens());
            var losses = logits.logSoftmax(1)
                    .gather(labels.toType(DataType.INT64, false), 1)
                    .neg();
            var sum = losses.sum();
            collector.backward(sum.mul(1f / (sequences * length)));
            return sum.getFloat();
        }
    }

    private double gradientNorm() {
        double squares = 0;
        for (var weight : weights.values()) {
            try (var scope = manager.newSubManager()) {
                var grad = weight.getGradient();
                grad.attach(scope);
                squares += grad.square().sum().getFloat();
            }
        }
        return Math.sqrt(squares);
    }

    private NDArray logits(NDArray ids) {
        var x = Embedding.embedding(ids, weights.get("token_embed.weight"), SparseFormat.DENSE)
                .singletonOrThrow();
        for (int i = 0; i < config.depth(); i++) {
            var name = "layers." + i + ".";
            x = x.add(attention(norm(x, name + "attn_norm.scale"), name + "attn."));
            x = x.add(feedForward(norm(x, name + "ff_norm.scale"), name + "ff."));
        }
        return linear(norm(x, "norm.scale"), "token_embed");
    }

    private NDArray norm(NDArray x, String scale) {
        return x.div(x.square().mean(new int[] {-1}, true).add(EPS).sqrt()).mul(weights.get(scale));
    }

    private NDArray linear(NDArray x, String name) {
        return Linear.linear(x, weights.get(name + ".weight")).singletonOrThrow();
    }

    private NDArray attention(NDArray n, String name) {
        var q = rope(heads(linear(n, name + "wq"))).transpose(0, 2, 1, 3); // (B, H, L, d)
        var k = rope(heads(linear(n, name + "wk"))).transpose(0, 2, 3, 1);
        var v = heads(linear(n, name + "wv")).transpose(0, 2, 1, 3);
        var scores = q.matMul(k).mul((float) (1 / Math.sqrt(config.dimHead()))).add(mask);
        var o = scores.softmax(-1).matMul(v).transpose(0, 2, 1, 3);
        return linear(o.reshape(microBatch, length, (long) config.heads() * config.dimHead()), name + "wo");
    }

    private NDArray heads(NDArray x) {
        return x.reshape(microBatch, length, config.heads(), config.dimHead());
    }

    private NDArray rope(NDArray x) {
        var pairs = x.reshape(microBatch, length, config.heads(), config.dimHead() / 2, 2);
        var u = pairs.get(new NDIndex("..., 0"));
        var v = pairs.get(new NDIndex("..., 1"));
        var turned = new NDList(u.mul(cos).sub(v.mul(sin)), v.mul(cos).add(u.mul(sin)));
        return NDArrays.stack(turned, -1).reshape(x.getShape());
    }

    private NDArray feedForward(NDArray n, String name) {
        var gate = linear(n, name + "w1");
        return linear(gate.mul(Activation.sigmoid(gate)).mul(linear(n, name + "w3")), name + "w2");
    }

    /** The loss starts at that of a model that knows nothing, and falls. */
    @TearDown
    public void verify() {
        Verify.close("the first loss", Math.log(config.numTokens()), first, 1, 0.5);
        Verify.that(last <= first, "the loss went from " + first + " to " + last);
        manager.close();
    }

    @Override
    List<Work> work(String method) {
        double tokens = sequences * length;
        return List.of(Work.flops(2 * tokens * Models.multiplyAdds(Models.config(model), length)), Work.tokens(tokens));
    }
}
