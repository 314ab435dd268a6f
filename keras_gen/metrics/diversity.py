"""Diversity of samples: within a class, over classes, over a mixture's modes."""

import dataclasses

import keras
import numpy as np

from keras_gen.metrics.estimate import Estimate
from keras_gen.metrics.sample import SampleMetric, check_finite, flatten_pair


def diversity(real, generated, real_labels=None, labels=None, *, partners=100, seed=0):
    """Returns how far apart samples are, relative to real examples, an `Estimate`.

    diversity = E|g - g'| / E|x - x'|, over pairs of one class; the classes count alike

    1 is as varied as the data, 0 a single sample for each class. Without labels it
    compares all pairs and misses a class that collapses. It rewards noise, and does not
    measure whether samples look like the data.

    Args:
        real: Array (n, ...).
        generated: Array (m, ...).
        real_labels: Integers (n,), or `None`. Defaults to `None`.
        labels: Integers (m,), the classes that were asked for, or `None`. Classes with
            two examples on both sides count. Defaults to `None`.
        partners: With how many others an example is compared, at most. Defaults to
            `100`.
        seed: Integer, from which the partners are drawn. Defaults to `0`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(2, 900, 5))
    >>> print(diversity(x[0], x[1]), "|", diversity(x[0], 0.0 * x[1]))
    1.001 ± 0.029 | 0
    """
    real, generated = flatten_pair(real, generated)
    if (real_labels is None) != (labels is None):
        raise ValueError(
            "Arguments `real_labels` and `labels` must both be given, or neither. "
            f"Received: real_labels {'no' if real_labels is None else 'yes'}, "
            f"labels {'no' if labels is None else 'yes'}"
        )
    if labels is None:
        real_labels, labels = np.zeros(len(real), int), np.zeros(len(generated), int)
    real_labels, labels = np.asarray(real_labels), np.asarray(labels)
    classes = [
        c
        for c in np.intersect1d(real_labels, labels)
        if min(np.sum(real_labels == c), np.sum(labels == c)) > 1
    ]
    if not classes:
        raise ValueError(
            "Diversity takes two examples of some class on both sides. "
            f"Received: classes {np.unique(real_labels)} and {np.unique(labels)}"
        )
    rng = np.random.default_rng(seed)
    whole = _spread([real[real_labels == c] for c in classes], partners, rng)
    part = _spread([generated[labels == c] for c in classes], partners, rng)
    if not whole.value:
        raise ValueError("The real examples of each class are all the same.")
    value = part.value / whole.value
    error = np.hypot(part.standard_error, value * whole.standard_error) / whole.value
    return Estimate(value, float(error))


