"""Distances of distributions by means of kernels, without bias."""

import math

import keras
import numpy as np

from keras_gen.metrics.estimate import Estimate, dealt
from keras_gen.metrics.neighbors import check_widths
from keras_gen.metrics.sample import Comparison

# How many pairs of rows are looked at at once: 16 MB.
_CELLS = 2**21
# The bandwidths of the Gaussian kernels, in multiples of the scale.
_BANDWIDTHS = (4.0, 2.0, 1.0, 0.5, 0.25)


def paired_rows(real, generated, least=2):
    """Returns two arrays as rows of equally many numbers, in float64.

    Args:
        real: Array (n, ...).
        generated: Array (m, ...).
        least: How many rows there must be in each. Defaults to `2`.

    Example:

    >>> [x.shape for x in paired_rows(np.zeros((5, 2, 2)), np.zeros((3, 4)))]
    [(5, 4), (3, 4)]
    """
    rows = []
    for name, x in (("real", real), ("generated", generated)):
        x = np.asarray(x, "float64")
        if x.ndim < 2 or len(x) < least or not np.isfinite(x).all():
            raise ValueError(
                f"Argument `{name}` must be at least {least} rows of finite numbers, "
                f"(n, ...). Received: shape {x.shape}"
                f"{'' if np.isfinite(x).all() else ', not finite'}"
            )
        rows.append(x.reshape(len(x), -1))
    check_widths(*rows)
    return rows


def kernel_distance(real, generated, degree=3, blocks=10):
    """Returns the squared distance of means in a polynomial kernel's space.

    k(x, y) = (x.y / d + 1)^degree
    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)

    It has no bias, so that few examples suffice and sets of different sizes compare:
    two samples of one distribution average 0, and so are often below it. With
    Inception's features it is the KID. Degree 3 compares the first three moments and
    is blind to all others; how much each counts depends on the features' scale.

    The rows are dealt to blocks, whose values are independent; their mean is the
    estimate and has the error of a mean. More blocks give a better error, and a value
    that varies more where the distributions are close.

    Args:
        real: Features (n, d).
        generated: Features (m, d).
        degree: The polynomial's degree. Defaults to `3`.
        blocks: How many blocks, at most half as many as there are rows; 1 compares
            all with all and has no error. Defaults to `10`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(2000, 4))
    >>> found = kernel_distance(x[:1000], x[1000:])
    >>> abs(found.value) < 3 * found.standard_error < 0.1
    True

    Reference: [Bińkowski et al., 2018](https://arxiv.org/abs/1801.01401)
    """
    _check_positive(degree=degree, blocks=blocks)
    real, generated = paired_rows(real, generated, least=2 * blocks)
    features = real.shape[1]

    def kernel(x, y):
        return (x @ y.T / features + 1.0) ** degree

    blocks_of = [dealt(len(x), blocks) for x in (real, generated)]
    pairs = [
        (real[blocks_of[0] == i], generated[blocks_of[1] == i]) for i in range(blocks)
    ]
    return Estimate.of_mean([_Sums(kernel, x, y).distance() for x, y in pairs])


def maximum_mean_discrepancy(real, generated, scale=None, seed=0):
    """Returns the squared distance of means in the space of Gaussian kernels.

    k(x, y) = mean over s of exp(-|x - y|^2 / (2 s^2)), s = scale / 4, / 2, 1, 2, 4
    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)

    Over all pairs, and without bias: two samples of one distribution average 0. No two
    distributions are at distance 0, but with many features all pairs are equally far
    apart, and it takes many examples to see more than the mean.

    The error is that of a jackknife that leaves out each row once. It is right where
    the distributions differ; where they are the same, it is about 1.4 times the true
    one.

    Args:
        real: Features (n, d).
        generated: Features (m, d).
        scale: The middle one of five bandwidths, or `None`: the median distance of
            rows, of both sides together, 1000 at most. To compare several sets with
            one, give them the same scale. Defaults to `None`.
        seed: Of the choice of those. Defaults to `0`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(600, 2))
    >>> print(maximum_mean_discrepancy(x[:300], x[300:] + [1.0, 0.0]))
    0.067 ± 0.022

    Reference: [Gretton et al., 2012](https://jmlr.org/papers/v13/gretton12a.html)
    """
    real, generated = paired_rows(real, generated, least=3)
    if scale is None:
        scale = median_distance(np.concatenate([real, generated]), seed=seed)
    _check_positive(scale=scale)
    centre = real.mean(axis=0)
    width = _BANDWIDTHS[0] * scale

    def kernel(x, y):
        value = x @ y.T
        value *= -2.0
        value += np.square(x).sum(axis=1)[:, None]
        value += np.square(y).sum(axis=1)
        np.maximum(value, 0.0, out=value)
        value /= -2.0 * width**2
        np.exp(value, out=value)
        total = value.copy()
        for _ in _BANDWIDTHS[1:]:
            value *= value  # half as wide: to the fourth power
            value *= value
            total += value
        total /= len(_BANDWIDTHS)
        return total

    # Centred, the squares cancel less.
    sums = _Sums(kernel, real - centre, generated - centre)
    return Estimate(sums.distance(), sums.standard_error())


