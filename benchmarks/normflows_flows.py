"""How fast flows train and sample, and how fast normflows does the same.

    python benchmarks/normflows_flows.py --torch-python ~/torch/bin/python
    python benchmarks/normflows_flows.py --only glow --rounds 20 --out flows.json

Both build the same architecture, of the same number of weights except for the prior's:
`glow` of normalizations, 1x1 convolutions as LU products and couplings of 3x3, 1x1 and
3x3 convolutions, at several scales; `realnvp` of couplings of dense networks for
vectors. Data, batches and Adam are the same. `fit` is the library as it is used, fed by
`keras_gen.data`, with 40 steps in one call, the same compiled by XLA, and with one;
normflows has no trainer, so that its side is the plain loop of its tutorials, without a
shuffle. Samples are drawn with `sample`: as it is called, and within a `tf.function`,
as in an export.

All take turns, so that what else the machine does meets them alike; the ratios are of
speeds within a round, more than one where this library is the faster: their median,
their range, and the median by processors' time instead of the clock's.

Where other programs want the same cores, set OMP_WAIT_POLICY=PASSIVE and compare
`--threads 1`.
"""

import argparse
import contextlib
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys
import time

from overhead import start_tensorflow

CASES = {
    "glow": {"shape": (32, 32, 3), "levels": 3, "depth": 4, "width": 64, "batch": 32},
    "realnvp": {"shape": (64,), "depth": 16, "width": 256, "batch": 256},
}
WARM_UP = 2


def model_of(kind, settings):
    """Returns a new flow of ours."""
    from keras_gen import bijectors, models, networks

    shape, depth, width = (settings[key] for key in ("shape", "depth", "width"))
    if kind == "realnvp":
        return models.RealNVP(shape, depth, width, seed=0)
    stages, size, squeeze = [], shape, bijectors.Squeeze()

    def step(size):
        half = (*size[:2], size[2] // 2)
        network = networks.conv_conditioner(half, size[2], width)
        return [
            bijectors.ActNorm(size[2], 3),
            bijectors.InvertibleConv(size[2], lu=True),
            bijectors.AffineCoupling(network, "split"),
        ]

    for _ in range(settings["levels"]):
        size = squeeze.latent_shape(size)
        steps = [layer for _ in range(depth) for layer in step(size)]
        stages.append([bijectors.Squeeze(), *steps])
        size = (*size[:2], size[2] // 2)
    return models.Flow([bijectors.MultiScale(stages, shape)], shape, seed=0)


def ours(kind, settings, steps):
    """Returns {way: function that does the work once}, and the number of weights."""
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_gen import data

    batch = settings["batch"]
    x = np.random.default_rng(0).random((batch * steps, *settings["shape"]), "float32")
    source, turns = data.from_array(x, levels=None), {}
    for way, together, jit in (
        ("train", steps, False),
        ("train, XLA", steps, True),
        ("train, step by step", 1, False),
    ):
        model = model_of(kind, settings)
        model.compile(
            keras.optimizers.Adam(1e-4), steps_per_execution=together, jit_compile=jit
        )
        turns[way] = lambda m=model: m.fit(
            source.batches(batch), steps_per_epoch=steps, shuffle=False, verbose=0
        )

    def sample(draw):
        for i in range(steps):
            last = draw(i)
        return float(tf.reduce_sum(last))

    turns["sample"] = lambda: sample(lambda i: model.sample(batch, seed=i))
    draw = tf.function(lambda seed: model.sample(batch, seed=seed))
    turns["sample, tf.function"] = lambda: sample(lambda i: draw(tf.constant(i)))
    return turns, sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@contextlib.contextmanager
def normflows(kind, settings, args):
    """Gives what a PyTorch process says of itself, and {way: function}."""
    script = pathlib.Path(__file__).with_name("normflows_torch.py")
    more = {"kind": kind, "steps": args.steps, "threads": args.threads}
    command = [args.torch_python, str(script), json.dumps({**settings, **more})]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:

        def run(way):
            process.stdin.write(f"{way}\n")
            process.stdin.flush()
            return [float(word) for word in process.stdout.readline().split()]

        about = json.loads(process.stdout.readline())
        yield about, {way: lambda way=way: run(way) for way in ("train", "sample")}
        process.stdin.close()


def timed(function):
    """Returns the seconds and those of the processors that a function takes."""
    wall, processors = time.perf_counter(), time.process_time()
    function()
    return [time.perf_counter() - wall, time.process_time() - processors]


def measure(kind, args):
    """Prints and returns the ratios of a case."""
    settings = CASES[kind]
    turns, weights = ours(kind, settings, args.steps)
    with normflows(kind, settings, args) as (about, others):
        print(f"{kind}: {weights:,} weights, normflows {about['weights']:,}")
        rounds = []
        for _ in range(WARM_UP + args.rounds):
            now = {way: timed(run) for way, run in turns.items()}
            now |= {f"normflows {way}": run() for way, run in others.items()}
            rounds.append(now)
    result, examples = {"weights": weights, **about}, settings["batch"] * args.steps
    for way in turns:
        other = f"normflows {way.split(',')[0]}"
        ratios = [r[other][0] / r[way][0] for r in rounds[WARM_UP:]]
        busy = [r[other][1] / r[way][1] for r in rounds[WARM_UP:]]
        seconds = [
            statistics.median(r[w][0] for r in rounds[WARM_UP:]) for w in (way, other)
        ]
        middle = statistics.median(ratios)
        result[way] = {
            "examples_per_second": examples / seconds[0],
            "normflows_examples_per_second": examples / seconds[1],
            "ratio": middle,
            "range": [min(ratios), max(ratios)],
            "ratio_by_processor": statistics.median(busy),
        }
        print(
            f"  {way:22}{examples / seconds[0]:>9,.0f} /s, normflows "
            f"{examples / seconds[1]:>7,.0f} /s, ratio {middle:.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f}), by processor "
            f"{statistics.median(busy):.2f}",
            flush=True,
        )
    return result


def main():
    """Measures, prints, and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", choices=CASES, nargs="+", help="measure these alone")
    add("--rounds", type=int, default=5, help="turns of each way (default: 5)")
    add("--steps", type=int, default=40, help="of a turn (default: 40)")
    add("--threads", type=int, default=2, help="of each side (default: 2)")
    add("--torch-python", help="an interpreter with PyTorch and normflows")
    add("--out", help="also write the results to this file, as JSON")
    args = parser.parse_args()
    if args.torch_python is None:
        if importlib.util.find_spec("normflows") is None:
            print("no normflows here: give --torch-python.", file=sys.stderr)
            return 2
        args.torch_python = sys.executable
    start_tensorflow(args.threads)
    results = {kind: measure(kind, args) for kind in args.only or CASES}
    if args.out:
        text = json.dumps({**vars(args), **results}, indent=2)
        pathlib.Path(args.out).write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