def _spread(groups, partners, rng):
    """Returns the mean distance of pairs within groups, an `Estimate`.

    error^2 = 4 Var_i[mean_j |x_i - x_j|] / n, of the mean over pairs in a group of n
    """
    means, variances = [], []
    for x in groups:
        n = len(x)
        x = x[rng.permutation(n)]
        # Each step around the ring pairs every row with one before and one after it.
        steps = 1 + rng.permutation((n - 1) // 2)[: max(1, partners // 2)]
        steps = steps if n > 2 else [1]
        total = np.zeros(n)
        for step in steps:
            ahead = _distances(x, np.roll(x, -step, axis=0))
            total += ahead + np.roll(ahead, step)
        mean = total / (2 * len(steps))
        means.append(mean.mean())
        variances.append(4.0 * mean.var(ddof=1) / n)
    error = np.sqrt(np.sum(variances)) / len(groups)
    return Estimate(float(np.mean(means)), float(error))


def _distances(x, y):
    differences = np.subtract(x, y, dtype="float64")
    return np.sqrt(np.einsum("ij,ij->i", differences, differences))


def modes_covered(real_probabilities, generated_probabilities):
    """Returns how many classes the samples have, and in which shares.

    modes_covered = number of the reference's classes that some sample is taken for
    reverse_kl = sum_c q_c log(q_c / p_c), of the samples' shares q to the real ones p

    An example belongs to its most probable class. A class that has no real example
    counts as half of one in p. Finite samples alone give a reverse KL of
    (C - 1)(1/n + 1/m) / 2 for C classes, n samples and m real examples, which is not
    subtracted. Neither notices what is lost within a class.

    Args:
        real_probabilities: Array (m, classes).
        generated_probabilities: Array (n, classes).

    Returns:
        `{"modes_covered": Estimate, "reverse_kl": Estimate}`, the second in nats. The
        first's variance is how many more classes twice the samples would find, a
        smoothed estimate from the numbers of classes with one, two and three samples.

    Example:

    >>> real = np.eye(4)[np.arange(400) % 4]
    >>> found = modes_covered(real, real[real[:, :2].any(axis=1)])
    >>> float(found["modes_covered"]), round(float(found["reverse_kl"]), 4)
    (2.0, 0.6931)

    Reference: [Srivastava et al., 2017](https://arxiv.org/abs/1705.07761),
    [Efron & Thisted, 1976](https://doi.org/10.1093/biomet/63.3.435)
    """
    for x in (real_probabilities, generated_probabilities):
        check_finite(np.asarray(x))
    real, found = (
        np.asarray(x).argmax(axis=-1)
        for x in (real_probabilities, generated_probabilities)
    )
    classes = np.shape(real_probabilities)[-1]
    if np.shape(generated_probabilities)[-1] != classes:
        raise ValueError(
            "Both sides must have probabilities of the same classes. Received: "
            f"{classes} and {np.shape(generated_probabilities)[-1]}"
        )
    m, n = len(real), len(found)
    wanted = np.bincount(real, minlength=classes)
    counts = np.bincount(found, minlength=classes)
    few = np.bincount(counts[wanted > 0], minlength=4)
    # How many more classes as many samples again would find.
    more = few[1:4] @ [7 / 8, -1 / 2, 1 / 8] - few[1] ** 2 / n
    covered = np.sum((wanted > 0) & (counts > 0))
    modes = Estimate(float(covered), float(np.sqrt(max(more, 0.0))))
    p = np.where(wanted > 0, wanted, 0.5) / m
    ratio = counts / n / p
    log_ratio = np.log(np.where(counts > 0, ratio, 1.0))[found]
    chance = (np.sum(wanted > 0) - 1) / 2 * (1 / n + 1 / m) ** 2
    # Where the shares are equal, the noise of both is of second order: at least that.
    variance = log_ratio.var() / n + ratio[real].var() / m
    variance = max(variance - chance, chance)
    divergence = Estimate(class_divergence(found, classes, p), float(np.sqrt(variance)))
    return {"modes_covered": modes, "reverse_kl": divergence}


@keras.saving.register_keras_serializable("keras_gen")
class Diversity(SampleMetric):
    """How far apart samples of a class are, relative to real examples; 1 is ideal.

    See `Diversity.function`. Where all examples of both sides have labels, pairs lie
    within a class; otherwise they are all pairs, which misses a class that collapses.
    Both have the same name: do not compare the two.

    Args:
        partners: With how many others an example is compared, at most. Defaults to
            `100`.
        seed: Integer, from which the partners are drawn. Defaults to `0`.
        name: String. Defaults to `"diversity"`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(100, 5))
    >>> metric = Diversity()
    >>> metric.set_reference(x)
    >>> metric.update_state(x / 2)
    >>> round(metric.result(), 2)
    0.5
    """

    function = diversity

    def compare(self, real, generated):
        """Returns {name: `Estimate`}, by class where both sides have labels."""
        labels = real.y, generated.y
        if any(y is None for y in labels):
            labels = None, None
        found = diversity(real.x, generated.x, *labels, **self.options())
        return {self.name: found}


@keras.saving.register_keras_serializable("keras_gen")
class ModesCovered(SampleMetric):
    """How many of the reference's classes the samples have, and in which shares.

    See `ModesCovered.function`.

    Args:
        name: String. Defaults to `"modes_covered"`.

    Example:

    >>> metric = ModesCovered()
    >>> metric.set_reference(np.eye(3))
    >>> metric.update_state(np.eye(3)[[0, 0]])
    >>> metric.result()["modes_covered"]
    1.0

    Reference: [Srivastava et al., 2017](https://arxiv.org/abs/1705.07761)
    """

    function = modes_covered
    needs = "probabilities"


@dataclasses.dataclass(frozen=True)
class ModeScore:
    """Which modes of a mixture samples cover, and how well.

    Attributes:
        modes: How many modes have at least one sample of high quality.
        high_quality: The share of samples within three standard deviations of a mode.
        reverse_kl: KL, in nats, of the samples' distribution over the modes to the
            data's.
    """

    modes: int
    high_quality: float
    reverse_kl: float


def mode_score(samples, centers, sigma):
    """Returns how well samples cover a mixture of equal Gaussian modes.

    A sample belongs to the nearest mode.

    Args:
        samples: Array (n, dims).
        centers: Array (modes, dims).
        sigma: Float, the modes' standard deviation.

    Returns:
        A `ModeScore`: `modes` found, `high_quality` and `reverse_kl`.

    Example:

    >>> density = data.Density2D.named("grid25")
    >>> x = density.sample(2500, seed=0)
    >>> mode_score(x, density.centers, density.sigma).modes
    25

    Reference: [Lin et al., 2018](https://arxiv.org/abs/1712.04086)
    """
    samples, centers = np.asarray(samples, "float64"), np.asarray(centers, "float64")
    squares = np.square(samples[:, None] - centers).sum(axis=-1)
    nearest, least = squares.argmin(axis=1), squares.min(axis=1)
    good = least <= (3.0 * sigma) ** 2
    return ModeScore(
        modes=len(np.unique(nearest[good])),
        high_quality=float(good.mean()),
        reverse_kl=class_divergence(nearest, len(centers)),
    )


def class_divergence(found, classes, shares=None):
    """Returns KL(shares that were found || `shares`) of classes, in nats.

    Args:
        found: Integers (n,), the class of each sample.
        classes: The number of classes.
        shares: Vector of the classes' shares. Defaults to `None`: equal ones.

    Example:

    >>> class_divergence([0, 1, 2, 3], 4), round(class_divergence([0, 0], 4), 4)
    (0.0, 1.3863)
    """
    wanted = np.full(classes, 1.0 / classes) if shares is None else np.asarray(shares)
    got = np.bincount(found, minlength=classes) / len(found)
    seen = got > 0
    return float(np.sum(got[seen] * np.log(got[seen] / wanted[seen])))
