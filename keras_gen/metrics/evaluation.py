"""Several metrics of the same images, whose features are computed only once."""

import time

import numpy as np

from keras_gen.arguments import require_int

# Whether less is better, or more, or what is near a number that real examples have.
GOALS = {
    "frechet_distance": "min",
    "kernel_distance": "min",
    "maximum_mean_discrepancy": "min",
    "sliced_wasserstein": "min",
    "inception_score": "max",
    "precision": "max",
    "recall": "max",
    "density": "max",
    "coverage": "max",
    "two_sample_accuracy": 0.5,
    "diversity": 1.0,
    "modes_covered": "max",
    "reverse_kl": "min",
    "classification_accuracy": "max",
    "sharpness": 1.0,
}


class Evaluation:
    """Compares images with real ones by several metrics.

    Each `SampleMetric` is given what it `needs`: features, probabilities of classes, or
    the images. Features are computed once; those of real images are cached on disk.

    Values depend on the number of images, some of them strongly: compare values of
    equal numbers of images.

    Args:
        comparisons: List of `SampleMetric`.
        extractor: An `Extractor`, whose `note` is to be printed with the values.
        real: Real images in [0, 1], (n, height, width, channels): unseen ones.
        labels: Their labels (n,), for comparisons by class. Defaults to `None`.
        train: What the model was trained on, for `Memorization`, which takes it as its
            reference and `real` as held-out examples. Defaults to `None`.
        cache: The folder, or `False`: cache nothing. Defaults to `None`: the
            environment's `KERAS_GEN_CACHE`, or `~/.cache/keras_gen`.
        batch_size: Images per batch. Defaults to `250`.

    Attributes:
        seconds: {metric's name: seconds of its last computation}, and `"features"`.

    Example:

    >>> class Means(metrics.SampleMetric):
    ...     def compare(self, real, generated):
    ...         apart = generated.x.mean(0) - real.x.mean(0)
    ...         return {"means": metrics.Estimate(float(np.abs(apart).max()), np.nan)}
    >>> real, images = np.zeros((9, 8, 8, 1)), np.full((9, 8, 8, 1), 0.25)
    >>> evaluate = metrics.Evaluation([Means("means")], metrics.Pixels(), real)
    >>> print(evaluate(images)["means"])
    0.25
    """

    def __init__(
        self,
        comparisons,
        extractor,
        real,
        labels=None,
        train=None,
        cache=None,
        batch_size=250,
    ):
        self.comparisons = list(comparisons)
        if not self.comparisons:
            raise ValueError(
                "Argument `comparisons` must hold one or more. Received: []"
            )
        self.extractor = extractor
        real, train = (None if x is None else extractor.check(x) for x in (real, train))
        self.real, self.labels = real, _array(labels)
        self.batch_size = batch_size
        self.seconds = {}
        self._fingerprint = extractor.fingerprint
        if not any(hasattr(c, "set_held_out") for c in self.comparisons):
            train = None
        of_real, of_train = (
            None if x is None else self._features_of_reference(x, cache)
            for x in (real, train)
        )
        for comparison in self.comparisons:
            reference = self._needed(comparison, real, of_real)
            if not hasattr(comparison, "set_held_out"):
                comparison.set_reference(reference, self.labels)
                continue
            if train is None:
                raise ValueError(
                    f"`{type(comparison).__name__}` compares with what the model was "
                    "trained on; pass it as `train`."
                )
            comparison.set_reference(self._needed(comparison, train, of_train))
            comparison.set_held_out(reference)

    def _features_of_reference(self, images, cache):
        if all(comparison.needs == "images" for comparison in self.comparisons):
            return None
        return self.extractor.cached(images, cache, self.batch_size)

    def __call__(self, images, labels=None):
        """Returns {name: `Estimate`}.

        Args:
            images: Generated images in [0, 1], (n, height, width, channels).
            labels: The labels that were asked for, (n,). Defaults to `None`.
        """
        images, labels = self.extractor.check(images), _array(labels)
        start, features = time.monotonic(), None
        if any(comparison.needs != "images" for comparison in self.comparisons):
            self._check_extractor()
            features = self.extractor(images, self.batch_size)
        self.seconds = {"features": time.monotonic() - start}
        estimates = {}
        for comparison in self.comparisons:
            start = time.monotonic()
            comparison.reset_state()
            needed = self._needed(comparison, images, features)
            comparison.update_state(needed, labels)
            found = comparison.estimates()
            comparison.reset_state()
            _check_unique(estimates, found)
            estimates |= found
            self.seconds[comparison.name] = time.monotonic() - start
        return estimates

    def names(self):
        """Returns the names of the values, by comparing real images with themselves."""
        count = max(comparison.min_count for comparison in self.comparisons)
        some = slice(max(count, 256))
        labels = None if self.labels is None else self.labels[some]
        return tuple(self(self.real[some], labels))

    def _check_extractor(self):
        if self.extractor.fingerprint != self._fingerprint:
            raise ValueError(
                f"The extractor '{self.extractor.name}' has changed since it was given "
                "the real images, as a network that is trained does; make a new "
                "`Evaluation`, or give it a copy of the network."
            )

    def _needed(self, comparison, images, features):
        if comparison.needs == "images":
            return images
        needed = getattr(features, comparison.needs)
        if needed is None:
            raise ValueError(
                f"`{type(comparison).__name__}` needs {comparison.needs} of classes, "
                f"which the extractor '{self.extractor.name}' does not know; use a "
                "classifier."
            )
        return needed


