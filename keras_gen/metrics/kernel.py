"""Unbiased kernel distances of distributions: polynomial (KID) and Gaussian (MMD)."""

import math

import keras
import numpy as np

from keras_gen.arguments import require_argument
from keras_gen.metrics.estimate import Estimate, assign_groups
from keras_gen.metrics.sample import SampleMetric, feature_pair

# How many pairs of rows are compared at once: 16 MB.
_CELLS = 2**21
# The bandwidths of the Gaussian kernels, in multiples of the scale.
_BANDWIDTHS = (4.0, 2.0, 1.0, 0.5, 0.25)


def kernel_distance(real, generated, *, degree=3, blocks=10):
    """Returns the squared distance of means in a polynomial kernel's space.

    k(x, y) = (x.y / d + 1)^degree
    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)

    It is unbiased, so that few examples suffice and sets of different sizes compare:
    for two samples of one distribution it is 0 on average, and so often negative. With
    Inception's features it is the KID. Degree 3 compares the first three moments and
    ignores all others; how much each counts depends on the features' scale.

    The rows are split into blocks, whose values are independent; their mean is the
    estimate and has the standard error of a mean. With more blocks the error is better
    known, and the value varies more where the distributions are close.

    Args:
        real: Features (n, d).
        generated: Features (m, d).
        degree: The polynomial's degree. Defaults to `3`.
        blocks: How many blocks, at most half as many as there are rows; 1 compares
            all with all and has no standard error. Defaults to `10`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(2000, 4))
    >>> found = kernel_distance(x[:1000], x[1000:])
    >>> abs(found.value) < 3 * found.standard_error < 0.1
    True

    Reference: [Bińkowski et al., 2018](https://arxiv.org/abs/1801.01401)
    """
    _check_positive(degree=degree, blocks=blocks)
    real, generated = feature_pair(real, generated, min_count=2 * blocks)
    features = real.shape[1]

    def kernel(x, y):
        return (x @ y.T / features + 1.0) ** degree

    blocks_of = [assign_groups(len(x), blocks) for x in (real, generated)]
    pairs = [
        (real[blocks_of[0] == i], generated[blocks_of[1] == i]) for i in range(blocks)
    ]
    return Estimate.of_mean([_Sums(kernel, x, y).distance() for x, y in pairs])


def maximum_mean_discrepancy(real, generated, *, scale=None, seed=0):
    """Returns the squared distance of means in the space of Gaussian kernels.

    k(x, y) = mean over s of exp(-|x - y|^2 / (2 s^2)), s = scale / 4, / 2, 1, 2, 4
    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)

    It is the unbiased estimate from all pairs: 0 on average for two samples of one
    distribution. Every difference of distributions makes it positive, but with many
    features all pairs are about equally far apart, and it takes many examples to see
    more than the mean.

    The standard error comes from a jackknife over rows. It is right where the
    distributions differ, and about 1.4 times too large where they are the same.

    Args:
        real: Features (n, d).
        generated: Features (m, d).
        scale: The middle one of five bandwidths. Defaults to `None`: the median
            distance of at most 1000 rows of both sides. To compare several sets with
            one, give them the same scale.
        seed: Integer that chooses those rows. Defaults to `0`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(600, 2))
    >>> print(maximum_mean_discrepancy(x[:300], x[300:] + [1.0, 0.0]))
    0.067 ± 0.022

    Reference: [Gretton et al., 2012](https://jmlr.org/papers/v13/gretton12a.html)
    """
    real, generated = feature_pair(real, generated, min_count=3)
    if scale is None:
        scale = _median_distance(np.concatenate([real, generated]), seed=seed)
    _check_positive(scale=scale)
    center = real.mean(axis=0)
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

    # Centered, the squares cancel less.
    sums = _Sums(kernel, real - center, generated - center)
    return Estimate(sums.distance(), sums.standard_error())


def _median_distance(x, count=1000, seed=0):
    """Returns the median distance of two rows that differ, 1 where none do."""
    from scipy.spatial.distance import pdist

    if len(x) > count:
        x = np.random.default_rng(seed).permutation(x)[:count]
    distances = pdist(x)
    distances = distances[distances > 0.0]
    return float(np.median(distances)) if len(distances) else 1.0


class _Sums:
    """For each row, sums of the kernel over the rest of its side and the other side."""

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
        require_argument(value > 0, name, "positive", value)


@keras.saving.register_keras_serializable("keras_gen")
class KernelDistance(SampleMetric):
    """The distance in a polynomial kernel's space, `kernel_distance`.

    Args:
        degree: The polynomial's degree. Defaults to `3`.
        blocks: How many blocks the rows are assigned to. Defaults to `10`.
        name: String. Defaults to `"kernel_distance"`.

    Example:

    >>> metric = KernelDistance(degree=1, blocks=1)
    >>> metric.set_reference(np.array([[0.0], [0.0]]))
    >>> metric.update_state(np.array([[2.0], [2.0]]))
    >>> metric.result()
    4.0

    Reference: [Bińkowski et al., 2018](https://arxiv.org/abs/1801.01401)
    """

    function = kernel_distance

    def _check_options(self):
        _check_positive(**self.options())

    @property
    def min_count(self):
        """Returns two rows a block."""
        return 2 * self.blocks


@keras.saving.register_keras_serializable("keras_gen")
class MaximumMeanDiscrepancy(SampleMetric):
    """The distance in the space of Gaussian kernels.

    See `MaximumMeanDiscrepancy.function`.

    Args:
        scale: The middle bandwidth. Defaults to `None`: the median distance.
        seed: Integer that chooses the rows whose median distance is taken. Defaults to
            `0`.
        name: String. Defaults to `"maximum_mean_discrepancy"`.

    Example:

    >>> metric = MaximumMeanDiscrepancy(scale=1.0)
    >>> metric.set_reference(np.zeros((3, 2)))
    >>> metric.update_state(np.full((3, 2), 1e3))
    >>> round(metric.result(), 6)
    2.0

    Reference: [Gretton et al., 2012](https://jmlr.org/papers/v13/gretton12a.html)
    """

    function = maximum_mean_discrepancy
    min_count = 3

    def _check_options(self):
        if self.scale is not None:
            _check_positive(scale=self.scale)
