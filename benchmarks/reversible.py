"""What a deep Glow's gradients need: memory and time, stored or inverted.

    python benchmarks/reversible.py
    python benchmarks/reversible.py --depths 8 32 --side 64 --batch 32

The first takes 6 GiB and some minutes: on small images the graph outweighs activations.

Each depth and way runs in a process of its own, which trains for a few steps on random
images. `graph` is what a first step on a single image takes: TensorFlow's graph of the
step, its kernels and the optimizer's slots, which grow with depth in either way.
`steps` is the most that steps on whole batches take beyond that: activations and
gradients. The time is the median of the steps after the first. Last are the growth from
the first depth to the last, of `steps` and of both together, and how much longer a step
takes when layers are inverted.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

from overhead import start_tensorflow

WAYS = ("stored", "constant")


def resident():
    """Returns the memory that this process holds now, in MiB."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmRSS")


class Watch:
    """Looks at the memory every few milliseconds; `most` is the largest value."""

    def __init__(self):
        self.most, self.going = resident(), True
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while self.going:
            self.most = max(self.most, resident())
            time.sleep(0.002)

    def stop(self):
        """Returns the most that was held."""
        self.going = False
        self.thread.join()
        return self.most


def one(settings):
    """Trains one model and prints a line of JSON."""
    start_tensorflow(settings["threads"])
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_gen import models

    keras.utils.set_random_seed(0)
    side, batch = settings["side"], settings["batch"]
    flow = models.Glow(
        (side, side, 3),
        levels=1,
        depth=settings["depth"],
        width=settings["width"],
        constant_memory=settings["way"] == "constant",
        seed=0,
    )
    flow.compile(keras.optimizers.Adam(1e-4))
    x = np.random.default_rng(0).random((batch, side, side, 3), "float32")
    seconds = []

    def look(batch, logs=None):
        seconds.append(time.perf_counter())

    clock = keras.callbacks.LambdaCallback(on_train_batch_end=look)

    def fit(examples, steps):
        # The number of examples is no part of the graph.
        data = tf.data.Dataset.from_tensor_slices(examples).batch(batch).repeat(steps)
        data = {"x": data, "verbose": 0, "shuffle": False, "callbacks": [clock]}
        return flow.fit(**data).history["loss"][-1]

    before = resident()
    fit(x[:1], 2)
    graph = resident() - before
    seconds.clear()
    before, watch = resident(), Watch()
    loss = fit(x, settings["steps"])
    about = {
        "graph_mib": graph,
        "steps_mib": watch.stop() - before,
        "seconds_per_step": statistics.median(np.diff(seconds)),
        "loss": float(loss),
    }
    print(json.dumps(about))


def main():
    """Runs every depth in both ways and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--depths", type=int, nargs=2, default=[8, 32], help="default: 8 32")
    add("--side", type=int, default=128, help="of the images (default: 128)")
    add("--batch", type=int, default=96, help="images of a step (default: 96)")
    add("--width", type=int, default=32, help="channels of networks (default: 32)")
    add("--steps", type=int, default=4, help="of each run (default: 4)")
    add("--threads", type=int, default=2, help="default: 2")
    add("--out", help="also write the results to this file, as JSON")
    add("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return one(json.loads(args.one))
    common = {
        k: getattr(args, k) for k in ("side", "batch", "width", "steps", "threads")
    }
    results = {}
    print(f"{'way':10}{'depth':>6}{'graph MiB':>11}{'steps MiB':>11}{'ms/step':>10}")
    for way in WAYS:
        for depth in args.depths:
            settings = json.dumps({**common, "way": way, "depth": depth})
            command = [sys.executable, __file__, "--one", settings]
            line = subprocess.check_output(command, text=True).splitlines()[-1]
            found = results[f"{way}_{depth}"] = json.loads(line)
            print(
                f"{way:10}{depth:>6}{found['graph_mib']:>11.0f}"
                f"{found['steps_mib']:>11.0f}"
                f"{1e3 * found['seconds_per_step']:>10.0f}",
                flush=True,
            )
    few, many = args.depths
    for way in WAYS:
        ends = [results[f"{way}_{depth}"] for depth in (few, many)]
        steps = ends[1]["steps_mib"] / ends[0]["steps_mib"]
        both = [end["steps_mib"] + end["graph_mib"] for end in ends]
        results[f"{way}_growth"] = steps
        results[f"{way}_growth_with_graph"] = both[1] / both[0]
        print(
            f"{way}: steps at depth {many} hold {steps:.2f} times what they do at "
            f"depth {few}; with the graph {both[1] / both[0]:.2f} times"
        )
    for depth in args.depths:
        ratio = results[f"constant_{depth}"]["seconds_per_step"]
        ratio /= results[f"stored_{depth}"]["seconds_per_step"]
        results[f"time_ratio_{depth}"] = ratio
        print(
            f"depth {depth}: a step takes {ratio:.2f} times as long in constant memory"
        )
    if args.out:
        text = json.dumps({**common, "depths": args.depths, **results}, indent=2)
        pathlib.Path(args.out).write_text(text + "\n")
    return None


if __name__ == "__main__":
    sys.exit(main())
