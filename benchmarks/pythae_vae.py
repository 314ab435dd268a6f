"""How fast `fit` trains autoencoders, and how fast Pythae does.

    python benchmarks/pythae_vae.py --torch-python ~/torch/bin/python
    python benchmarks/pythae_vae.py --only VAE IWAE --rounds 20 --out pythae.json

Both train the same dense networks with the same batches and the same Adam on the same
random data, which lie in memory, and with as many threads. `fit` is the library as it
is used, on an array: with 20 steps per execution, with one, and with 20 compiled by
XLA. `Pythae` is its trainer, as its pipeline starts it, without saving; `bare` a plain
PyTorch loop over a tensor around Pythae's models. Neither side evaluates or draws a
progress bar. All take turns, an epoch each, so that what else the machine does meets
them alike; the ratios are of speeds within a round, more than one where `fit` is the
faster: their median, their range, and the median by processors' time instead of the
clock's, which other programs on the machine disturb less.

Where the two do not do the same work:

- Pythae's decoders end in probabilities, ours in logits; Autoencoder also follows the
  mean and the covariance of the codes.
- Pythae's FactorVAE encodes a batch in halves, and decodes one of them alone; of 128
  examples 64 enter the bound. `FactorVAE256` gives it batches of 256, counted as 128,
  so that the bound and the discriminator see as many codes as ours. Its trainer sends
  the discriminator's loss back through the encoder too. Its own discriminator has five
  layers of 1000; both sides get a smaller one here.
- Pythae's VAEGAN updates on one forward pass, with gradients of all losses in all
  networks; its discriminator sees no reconstructions. Ours goes forward for each
  player. Its margins are set so that no update is left out.

Where other programs want the same cores, set OMP_WAIT_POLICY=PASSIVE, as for
`overhead.py`, and compare `--threads 1` too: PyTorch's threads wait for the slowest of
them, TensorFlow's do not, so that such company slows PyTorch more. With two threads
TensorFlow's time of processors has idle spinning in it.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import itertools
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
import typing

from overhead import start_tensorflow

SHAPE, LATENT_DIM, PARTICLES, LEARNING_RATE = (28, 28, 1), 16, 5, 1e-3
HIDDEN, DISCRIMINATOR = (400, 400), (400, 400)
FACTORS = 4  # of which the data are mixed, so that there is something to learn
WARM_UP = 2  # rounds that trace, compile and warm up


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, by its names.

    Args:
        name: What it is called here.
        kind: What Pythae calls it.
        factor: How many examples Pythae is given for one that is counted.
    """

    name: str
    kind: str
    factor: int = 1


class Epoch(typing.NamedTuple):
    """What an epoch took: seconds, seconds of all processors, and the mean loss."""

    seconds: float
    processor_seconds: float
    loss: float


CASES = {
    "VAE": Case("VAE", "VAE"),
    "BetaVAE": Case("BetaVAE", "BetaVAE"),
    "BetaTCVAE": Case("BetaTCVAE", "BetaTCVAE"),
    "FactorVAE": Case("FactorVAE", "FactorVAE"),
    "FactorVAE256": Case("FactorVAE", "FactorVAE", factor=2),
    "IWAE": Case("IWAE", "IWAE"),
    "Autoencoder": Case("Autoencoder", "AE"),
    "VAEGAN": Case("VAEGAN", "VAEGAN"),
}
WAYS = {  # of `fit`
    "fit": {"steps_per_execution": 20, "jit_compile": False},
    "fit1": {"steps_per_execution": 1, "jit_compile": False},
    "jit": {"steps_per_execution": 20, "jit_compile": True},
}


# Our side.


def model_of(name, examples):
    """Returns a new model of ours."""
    from keras_gen import models, networks

    pair = networks.mlp_autoencoder(
        SHAPE, LATENT_DIM, HIDDEN, variational=name != "Autoencoder"
    )
    if name == "VAEGAN":
        ends = {"output_activation": "sigmoid", "name": "generator"}
        generator = networks.mlp((LATENT_DIM,), SHAPE, HIDDEN[::-1], **ends)
        discriminator = networks.mlp(SHAPE, 1, DISCRIMINATOR, "leaky_relu")
        pair = pair[0], generator, discriminator
    options = {
        "BetaVAE": {"beta": 4.0},
        "BetaTCVAE": {"beta": 6.0, "examples": examples},
        "FactorVAE": {"gamma": 10.0, "discriminator_widths": DISCRIMINATOR},
        "IWAE": {"particles": PARTICLES},
        "VAEGAN": {"gamma": 1.0},
    }.get(name, {})
    return getattr(models, name)(*pair, **options, network_range=(0, 1), seed=0)


