"""How much faster autoregressive models sample when they keep what they computed.

    python benchmarks/sampling.py
    python benchmarks/sampling.py --only pixel_cnn gated --width 128 --out sampling.json

`model.sample` computes of every layer what a new pixel changes, `cached=False` the
whole network again for every pixel. Both draw from the same noise: the table says how
many pixels differ, which rounding alone can make. They take turns; the seconds are
medians over rounds, and the ratio, the seconds of the naive way over the cached one's,
is a median of ratios within a round, with its range, and then the same by processors'
time instead of the clock's. The naive way of a wide network
takes minutes: it takes no more turns once it has spent `--patience` seconds. What a
first call of each way takes beyond a second one, TensorFlow's tracing, comes apart.

`--width` counts the features between the blocks of a PixelCNN, whose `width` is half
of that; the others' `width` is such that as many features come before their gates.

Where other programs want the same cores, compare `--threads 1`.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

from overhead import start_tensorflow

SHAPE = (28, 28, 1)


def pixel_cnn(args):
    """Returns the PixelCNN, and what there is of it."""
    from keras_gen import models

    width = args.width // 2
    model = models.PixelCNN(SHAPE, args.depth, width, seed=0)
    return model, f"depth {args.depth}, width {width}: {args.width} between blocks"


def gated(args):
    """Returns the GatedPixelCNN, and what there is of it."""
    from keras_gen import models

    width = args.width // 2
    model = models.GatedPixelCNN(SHAPE, args.depth, width, seed=0)
    return model, f"depth {args.depth}, width {width}: {args.width} before gates"


def pixel_cnn_pp(args):
    """Returns the PixelCNN++, and what there is of it."""
    from keras_gen import models

    width, depth = args.width // 2, max(1, args.depth // 3)
    model = models.PixelCNNPP(SHAPE, depth, width, seed=0)
    return model, f"3 sizes of depth {depth}, width {width}: {args.width} before gates"


def row_lstm(args):
    """Returns a small PixelRNN, and what there is of it."""
    from keras_gen import models

    return models.PixelRNN(
        SHAPE, depth=2, width=8, seed=0
    ), "Row LSTM, depth 2, width 8"


def made(args):
    """Returns the MADE, and what there is of it."""
    from keras_gen import models

    return models.MADE(SHAPE, hidden=(500,), seed=0), "500 hidden units"


def small(args):
    """Returns a net so small that little is to be saved, and what there is of it."""
    from keras_gen import models

    return models.PixelCNN((8, 8, 1), 1, 4, seed=0), "8x8, depth 1, width 4"


CASES = {
    "pixel_cnn": (pixel_cnn, 30.0),
    "gated": (gated, 10.0),
    "pixel_cnn_pp": (pixel_cnn_pp, 10.0),
    "row_lstm": (row_lstm, 1.0),
    "made": (made, 1.0),
    "small": (small, 1.0),
}


def timed(model, n, seed, cached):
    """Returns samples, the seconds that they took, and those of the processors."""
    wall, processors = time.perf_counter(), time.process_time()
    x = model.sample(n, seed=seed, cached=cached).numpy()
    return x, time.perf_counter() - wall, time.process_time() - processors


def tracing(model, cached):
    """Returns what a first call takes beyond a second one."""
    # Of one image: the graph serves any number of them.
    first, second = (timed(model, 1, seed, cached)[1] for seed in (0, 1))
    return first - second


def unequal(a, b):
    """Returns which share of the pixels differs."""
    return float((a != b).any(axis=-1).mean())


def measure(model, args):
    """Returns the result of a case."""
    traced = {way: tracing(model, way == "cached") for way in ("cached", "naive")}
    # A warm-up of the quick way: kernels are made for each size of batch.
    timed(model, args.batch, 0, True)
    seconds, busy, shares = {"cached": [], "naive": []}, [], []
    for seed in range(args.rounds):
        kept, took, by_cached = timed(model, args.batch, seed, True)
        seconds["cached"].append(took)
        if sum(seconds["naive"]) < args.patience:
            whole, took, by_naive = timed(model, args.batch, seed, False)
            seconds["naive"].append(took)
            busy.append(by_naive / by_cached)
            shares.append(unequal(kept, whole))
    pairs = zip(seconds["naive"], seconds["cached"], strict=False)
    ratios = [naive / cached for naive, cached in pairs]
    return {
        "seconds": {way: statistics.median(s) for way, s in seconds.items()},
        "rounds": {way: len(s) for way, s in seconds.items()},
        "tracing_seconds": traced,
        "ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
        "ratio_by_processor": statistics.median(busy),
        "unequal_pixels": statistics.mean(shares),
    }


def row(name, about, found, goal):
    """Returns a line of the table."""
    seconds, traced, rounds = (
        found[k] for k in ("seconds", "tracing_seconds", "rounds")
    )
    low, high = found["range"]
    share = found["unequal_pixels"]
    equal = f"{100 * share:.3f} % differ" if share else "equal"
    return (
        f"{name:13}{seconds['naive']:>9.3f}{seconds['cached']:>9.3f}"
        f"{found['ratio']:>8.1f}  {f'({low:.1f}-{high:.1f})':15}"
        f"{found['ratio_by_processor']:>7.1f}{goal:>6.0f}"
        f"{rounds['naive']:>5}/{rounds['cached']}"
        f"{traced['naive']:>9.1f}{traced['cached']:>9.1f}  {equal:14} {about}"
    )


def arguments():
    """Returns the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", choices=CASES, nargs="+", help="measure these alone")
    add("--batch", type=int, default=16, help="images of a call (default: 16)")
    add("--rounds", type=int, default=5, help="turns of both ways (default: 5)")
    add("--width", type=int, default=64, help="features (default: 64)")
    add("--depth", type=int, default=7, help="blocks (default: 7)")
    add("--patience", type=float, default=20, help="see above (default: 20 seconds)")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    cores = cores or os.cpu_count()
    add("--threads", type=int, default=cores, help="default: one for each core")
    add("--out", help="also write the results to this file, as JSON")
    add("--check", action="store_true", help="exit with 1 where a goal is missed")
    return parser.parse_args()


def main():
    """Measures, prints, and returns the exit status."""
    args = arguments()
    start_tensorflow(args.threads)
    print(
        f"batch {args.batch}, {args.threads} threads, images 28x28 except for `small`"
    )
    print(
        "case            naive s cached s   ratio  range           by CPU  goal rounds"
        "   traced:n  cached  samples        network"
    )
    results = {}
    timed(small(args)[0], 1, 0, True)  # a first call of all imports what it needs
    for name in args.only or CASES:
        make, goal = CASES[name]
        model, about = make(args)
        results[name] = {"about": about, "goal": goal, **measure(model, args)}
        print(row(name, about, results[name], goal), flush=True)
    if args.out:
        text = json.dumps({**vars(args), "cases": results}, indent=2)
        pathlib.Path(args.out).write_text(text + "\n")
    met = [r["ratio"] >= r["goal"] for r in results.values()]
    return int(args.check and not all(met))


if __name__ == "__main__":
    sys.exit(main())
