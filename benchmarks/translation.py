"""How fast image translation trains, and how fast PyTorch does the same.

    python benchmarks/translation.py --torch-python ~/torch/bin/python
    python benchmarks/translation.py --only cyclegan --rounds 40 --json translation.json

`pix2pix` is a U-Net and a discriminator of pairs of images, `pix2pix_once` the same
with `losses.GeneratorFirst`: one pass through the generator serves both updates, as is
usual in PyTorch. `cyclegan` has two residual generators, instance normalization, and a
history of 50 fakes. Images are 64x64x3.

`fit` is the library as it is used, with as many steps per execution as recipes choose.
PyTorch has the same architectures, losses and optimizers, and does the same passes, in
its default layout and in `channels_last`. First, it is given the weights of ours: the
numbers of weights have to agree, and the losses of a batch without dropout.

They take turns, one epoch of `fit` being a round, so that what else the machine does
meets them alike. A ratio is the time of PyTorch divided by that of `fit` within a
round, more than one where this library is the faster: its median over the rounds, and
a 95% interval of the median by order statistics, which below six rounds is the range.
`by processor` is the median ratio of processors' time instead of the clock's.

Where PyTorch is missing, `fit` is timed alone. Where other programs want the same
cores, set OMP_WAIT_POLICY=PASSIVE: PyTorch's threads otherwise spin while they wait for
one another, and its numbers mean nothing.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from overhead import alternate, start_tensorflow, torch_process, versions

SHAPE, BATCHES, WARM_UP, TOLERANCE = (64, 64, 3), 16, 2, 1e-3
LAYOUTS = {"torch": False, "torch_channels_last": True}


@dataclasses.dataclass(frozen=True)
class Case:
    """A model and the way in which it is run.

    Args:
        kind: `"pix2pix"` or `"cyclegan"`.
        batch: Examples of one update.
        steps: Steps of a round.
        generator_first: Whether one pass through the generator serves both updates.
    """

    kind: str
    batch: int
    steps: int
    generator_first: bool = False


CASES = {
    "pix2pix": Case("pix2pix", 4, 16),
    "pix2pix_once": Case("pix2pix", 4, 16, generator_first=True),
    "cyclegan": Case("cyclegan", 2, 8, generator_first=True),
}


def model_of(case, args):
    """Returns a new model of ours, compiled, and its networks."""
    import keras

    from keras_gen import losses, models, networks

    keras.utils.set_random_seed(0)
    width, patches = args.width, {"receptive_field": 34, "width": args.width}
    if case.kind == "pix2pix":
        pair = [
            networks.unet(SHAPE, width=width, dropout=0.5),
            networks.patchgan(SHAPE, SHAPE, **patches),
        ]
        balance = losses.GeneratorFirst() if case.generator_first else None
        model = models.Pix2Pix(*pair, 100.0, balance=balance, seed=0)
    else:
        pair = [networks.resnet_generator(SHAPE, None, width, 3) for _ in range(2)]
        patches["normalization"] = "instance"
        pair += [networks.patchgan(SHAPE, **patches) for _ in range(2)]
        model = models.CycleGAN(*pair, history=50, seed=0)
    steps = max(k for k in range(1, 17) if case.steps % k == 0)
    adam = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)]
    model.compile(
        adam[0],
        discriminator_optimizer=adam[1],
        steps_per_execution=steps,
        jit_compile=args.jit,
    )
    return model, pair


def losses_of(model, networks, source, x):
    """Returns the losses of generators and discriminators without dropout."""
    import tensorflow as tf

    from keras_gen.layers import Dropout

    layers = [layer for network in networks for layer in network.layers]
    layers = [layer for layer in layers if isinstance(layer, Dropout)]
    rates = [layer.rate for layer in layers]
    for layer in layers:
        layer.rate = 0.0
    found = model.objective(tf.constant(x), tf.constant(source), training=True)
    for layer, rate in zip(layers, rates, strict=True):
        layer.rate = rate
    return [float(found[key]) for key in ("loss", "discriminator_loss")]


def require_same(ours, theirs, what):
    """Raises an error where two numbers are not the same up to rounding."""
    if not math.isclose(ours, theirs, rel_tol=TOLERANCE):
        raise ValueError(f"Not the same {what}: {ours} here, {theirs} in PyTorch")


@contextlib.contextmanager
def torch_turns(case, args, file):
    """Gives {way: function that has a PyTorch process work}."""
    settings = {"shape": SHAPE, "width": args.width, "threads": args.threads}
    settings |= {"start": str(file), "fused": args.fused, **dataclasses.asdict(case)}
    with contextlib.ExitStack() as stack:
        yield {
            way: stack.enter_context(
                torch_process(
                    args.torch_python,
                    "translation_torch.py",
                    {**settings, "channels_last": last},
                )
            )
            for way, last in (LAYOUTS if args.torch_python else {}).items()
        }


class Clock:
    """Turns of PyTorch, and the processors' seconds of every round.

    Args:
        processes: {way: function that has a PyTorch process work}.
    """

    def __init__(self, processes):
        """Starts the clock."""
        self.processors = {way: [] for way in ("fit", *processes)}
        self.turns = {way: self._turn(way, ask) for way, ask in processes.items()}
        self._last, self._first = time.process_time(), next(iter(processes), None)

    def _turn(self, way, ask):
        def run():
            if way == self._first:
                # What this process took since its last turn was `fit`.
                self.processors["fit"].append(time.process_time() - self._last)
            wall, processors = (float(word) for word in ask().split())
            self.processors[way].append(processors)
            self._last = time.process_time()
            return wall

        return run


def measure(case, args):
    """Returns what was measured of a case."""
    import numpy as np
    import tensorflow as tf

    random, shape = np.random.default_rng(0), (2, BATCHES, case.batch, *SHAPE)
    sources, targets = random.random(shape, "float32")
    model, networks = model_of(case, args)
    weights = [w for network in networks for w in network.trainable_weights]
    found = {
        "weights": sum(math.prod(w.shape) for w in weights),
        "losses": losses_of(model, networks, sources[0], targets[0]),
        "steps_per_execution": model.steps_per_execution,
    }
    batches = tf.data.Dataset.from_tensor_slices((sources, targets))
    batches = batches.repeat().prefetch(2)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "start.npz"
        np.savez(file, sources[0], targets[0], *(w.numpy() for w in weights))
        with torch_turns(case, args, file) as processes:
            for ask in processes.values():
                about = json.loads(ask())
                require_same(found["weights"], about["weights"], "number of weights")
                for ours, theirs in zip(found["losses"], about["losses"], strict=True):
                    require_same(ours, theirs, "loss")
                found |= {f"torch_{key}": value for key, value in about.items()}
            clock, rounds = Clock(processes), WARM_UP + args.rounds
            # The first two rounds trace and warm up.
            seconds = alternate(model, batches, case.steps, rounds, clock.turns)
    seconds, processors = (
        {way: times[WARM_UP:] for way, times in each.items()}
        for each in (seconds, clock.processors)
    )
    return {**found, **summary(seconds, processors, case.steps)}


def summary(seconds, processors, steps):
    """Returns medians in milliseconds, and medians of ratios within a round."""
    result = {
        f"{way}_ms": 1e3 * statistics.median(times) / steps
        for way, times in seconds.items()
    }
    for way in [way for way in seconds if way != "fit"]:
        ratios, busy = (
            [theirs / ours for theirs, ours in zip(each[way], each["fit"], strict=True)]
            for each in (seconds, processors)
        )
        result[f"{way}/fit"] = statistics.median(ratios)
        result[f"{way}/fit_interval"] = interval(ratios)
        result[f"{way}/fit_by_processor"] = statistics.median(busy)
    return result


def interval(values, level=0.95):
    """Returns the order statistics that enclose the median with this probability.

    The median of the distribution is below the k-th smallest of n values, or above the
    k-th largest, as often as fewer than k of n coins show heads, or tails. Fewer than
    six values do not suffice: it is their range then.
    """
    n, k, outside = len(values), 1, 2.0 ** (1 - len(values))
    while True:
        outside += 2.0 ** (1 - n) * math.comb(n, k)
        if outside > 1 - level:
            break
        k += 1
    return [sorted(values)[k - 1], sorted(values)[n - k]]


def show(name, found):
    """Prints what was measured of a case."""
    first = f"{name}: {found['steps_per_execution']} steps per execution, "
    first += f"{found['weights']:,} weights"
    if "torch_weights" in found:
        first += f" and {found['torch_weights']:,} in PyTorch, losses "
        pairs = zip(found["losses"], found["torch_losses"], strict=True)
        first += ", ".join(f"{a:.4f} and {b:.4f}" for a, b in pairs)
    print(f"{first}\n  {'fit':22}{found['fit_ms']:9.1f} ms a step")
    for way in LAYOUTS:
        if f"{way}_ms" in found:
            low, high = found[f"{way}/fit_interval"]
            print(
                f"  {way:22}{found[f'{way}_ms']:9.1f} ms a step, ratio "
                f"{found[f'{way}/fit']:.2f} ({low:.2f}-{high:.2f}), "
                f"by processor {found[f'{way}/fit_by_processor']:.2f}"
            )
    sys.stdout.flush()


def arguments():
    """Returns the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", choices=CASES, nargs="+", help="measure these alone")
    add("--rounds", type=int, default=20, help="rounds of each (default: 20)")
    add("--width", type=int, default=32, help="of the networks (default: 32)")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    cores = cores or os.cpu_count()
    add("--threads", type=int, default=cores, help="default: one for each core")
    add("--jit", action="store_true", help="compile `fit` with XLA")
    add("--fused", action="store_true", help="PyTorch's fused Adam")
    add("--torch-python", help="an interpreter that has PyTorch (default: this one)")
    add("--json", help="also write the results to this file")
    add("--check", action="store_true", help="exit with 1 where PyTorch is faster")
    return parser.parse_args()


def find_torch(args):
    """Returns an interpreter that has PyTorch, or `None`; says where it is missing."""
    if args.torch_python:
        command = [args.torch_python, "-c", "import torch"]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            sys.exit(f"{args.torch_python} cannot import PyTorch (`torch`).")
        return args.torch_python
    if importlib.util.find_spec("torch"):
        return sys.executable
    print("PyTorch is missing here, so that `fit` is timed alone; --torch-python takes")
    print("the path of an interpreter that has it.")
    return None


def main():
    """Measures, prints, and returns the exit status."""
    args = arguments()
    args.torch_python = find_torch(args)
    start_tensorflow(args.threads)
    about = {**versions(args.torch_python), "threads": args.threads, "jit": args.jit}
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    results = {}
    for name in args.only or CASES:
        results[name] = measure(CASES[name], args)
        show(name, results[name])
    if args.json:
        report = {**about, "fused": args.fused, "rounds": args.rounds, "cases": results}
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")
    ratios = [
        r[f"{way}/fit"]
        for r in results.values()
        for way in LAYOUTS
        if f"{way}/fit" in r
    ]
    return int(args.check and any(ratio < 1 for ratio in ratios))


if __name__ == "__main__":
    sys.exit(main())