def median_distance(x, most=1000, seed=0):
    """Returns the median distance of two rows that differ, 1 where none do.

    Args:
        x: Array (n, d).
        most: How many rows, chosen at random, to look at. Defaults to `1000`.
        seed: Of the choice. Defaults to `0`.

    Example:

    >>> median_distance(np.array([[0.0], [1.0], [3.0]]))
    2.0
    """
    from scipy.spatial.distance import pdist

    if len(x) > most:
        x = np.random.default_rng(seed).permutation(x)[:most]
    distances = pdist(x)
    distances = distances[distances > 0.0]
    return float(np.median(distances)) if len(distances) else 1.0


class _Sums:
    # For each row, the sum of the kernel over the other rows of its side, and over
    # those of the other side.
    def __init__(self, kernel, x, y):
        self.xx = _sum_over_others(kernel, x)
        self.yy = _sum_over_others(kernel, y)
        self.xy, self.yx = np.empty(len(x)), np.zeros(len(y))
        for rows in _chunks(len(x), len(y)):
            block = kernel(x[rows], y)
            self.xy[rows] = block.sum(axis=1)
            self.yx += block.sum(axis=0)

    def distance(self):
        n, m = len(self.xx), len(self.yy)
        within = self.xx.sum() / (n * (n - 1)) + self.yy.sum() / (m * (m - 1))
        return float(within - 2.0 * self.xy.sum() / (n * m))

    def standard_error(self):
        errors = [
            Estimate.of_jackknife(0.0, _without_each(own, across, n)).standard_error
            for own, across, n in (
                (self.xx, self.xy, len(self.yy)),
                (self.yy, self.yx, len(self.xx)),
            )
        ]
        return math.hypot(*errors)


def _chunks(rows, columns):
    size = max(1, _CELLS // columns)
    return [slice(i, min(rows, i + size)) for i in range(0, rows, size)]


def _sum_over_others(kernel, x):
    sums = np.zeros(len(x))
    for rows in _chunks(len(x), len(x)):
        # What is left of the diagonal is the mirror image of what was seen.
        block = kernel(x[rows], x[rows.start :])
        np.fill_diagonal(block, 0.0)
        sums[rows] += block.sum(axis=1)
        sums[rows.stop :] += block[:, rows.stop - rows.start :].sum(axis=0)
    return sums


def _without_each(own, across, others):
    n = len(own)
    within = (own.sum() - 2.0 * own) / ((n - 1) * (n - 2))
    return within - 2.0 * (across.sum() - across) / ((n - 1) * others)


def _check_positive(**arguments):
    for name, value in arguments.items():
        if not value > 0:
            raise ValueError(
                f"Argument `{name}` must be positive. Received: {name}={value}"
            )


@keras.saving.register_keras_serializable("keras_gen")
class KernelDistance(Comparison):
    """The distance in a polynomial kernel's space, `kernel_distance`.

    Args:
        degree: The polynomial's degree. Defaults to `3`.
        blocks: How many blocks the rows are dealt to. Defaults to `10`.
        name: String. Defaults to `"kernel_distance"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = KernelDistance(degree=1, blocks=1)
    >>> metric.set_reference(np.array([[0.0], [0.0]]))
    >>> metric.update_state(np.array([[2.0], [2.0]]))
    >>> metric.result()
    4.0

    Reference: [Bińkowski et al., 2018](https://arxiv.org/abs/1801.01401)
    """

    def __init__(self, degree=3, blocks=10, name="kernel_distance", **kwargs):
        _check_positive(degree=degree, blocks=blocks)
        super().__init__(name=name, **kwargs)
        self.degree = degree
        self.blocks = blocks
        self.least = 2 * blocks

    def compare(self, real, generated):
        """Returns {name: `Estimate`}."""
        found = kernel_distance(real.x, generated.x, self.degree, self.blocks)
        return {self.name: found}

    def get_config(self):
        """Returns the metric's configuration."""
        return {"degree": self.degree, "blocks": self.blocks, "name": self.name}


@keras.saving.register_keras_serializable("keras_gen")
class MaximumMeanDiscrepancy(Comparison):
    """The distance in the space of Gaussian kernels, `maximum_mean_discrepancy`.

    Args:
        scale: The middle bandwidth, or `None`: the median distance. Defaults to
            `None`.
        seed: Of the rows that the median is of. Defaults to `0`.
        name: String. Defaults to `"maximum_mean_discrepancy"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = MaximumMeanDiscrepancy(scale=1.0)
    >>> metric.set_reference(np.zeros((3, 2)))
    >>> metric.update_state(np.full((3, 2), 1e3))
    >>> round(metric.result(), 6)
    2.0

    Reference: [Gretton et al., 2012](https://jmlr.org/papers/v13/gretton12a.html)
    """

    least = 3

    def __init__(self, scale=None, seed=0, name="maximum_mean_discrepancy", **kwargs):
        if scale is not None:
            _check_positive(scale=scale)
        super().__init__(name=name, **kwargs)
        self.scale = scale
        self.seed = seed

    def compare(self, real, generated):
        """Returns {name: `Estimate`}."""
        arrays = real.x, generated.x
        found = maximum_mean_discrepancy(*arrays, scale=self.scale, seed=self.seed)
        return {self.name: found}

    def get_config(self):
        """Returns the metric's configuration."""
        return {"scale": self.scale, "seed": self.seed, "name": self.name}