def weights(model):
    """Returns how many weights each network has, by Pythae's names."""
    found = {}
    for name in ("encoder", "decoder", "generator", "discriminator"):
        if (network := getattr(model, name, None)) is not None:
            key = "decoder" if name == "generator" else name
            found[key] = sum(math.prod(v.shape) for v in network.trainable_variables)
    return found


def epochs_of_fit(model, x, batch, ways):
    """Returns a function that runs an epoch of `fit` and returns its `Epoch`."""
    import keras

    model.compile(keras.optimizers.Adam(LEARNING_RATE), **ways)
    times = []

    def look(epoch, logs):
        times.extend([time.perf_counter(), time.process_time()])

    clock = keras.callbacks.LambdaCallback(on_epoch_begin=look, on_epoch_end=look)

    def run():
        times.clear()
        history = model.fit(x, batch_size=batch, verbose=0, callbacks=[clock])
        wall, processors, *ends = times
        return Epoch(ends[0] - wall, ends[1] - processors, history.history["loss"][0])

    return run


# Pythae's side, in a process of its own.


@contextlib.contextmanager
def pythae(case, args):
    """Gives what a PyTorch process says of itself, and {way: function of an epoch}."""
    settings = {
        "kind": case.kind,
        "batch": case.factor * args.batch,
        "steps": args.steps,
        "shape": (SHAPE[-1], *SHAPE[:-1]),
        "latent_dim": LATENT_DIM,
        "hidden": HIDDEN,
        "discriminator": DISCRIMINATOR,
        "particles": PARTICLES,
        "factors": FACTORS,
        "learning_rate": LEARNING_RATE,
        "threads": args.threads,
    }
    script = pathlib.Path(__file__).with_name("pythae_torch.py")
    command = [args.torch_python, str(script), json.dumps(settings)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:

        def run(way):
            process.stdin.write(f"{way}\n")
            process.stdin.flush()
            return Epoch(*map(float, process.stdout.readline().split()))

        about = json.loads(process.stdout.readline())
        yield about, {w: lambda way=w: run(way) for w in ("pythae", "bare")}
        process.stdin.close()


def lacking(python):
    """Returns which of PyTorch and Pythae an interpreter lacks, or `None`."""
    code = "import importlib.util as u; print(*[m for m in ('torch', 'pythae') "
    code += "if not u.find_spec(m)], sep=' and ')"
    try:
        return subprocess.check_output([python, "-c", code], text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return "an interpreter that runs"


# What is measured and printed.


def measure(case, args):
    """Returns the seconds and losses of each round, the weights, and the versions."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    draw = np.random.default_rng(0).random
    x = draw((args.steps * args.batch, FACTORS)) @ draw((FACTORS, math.prod(SHAPE)))
    x = x.astype("float32").reshape(-1, *SHAPE) / FACTORS
    turns = {}
    for way in WAYS if args.jit else ("fit", "fit1"):
        model = model_of(case.name, len(x))
        turns[way] = epochs_of_fit(model, x, args.batch, WAYS[way])
    with pythae(case, args) as (about, others):
        ours, theirs = weights(model), about.pop("weights")
        if ours != theirs:
            raise ValueError(f"The networks differ: {ours} here, {theirs} in Pythae.")
        turns |= others
        rounds = [
            {way: run() for way, run in turns.items()}
            for _ in range(WARM_UP + args.rounds)
        ]
    return rounds[WARM_UP:], ours, about


def summary(rounds, batch, steps):
    """Returns medians of examples per second, and of speeds' ratios in a round."""
    result = {}
    for way in rounds[0]:
        epochs = [r[way] for r in rounds]
        seconds = statistics.median(e.seconds for e in epochs)
        processors = statistics.median(e.processor_seconds for e in epochs)
        result[way] = {
            "examples_per_second": batch * steps / seconds,
            "milliseconds_per_step": 1e3 * seconds / steps,
            "processor_milliseconds_per_step": 1e3 * processors / steps,
            "last_loss": epochs[-1].loss,
        }
    ours = [way for way in WAYS if way in result]
    for way, other in itertools.product(ours, ("pythae", "bare")):
        ratios = [r[other].seconds / r[way].seconds for r in rounds]
        spread = statistics.median(ratios), min(ratios), max(ratios)
        pairs = [(r[other].processor_seconds, r[way].processor_seconds) for r in rounds]
        result[way][f"over_{other}"] = spread
        result[way][f"over_{other}_by_processor"] = statistics.median(
            a / b for a, b in pairs
        )
    return result


SPEEDS = {
    "fit": "fit x20",
    "fit1": "fit x1",
    "jit": "fit XLA",
    "pythae": "Pythae",
    "bare": "bare",
}
RATIOS = {
    "x20 / Pythae": ("fit", "pythae"),
    "x1 / Pythae": ("fit1", "pythae"),
    "XLA / Pythae": ("jit", "pythae"),
    "x20 / bare": ("fit", "bare"),
}


def heading():
    """Returns the first line of the table."""
    speeds = "".join(f"{title:>9}" for title in SPEEDS.values())
    return f"{'name':13}{'weights':>10}{speeds}" + "".join(f"{t:>23}" for t in RATIOS)


def row(name, counts, result):
    """Returns a line of the table: examples per second, and ratios."""
    cells = f"{name:13}{sum(counts.values()):>10,}"
    for way in SPEEDS:
        speed = f"{result[way]['examples_per_second']:,.0f}" if way in result else "-"
        cells += f"{speed:>9}"
    for way, other in RATIOS.values():
        ratio = "-"
        if way in result:
            median, low, high = result[way][f"over_{other}"]
            processor = result[way][f"over_{other}_by_processor"]
            ratio = f"{median:.2f} ({low:.2f}-{high:.2f}) {processor:.2f}"
        cells += f"{ratio:>23}"
    return cells


def arguments():
    """Returns the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", choices=CASES, nargs="+", help="measure these alone")
    add("--rounds", type=int, default=5, help="epochs of each way (default: 5)")
    add("--steps", type=int, default=100, help="of an epoch (default: 100)")
    add("--batch", type=int, default=128, help="examples of a step (default: 128)")
    add("--threads", type=int, default=2, help="of each side (default: 2)")
    add("--quick", action="store_true", help="2 rounds of 40 steps, without XLA")
    add("--no-jit", dest="jit", action="store_false", help="leave XLA out")
    add("--torch-python", help="an interpreter with PyTorch and Pythae")
    add("--out", help="also write the results to this file, as JSON")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.steps, args.jit = 2, 40, False
    if args.torch_python is None and importlib.util.find_spec("torch"):
        args.torch_python = sys.executable
    return args


def main():
    """Measures, prints, and returns the exit status."""
    args = arguments()
    python = args.torch_python or sys.executable
    if lack := lacking(python):
        print(f"{python} lacks {lack}: give --torch-python.", file=sys.stderr)
        return 2
    start_tensorflow(args.threads)
    import keras
    import tensorflow as tf

    about = {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        **{key: getattr(args, key) for key in ("batch", "steps", "rounds", "threads")},
    }
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print("examples per second; ratios: median (range), median by processors' time")
    print(heading(), flush=True)
    results = {}
    for name in args.only or CASES:
        rounds, counts, versions = measure(CASES[name], args)
        about |= versions
        results[name] = summary(rounds, args.batch, args.steps)
        print(row(name, counts, results[name]), flush=True)
        results[name]["weights"] = counts
        results[name]["rounds"] = [
            {way: epoch._asdict() for way, epoch in r.items()} for r in rounds
        ]
    print(", ".join(f"{key} {value}" for key, value in versions.items()))
    if args.out:
        report = {**about, "unit": "examples per second", "names": results}
        pathlib.Path(args.out).write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
