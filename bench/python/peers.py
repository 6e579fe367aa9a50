"""Times the Python implementations of both models at what RESULTS.md reports for megalodon4j, on synthetic bytes.

For comparison only: nothing else here needs Python. Install PyTorch for CPUs, then

    pip install "transformers<5" pyyaml einops rotary-embedding-torch tabulate tqdm \\
        git+https://github.com/pszemraj/megalodon-hf git+https://github.com/pszemraj/megalodon-enwik8
    # for --framework jax
    pip install jax optax equinox megalodon-jax==0.1.1 git+https://github.com/pszemraj/megalodon-enwik8-jax

Each line printed is one measurement, the median after a warm-up:

    python bench/python/peers.py step --model megalodon --dtype fp32 --micro-batch 1 2 4 8 16
    python bench/python/peers.py step --model llama --dtype bf16 --framework jax
    python bench/python/peers.py generate --model megalodon
"""

import argparse
import inspect
import os
import statistics
import time
from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = {"llama": "llama_512.yaml", "megalodon": "megalodon_multichunk_512.yaml"}
SEQUENCES = 16  # of a training step
PROMPT, NEW = 256, 128  # tokens


def timed(work, times, warm_up):
    """Seconds of each of the timed calls."""
    seconds = []
    for _ in range(warm_up + times):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return seconds[warm_up:]


def report(args, what, seconds, tokens):
    median = statistics.median(seconds)
    print(f"{args.framework} {args.model} {args.dtype} {what}: {median:.3f} s", end=" ")
    print(f"({min(seconds):.3f} to {max(seconds):.3f}), {tokens / median:,.0f} tokens/s", flush=True)


def generation(generate, times):
    """Seconds for 1 + 128 tokens less those for 1, which are the prompt's."""
    prompt = statistics.median(timed(lambda: generate(1), times, 1))
    return [seconds - prompt for seconds in timed(lambda: generate(1 + NEW), times, 1)]


class Torch:
    def __init__(self, args, config):
        import torch
        from megalodon_enwik8 import Llama, MegalodonLM

        torch.set_num_threads(args.threads)
        torch.manual_seed(config["seed"])
        self.torch, self.config = torch, config
        self.autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16")
        kind = {"llama": Llama, "megalodon": MegalodonLM}[args.model]
        options = {**config, "vocab_size": config["num_tokens"], "flash_attn": False}
        known = inspect.signature(kind).parameters
        self.model = kind(**{key: value for key, value in options.items() if key in known})

    def stepper(self, micro_batch):
        """A training step like that of the reference's train.py, but with a backward pass for each micro-batch."""
        torch, model, length = self.torch, self.model.train(), self.config["seq_len"]
        rate, decay = self.config["learning_rate"], self.config["weight_decay"]
        adam = torch.optim.Adam(model.parameters(), rate, weight_decay=decay)
        batches = torch.randint(256, (SEQUENCES, length + 1)).split(micro_batch)

        def step():
            adam.zero_grad()
            for batch in batches:
                with self.autocast():
                    logits = model(batch[:, :-1]).flatten(0, 1)
                    loss = torch.nn.functional.cross_entropy(logits, batch[:, 1:].flatten(), reduction="sum")
                (loss / (SEQUENCES * length)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.config["grad_clip_norm"])
            adam.step()

        return step

    def generate(self, count):
        """With the reference's own loop; its Llama has no cache and reads its text anew for each token."""
        with self.torch.no_grad(), self.autocast():
            self.model.eval().generate(self.torch.full((1, PROMPT), ord("a")), count)


class Jax:
    def __init__(self, args, config):
        import equinox
        import jax
        from megalodon_enwik8_jax.models import build_model
        from megalodon_jax import generate

        self.jax, self.config = jax, {**config, "dtype": args.dtype}
        key = jax.random.PRNGKey(config["seed"])
        self.model = build_model(self.config, key)
        self.continued = equinox.filter_jit(lambda model, text, count: generate(model, text, count, key)[0])

    def stepper(self, micro_batch):
        from megalodon_enwik8_jax import utils

        adam, mask = utils.build_optimizer(self.config), utils.make_trainable_mask(self.model)
        state = utils.create_train_state(self.model, adam, self.jax.random.PRNGKey(0), trainable_mask=mask)
        train = utils.make_train_step(self.config, adam, mask)
        shape = (SEQUENCES // micro_batch, micro_batch, self.config["seq_len"] + 1)
        batches = self.jax.random.randint(self.jax.random.PRNGKey(1), shape, 0, 256)

        def step():
            nonlocal state
            state, _ = self.jax.block_until_ready(train(state, batches[..., :-1], batches[..., 1:]))

        return step

    def generate(self, count):
        """The Megalodon alone."""
        text = self.jax.numpy.full((1, PROMPT), ord("a"))
        self.continued(self.model, text, count).block_until_ready()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["step", "generate"], help="16 x 512 tokens, or 128 after a prompt of 256")
    parser.add_argument("--model", choices=FILES, required=True)
    parser.add_argument("--framework", choices=["torch", "jax"], default="torch")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32", help="bf16 is mixed precision")
    parser.add_argument("--micro-batch", type=int, nargs="+", default=[4], choices=[1, 2, 4, 8, 16], metavar="N")
    parser.add_argument("--steps", type=int, default=4, help="how often it is timed")
    parser.add_argument("--threads", type=int, default=2, help="and on Linux cores")
    args = parser.parse_args()
    if args.what == "generate" and (args.framework, args.model) == ("jax", "llama"):
        parser.error("generate --framework jax: allowed with --model megalodon")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])

    import yaml

    config = yaml.safe_load((CONFIGS / FILES[args.model]).read_text())
    peer = {"torch": Torch, "jax": Jax}[args.framework](args, config)

    if args.what == "generate":
        report(args, f"{NEW} tokens after {PROMPT}", generation(peer.generate, args.steps), NEW)
        return
    for n in args.micro_batch:
        report(args, f"step, micro-batch {n}", timed(peer.stepper(n), args.steps, 2), SEQUENCES * config["seq_len"])


main()
