"""Wasserstein distances: the Fréchet distance of Gaussians, and sliced distances."""

import dataclasses
import math
import types

import keras
import numpy as np
from scipy.linalg import lapack, svdvals

from keras_gen.arguments import require_argument, require_int
from keras_gen.metrics.estimate import Estimate, assign_groups
from keras_gen.metrics.sample import SampleMetric, feature_pair, flatten

_GROUPS = 10


@dataclasses.dataclass(frozen=True)
class FrechetEstimate(Estimate):
    """A Fréchet distance, its standard error, and its bias from few examples.

    Attributes:
        value: The distance of the given examples.
        standard_error: Its standard deviation over other draws of them.
        bias: About how much larger it is than for infinitely many examples; NaN where
            it is not known. `value - bias` compares sets of different sizes.
    """

    bias: float = math.nan


def frechet_distance(real, generated, *, groups=10):
    """Returns the squared Fréchet distance of two Gaussians, a `FrechetEstimate`.

    |m_r - m_g|^2 + tr(C_r + C_g - 2 (C_r^1/2 C_g C_r^1/2)^1/2)

    The last trace is the nuclear norm of F_r^T F_g where C = F F^T; the factors have
    the rank of the covariance, which may be singular. With Inception's features it is
    the FID.

    Finite samples bias it upwards, by about c / n: by more where there are more
    features than examples, and differently for different models, so that their order
    can depend on n. The bias and the standard error come from a jackknife over groups
    of rows, on both sides; value - bias extrapolates to infinite samples, well where n
    is several times d. Where the distributions are the same, the standard error is
    about 1.5 times too large. Only means and covariances are compared: it is 0 for any
    two distributions that share them.

    Args:
        real: Features (n, d), or published statistics `(mean, covariance, n)`, taken
            as if they were exact.
        generated: Features (m, d), or statistics.
        groups: How many groups the rows are assigned to. 1 is ten times as fast, and
            gives neither standard error nor bias; nor do fewer than two rows a group.
            Defaults to `10`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> found = frechet_distance(x, x[::-1] + [3.0, 4.0])
    >>> round(found.value, 6)
    25.0

    Reference: [Heusel et al., 2017](https://arxiv.org/abs/1706.08500),
    [Chong & Forsyth, 2020](https://arxiv.org/abs/1911.07023)
    """
    sides = [
        _group_moments(name, x, groups)
        for name, x in (("real", real), ("generated", generated))
    ]
    value = _gaussian_distance(*map(_pooled, sides))
    counts = [sum(m[0] for m in side) for side in sides if len(side) > 1]
    if not counts or min(counts) < 2 * groups:
        return FrechetEstimate(value, math.nan)
    without = [
        _gaussian_distance(*(_pooled(side, without=i) for side in sides))
        for i in range(groups)
    ]
    found = Estimate.of_jackknife(value, without)
    # With a bias of c / n, leaving out 1 of g parts adds c / (n (g - 1)).
    bias = (groups - 1) * (float(np.mean(without)) - value)
    return FrechetEstimate(value, found.standard_error, bias)


def _group_moments(name, x, groups):
    """Returns [(count, mean, sum of outer products of deviations)] of each group."""
    if isinstance(x, tuple):
        mean, covariance, count = x
        mean, covariance = np.array(mean, "float64"), np.array(covariance, "float64")
        if covariance.shape != 2 * mean.shape:
            raise ValueError(
                "Published statistics must be a mean (d,), a covariance (d, d) and a "
                f"count. Received: shapes {covariance.shape} and {mean.shape}"
            )
        return [(count, mean, covariance * (count - 1))]
    x = flatten(x)
    if len(x) < 2:
        raise ValueError(
            f"A covariance takes at least 2 {name} examples. Received: {len(x)}"
        )
    group = assign_groups(len(x), groups)
    return [_moments(x[group == i]) for i in range(groups)]


def _moments(x):
    x = np.asarray(x, "float64")
    mean = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
    centered = x - mean
    return len(x), mean, centered.T @ centered


def _pooled(groups, without=None):
    """Returns (count, mean, covariance) of all groups, or of all but one.

    Chan's update: nothing cancels, however far from zero the mean is.
    """
    if without is not None and len(groups) > 1:
        groups = groups[:without] + groups[without + 1 :]
    count, mean, scatter = groups[0]
    scatter = scatter.copy()
    for n, other, deviations in groups[1:]:
        if n:
            shift, total = other - mean, count + n
            scatter += deviations
            scatter += np.outer(shift * (count / total * n), shift)
            mean, count = mean + shift * (n / total), total
    return count, mean, scatter / (count - 1)


def _gaussian_distance(a, b):
    (n, mean, covariance), (m, other_mean, other) = a, b
    if mean.shape != other_mean.shape:
        raise ValueError(
            "Both sides must have the same number of features. "
            f"Received: {len(mean)} and {len(other_mean)}"
        )
    shift = float(np.sum(np.square(mean - other_mean)))
    traces = float(np.trace(covariance)) + float(np.trace(other))
    product = _factor(covariance, n - 1).T @ _factor(other, m - 1)
    return shift + max(traces - 2.0 * float(np.sum(svdvals(product))), 0.0)


