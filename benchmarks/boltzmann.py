"""How fast a restricted Boltzmann machine trains, and scikit-learn's `BernoulliRBM`.

    python benchmarks/boltzmann.py
    python benchmarks/boltzmann.py --features --json boltzmann.json

Both do persistent contrastive divergence: one update of as many chains as a batch has
examples for each step, the same batches, learning rate and numbers of units, on random
binary data. scikit-learn computes in float32, as it does for float32 data. They take
turns, one epoch being a round; a ratio is the time of scikit-learn divided by that of
`fit` within a round, more than one where this library is the faster: its median over
the rounds, and the range.

`--features` repeats scikit-learn's example instead: its digits, each also shifted by a
pixel in four directions, logistic regression on hidden probabilities and on pixels, the
same split and settings, with either library's machine.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main():
    """Runs what the flags ask for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--visible", type=int, default=784)
    parser.add_argument("--hidden", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--features", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    found = features(args.seed) if args.features else speed(args)
    found["command"] = " ".join(["python", *sys.argv])
    print(json.dumps(found, indent=2))
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


def speed(args):
    """Returns seconds of an epoch of either library, and their ratio."""
    import numpy as np

    rng = np.random.default_rng(args.seed)
    x = (rng.random((args.examples, args.visible)) < 0.2).astype("float32")
    ways = {"fit": ours(x, args), "scikit-learn": theirs(x, args)}
    for run in ways.values():
        run()  # traces, or makes the chains
    seconds = {name: [] for name in ways}
    for number in range(args.rounds):
        order = list(ways) if number % 2 else list(ways)[::-1]
        for name in order:
            start = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - start)
    pairs = zip(seconds["scikit-learn"], seconds["fit"], strict=True)
    ratios = [other / own for other, own in pairs]
    medians = {name: statistics.median(s) for name, s in seconds.items()}
    return {
        "seconds": {name: round(value, 4) for name, value in medians.items()},
        "ratio": round(statistics.median(ratios), 3),
        "range": [round(min(ratios), 3), round(max(ratios), 3)],
        "rounds": args.rounds,
    }


def ours(x, args):
    """Returns a function that trains for an epoch by `fit`."""
    import keras
    import tensorflow as tf

    from keras_gen import models

    model = models.RBM(x.shape[1], args.hidden, chains=args.batch_size, seed=0)
    steps = len(x) // args.batch_size
    together = max(k for k in range(1, 17) if steps % k == 0)
    model.compile(keras.optimizers.SGD(0.01), steps_per_execution=together)
    data = tf.data.Dataset.from_tensor_slices(x).batch(args.batch_size).cache()
    return lambda: model.fit(data, shuffle=False, verbose=0)


def theirs(x, args):
    """Returns a function that trains scikit-learn's machine for an epoch."""
    from sklearn.neural_network import BernoulliRBM

    machine = BernoulliRBM(
        args.hidden,
        learning_rate=0.01,
        batch_size=args.batch_size,
        n_iter=1,
        random_state=0,
    )
    return lambda: machine.fit(x)


def shifted_digits():
    """Returns scikit-learn's example data: digits and shifts, in four parts."""
    import numpy as np
    from scipy.ndimage import shift
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import minmax_scale

    x, y = load_digits(return_X_y=True)
    images = x.reshape(-1, 8, 8)
    moves = (0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)
    moved = [
        shift(images, (0, *move), order=0, mode="constant", cval=0.0) for move in moves
    ]
    x = minmax_scale(np.concatenate(moved).reshape(-1, 64)).astype("float32")
    return train_test_split(x, np.tile(y, 5), test_size=0.2, random_state=0)


def features(seed):
    """Returns test accuracies of logistic regression on pixels and on features."""
    import keras
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import BernoulliRBM

    from keras_gen import models

    train, test, labels, truth = shifted_digits()
    keras.utils.set_random_seed(seed)
    start = time.perf_counter()
    model = models.RBM(64, 100, chains=10, seed=seed)
    model.compile(keras.optimizers.SGD(0.06), steps_per_execution=8)
    model.fit(train, batch_size=10, epochs=10, verbose=0)
    own = time.perf_counter() - start
    start = time.perf_counter()
    other = BernoulliRBM(
        100, learning_rate=0.06, n_iter=10, batch_size=10, random_state=0
    ).fit(train)
    others = time.perf_counter() - start

    def accuracy(encode, strength):
        # The example's tolerance, 1, was of a sum over examples in earlier releases.
        classifier = LogisticRegression(C=strength, solver="newton-cg", tol=1e-4)
        classifier.fit(encode(train), labels)
        return round(float(classifier.score(encode(test), truth)), 4)

    return {
        "features": accuracy(lambda x: model.encode(x).numpy().astype(float), 6000.0),
        "scikit-learn_features": accuracy(
            lambda x: other.transform(x).astype(float), 6000.0
        ),
        "pixels": accuracy(lambda x: x, 100.0),
        "seconds": {"fit": round(own, 1), "scikit-learn": round(others, 1)},
    }


if __name__ == "__main__":
    main()
