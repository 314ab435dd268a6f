"""How fast a PixelCNN and a Gated PixelCNN train, and how fast PyTorch does the same.

    python benchmarks/pixelcnn.py --torch-python ~/torch/bin/python
    python benchmarks/pixelcnn.py --only gated --rounds 20 --out pixelcnn.json

Both sides have the same architecture and the same number of weights, those under masks
included; the Bernoulli likelihood, the binary images and Adam are the same. `fit` is
the library as it is used, fed by `keras_gen.data`; PyTorch's side is a plain loop over
batches in memory, its masked convolutions as they are usually written: the weight times
its mask, then `conv2d`. First, PyTorch is given the weights of ours, and both compute
the loss of a batch and the norm of its gradient, which have to agree.

They take turns, one epoch of `fit` being a round, so that what else the machine does
meets them alike; the ratio is of speeds within a round, more than one where this
library is the faster: its median, its range, and the median by processors' time
instead of the clock's.

Where other programs want the same cores, set OMP_WAIT_POLICY=PASSIVE and compare
`--threads 1`.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from overhead import alternate, start_tensorflow

SHAPE, BATCHES = (28, 28, 1), 8
CASES = {"pixel_cnn": "PixelCNN", "gated": "GatedPixelCNN"}
WARM_UP, TOLERANCE = 2, 1e-4


def model_of(kind, args):
    """Returns a new model of ours, compiled."""
    import keras

    from keras_gen import models

    keras.utils.set_random_seed(0)
    model = getattr(models, CASES[kind])(SHAPE, args.depth, args.width, seed=0)
    model.compile(
        keras.optimizers.Adam(1e-4),
        steps_per_execution=args.steps_per_execution,
        jit_compile=args.jit,
    )
    return model


def convolutions(model):
    """Returns kernels and biases, convolutions in the order in which they were made."""
    layers = [layer for layer in model.network.layers if layer.weights]
    layers.sort(key=lambda layer: int(layer.name.rsplit("_", 1)[1]))
    return [w.numpy() for layer in layers for w in (layer.kernel, layer.bias)]


def loss_and_slope(model, x):
    """Returns the loss of a batch and the norm of its gradient."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = model.objective(tf.constant(x), training=True)["loss"]
    slopes = tape.gradient(loss, model.network.trainable_weights)
    return float(loss), float(tf.linalg.global_norm(slopes))


@contextlib.contextmanager
def torch_rounds(kind, model, x, args):
    """Gives what a PyTorch process says of itself, and a function that runs a round."""
    import numpy as np

    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.savez(folder / "start.npz", x, *convolutions(model))
        keys = ("batch", "steps", "depth", "width", "threads", "channels_last")
        settings = {"kind": kind, "start": str(folder / "start.npz")}
        settings |= {key: getattr(args, key) for key in keys}
        script = pathlib.Path(__file__).with_name("pixelcnn_torch.py")
        command = [args.torch_python, str(script), json.dumps(settings)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        stack.enter_context(process)

        def run():
            process.stdin.write("\n")
            process.stdin.flush()
            return [float(word) for word in process.stdout.readline().split()]

        yield json.loads(process.stdout.readline()), run
        process.stdin.close()


def require_same(ours, theirs):
    """Raises an error where two numbers are not the same up to rounding."""
    if abs(ours - theirs) > TOLERANCE * abs(ours):
        raise ValueError(f"Not the same work: {ours} here, {theirs} in PyTorch")


def measure(kind, args):
    """Prints and returns the speeds of a case."""
    import numpy as np

    from keras_gen import data

    shape = (BATCHES * args.batch, *SHAPE)
    x = np.random.default_rng(0).integers(0, 2, shape).astype("float32")
    model = model_of(kind, args)
    loss, slope = loss_and_slope(model, x[: args.batch])
    weights = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    batches = data.from_array(x, levels=2).batches(args.batch)
    with torch_rounds(kind, model, x, args) as (about, run):
        require_same(weights, about["weights"])
        require_same(loss, about["loss"])
        require_same(slope, about["slope"])
        busy, last = [], [time.process_time()]

        def turn():
            wall, processors = run()
            # What this process took since its last turn was `fit`.
            busy.append(processors / (time.process_time() - last[0]))
            last[0] = time.process_time()
            return wall

        rounds, turns = WARM_UP + args.rounds, {"torch": turn}
        seconds = alternate(model, batches, args.steps, rounds, turns)
    seconds = {way: s[WARM_UP:] for way, s in seconds.items()}
    ratios = [t / f for t, f in zip(seconds["torch"], seconds["fit"], strict=True)]
    examples = args.steps * args.batch
    return {
        "weights": weights,
        "loss": [loss, about["loss"]],
        "gradient_norm": [slope, about["slope"]],
        "examples_per_second": examples / statistics.median(seconds["fit"]),
        "torch_examples_per_second": examples / statistics.median(seconds["torch"]),
        "torch": about["torch"],
        "ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
        "ratio_by_processor": statistics.median(busy[WARM_UP:]),
    }


def show(kind, found):
    """Prints what was measured of a case."""
    low, high = found["range"]
    losses, slopes = (
        " and ".join(f"{value:.4f}" for value in found[key])
        for key in ("loss", "gradient_norm")
    )
    print(
        f"{kind:10}{found['examples_per_second']:>8.1f} /s, PyTorch "
        f"{found['torch']} {found['torch_examples_per_second']:.1f} /s, "
        f"ratio {found['ratio']:.2f} ({low:.2f}-{high:.2f}), "
        f"by processor {found['ratio_by_processor']:.2f}; "
        f"{found['weights']:,} weights each, losses {losses}, gradients {slopes}",
        flush=True,
    )


def arguments():
    """Returns the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", choices=CASES, nargs="+", help="measure these alone")
    add("--rounds", type=int, default=5, help="turns of each side (default: 5)")
    add("--steps", type=int, default=10, help="of a turn (default: 10)")
    add("--batch", type=int, default=64, help="default: 64")
    add("--width", type=int, default=32, help="default: 32")
    add("--depth", type=int, default=7, help="default: 7")
    add("--threads", type=int, default=2, help="of each side (default: 2)")
    add("--steps-per-execution", type=int, default=1, help="of fit (default: 1)")
    add("--jit", action="store_true", help="compile `fit` with XLA")
    add("--channels-last", action="store_true", help="PyTorch's memory format")
    add("--torch-python", help="an interpreter that has PyTorch (default: this one)")
    add("--out", help="also write the results to this file, as JSON")
    add("--check", action="store_true", help="exit with 1 where PyTorch is faster")
    return parser.parse_args()


def main():
    """Measures, prints, and returns the exit status."""
    args = arguments()
    if args.torch_python is None:
        if importlib.util.find_spec("torch") is None:
            print("no PyTorch here: give --torch-python.", file=sys.stderr)
            return 2
        args.torch_python = sys.executable
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # PyTorch's process inherits it
    start_tensorflow(args.threads)
    results = {}
    for kind in args.only or CASES:
        results[kind] = measure(kind, args)
        show(kind, results[kind])
    if args.out:
        text = json.dumps({**vars(args), "cases": results}, indent=2)
        pathlib.Path(args.out).write_text(text + "\n")
    return int(args.check and any(r["ratio"] < 1 for r in results.values()))


if __name__ == "__main__":
    sys.exit(main())