def _array(labels):
    return None if labels is None else np.asarray(labels)


def _check_unique(estimates, found):
    twice = estimates.keys() & found.keys()
    if twice:
        raise ValueError(
            "Argument `comparisons` must hold comparisons of different names. "
            f"Received: {', '.join(sorted(twice))} twice"
        )


def draw_samples(model, n, seed=0, labels=None, batch_size=250):
    """Returns (samples, labels) of a model, drawn in batches.

    A class-conditional model draws all classes equally often, in a random order, or
    the given labels; the labels of an unconditional one are `None`.

    Args:
        model: A `models.GenerativeModel`.
        n: The number of samples.
        seed: Integer, from which each batch's seed is drawn. Defaults to `0`.
        labels: Integers (n,), for a class-conditional model. Defaults to `None`: all
            classes.
        batch_size: Samples per batch. Defaults to `250`.

    Example:

    >>> flow = models.RealNVP((2,), depth=2, width=4, seed=0)
    >>> samples, labels = metrics.draw_samples(flow, 7, batch_size=4)
    >>> samples.shape, labels
    ((7, 2), None)
    """
    require_int("n", n, least=1)
    classes = getattr(model, "classes", None)
    if getattr(model, "uses_labels", False) and classes is None:
        raise ValueError(
            f"`{type(model).__name__}` is conditioned on more than a class; draw its "
            "samples by `sample(n, context=...)`."
        )
    if labels is not None and classes is None:
        raise ValueError(
            f"`{type(model).__name__}` is not conditioned on a class: it takes no "
            "`labels`."
        )
    if labels is not None and np.shape(labels) != (n,):
        raise ValueError(
            "Argument `labels` must hold one class for each sample. "
            f"Received: n={n}, labels of shape {np.shape(labels)}"
        )
    rng, starts = np.random.default_rng(seed), range(0, n, batch_size)
    # Consecutive seeds would give two evaluations the same batches.
    seeds = rng.integers(2**31, size=len(starts))
    if classes is not None:
        every = rng.permutation(np.arange(n) % classes)
        labels = every if labels is None else np.asarray(labels)
    parts = []
    for start, number in zip(starts, seeds, strict=True):
        asked = None if classes is None else labels[start : start + batch_size]
        size = min(batch_size, n - start)
        options = {} if classes is None else {"context": asked}
        parts.append(np.asarray(model.sample(size, seed=int(number), **options)))
    return np.concatenate(parts), labels if classes is not None else None


def batched(function, *arrays, size=500, seed=None):
    """Returns a function's values of many examples, computed some at a time.

    Args:
        function: A function of a batch of each array to an array with a row for each
            example, or to a tuple of such.
        *arrays: Arrays of as many rows, some of which may be `None`.
        size: Rows of a batch. Defaults to `500`.
        seed: Integer. Where it is given, `function` takes an argument `seed`: this one
            plus the index of the batch's first row. Defaults to `None`.

    Example:

    >>> metrics.batched(lambda x, y: x + y, np.arange(5), np.ones(5), size=2)
    array([1., 2., 3., 4., 5.])
    """
    found = []
    for i in range(0, len(arrays[0]), size):
        options = {} if seed is None else {"seed": seed + i}
        parts = (None if array is None else array[i : i + size] for array in arrays)
        found.append(function(*parts, **options))
    if isinstance(found[0], tuple | list):
        return [np.concatenate(column) for column in zip(*found, strict=True)]
    return np.concatenate(found)