def _factor(covariance, rank):
    # Pivoted Cholesky stops at what is left of rounding. The square root of an
    # eigenvalue of 1e-16 that should be 0 would be 1e-8, and there can be thousands.
    factor, order, found, _ = lapack.dpstrf(covariance, lower=1)
    lower = np.zeros_like(covariance)
    lower[order - 1] = np.tril(factor)
    return lower[:, : int(min(rank, found))]


@keras.saving.register_keras_serializable("keras_gen")
class FrechetDistance(SampleMetric):
    """The Fréchet distance, `frechet_distance`.

    Args:
        groups: How many groups the rows are assigned to. Defaults to `10`.
        name: String. Defaults to `"frechet_distance"`.

    Example:

    >>> metric = FrechetDistance()
    >>> metric.set_reference((np.zeros(2), np.eye(2), 50000))
    >>> metric.update_state(np.array([[2.0, 0.0], [0.0, 1.0], [-2.0, -1.0]]))
    >>> round(metric.result(), 4)
    1.1814

    Reference: [Heusel et al., 2017](https://arxiv.org/abs/1706.08500)
    """

    function = frechet_distance

    def _check_options(self):
        require_int("groups", self.groups, least=1)

    def set_reference(self, x, y=None):
        """Takes the real examples, instead of any before.

        Args:
            x: Features (n, d), or published statistics `(mean, covariance, n)`.
            y: Ignored. Defaults to `None`.
        """
        if isinstance(x, tuple):
            self.real = types.SimpleNamespace(x=x, count=x[2])
        else:
            super().set_reference(x, y)


def sliced_wasserstein(real, generated, *, projections=128, p=2, seed=0):
    """Returns the mean Wasserstein distance of projections to random directions.

    SW_p^p = E_theta integral_0^1 |Q_{theta.x}(u) - Q_{theta.y}(u)|^p du

    Q is the quantile function of an empirical distribution, a staircase; the integral
    is exact, for different numbers of examples too. It detects any difference of
    distributions at hardly more than the cost of sorting; but with many features most
    directions show little of it. Finite samples bias it upwards: two samples of one
    distribution are at a distance of about n^-1/2.

    The squared standard error has two parts: that of other draws of both samples, by a
    jackknife that leaves out a tenth of the rows, and that of other directions. With
    one seed all models are compared along the same directions, and their differences
    vary by less than the second part says. Where the distributions are the same, it is
    about 1.4 times too large; for fewer than 20 rows on a side it is NaN.

    Args:
        real: Features (n, d).
        generated: Features (m, d).
        projections: How many directions. Defaults to `128`.
        p: The power, at least 1. Defaults to `2`.
        seed: Integer, from which the directions are drawn. Defaults to `0`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(100, 1))
    >>> round(float(sliced_wasserstein(x, x + 2.0)), 4)
    2.0

    Reference: [Bonneel et al., 2015](https://doi.org/10.1007/s10851-014-0506-3)
    """
    _check_sliced(projections, p)
    real, generated = feature_pair(real, generated)
    directions = np.random.default_rng(seed).normal(size=(real.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    # One direction per row, so that what is sorted is contiguous in memory.
    sides = (real @ directions).T, (generated @ directions).T
    costs = _costs(*sides, p)
    value = float(costs.mean() ** (1.0 / p))
    if min(side.shape[1] for side in sides) < 2 * _GROUPS:
        return Estimate(value, math.nan)
    without = [
        _costs(*(_without(side, i) for side in sides), p).mean() ** (1.0 / p)
        for i in range(_GROUPS)
    ]
    of_samples = Estimate.of_jackknife(value, without).standard_error
    of_directions = Estimate.of_mean(costs).standard_error
    if value > 0.0:
        of_directions *= value ** (1.0 - p) / p
    return Estimate(value, math.hypot(of_samples, of_directions))


def _without(side, group):
    return side[:, assign_groups(side.shape[1], _GROUPS) != group]


def _costs(x, y, p):
    x, y = np.sort(x, axis=1), np.sort(y, axis=1)
    n, m = x.shape[1], y.shape[1]
    # Where either staircase steps, in units of 1 / (n m): integers do not round.
    steps = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    weights = np.diff(steps, prepend=0) / (n * m)
    gaps = np.abs(x[:, (steps - 1) // m] - y[:, (steps - 1) // n])
    return gaps**p @ weights


def _check_sliced(projections, p):
    require_int("projections", projections, least=2)
    require_argument(p >= 1, "p", "at least 1", p)


@keras.saving.register_keras_serializable("keras_gen")
class SlicedWasserstein(SampleMetric):
    """The sliced Wasserstein distance.

    See `SlicedWasserstein.function`.

    Args:
        projections: How many directions. Defaults to `128`.
        p: The power, at least 1. Defaults to `2`.
        seed: Integer, from which the directions are drawn. Defaults to `0`.
        name: String. Defaults to `"sliced_wasserstein"`.

    Example:

    >>> metric = SlicedWasserstein()
    >>> metric.set_reference(np.array([[0.0], [4.0]]))
    >>> metric.update_state(np.array([[3.0]]))
    >>> metric.update_state(np.array([[7.0]]))
    >>> round(metric.result(), 4)
    3.0

    Reference: [Bonneel et al., 2015](https://doi.org/10.1007/s10851-014-0506-3)
    """

    function = sliced_wasserstein

    def _check_options(self):
        _check_sliced(self.projections, self.p)
