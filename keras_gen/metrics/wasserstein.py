"""Wasserstein distances: Fréchet's, of Gaussians, and sliced, of projections."""

import dataclasses
import math

import keras
import numpy as np
from scipy.linalg import lapack, svdvals

from keras_gen.metrics.estimate import Estimate, dealt
from keras_gen.metrics.kernel import paired_rows
from keras_gen.metrics.sample import Comparison


@dataclasses.dataclass(frozen=True)
class FrechetEstimate(Estimate):
    """A Fréchet distance, its error, and what is due to having few examples.

    Attributes:
        value: The distance, of the examples that there are.
        standard_error: Its standard deviation over other draws of them.
        bias: About how much larger it is than for infinitely many examples; NaN where
            it is not known. `value - bias` compares sets of different sizes.
    """

    bias: float = math.nan


def frechet_distance(real, generated, groups=10):
    """Returns the squared Fréchet distance of two Gaussians, a `FrechetEstimate`.

    |m_r - m_g|^2 + tr(C_r + C_g - 2 (C_r^1/2 C_g C_r^1/2)^1/2)

    The last trace is the nuclear norm of F_r^T F_g where C = F F^T; the factors have
    the rank of the covariance, so that none needs to be regular. With Inception's
    features it is the FID.

    Finite samples bias it upwards, by about c / n: by more where there are more
    features than examples, and differently for different models, so that their order
    can depend on n. The bias and the standard error come from a jackknife that leaves
    out one group of rows after the other, on both sides; value - bias extrapolates to
    infinite samples, well where n is several times d. Where the distributions are the
    same, the error is about 1.5 times too large. Two of equal mean and covariance are
    at distance 0, whatever else differs.

    Args:
        real: Features (n, d), or `Moments`, taken as if they were exact.
        generated: Features (m, d), or `Moments`.
        groups: How many groups the rows are dealt to; 1 for neither error nor bias,
            in a tenth of the time, as it is where there are fewer than two rows to a
            group. Defaults to `10`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> found = frechet_distance(x, x[::-1] + [3.0, 4.0])
    >>> round(found.value, 6)
    25.0

    Reference: [Heusel et al., 2017](https://arxiv.org/abs/1706.08500),
    [Chong & Forsyth, 2020](https://arxiv.org/abs/1911.07023)
    """
    metric = FrechetDistance(groups)
    metric.set_reference(real)
    if isinstance(generated, Moments):
        metric.generated = generated
    else:
        metric.update_state(generated)
    return metric.estimates()[metric.name]


@keras.saving.register_keras_serializable("keras_gen")
class FrechetDistance(Comparison):
    """The Fréchet distance, `frechet_distance`, from streams of features.

    It keeps no examples but the moments of a few groups of them: on each side
    8 groups d^2 bytes, 336 MB for 10 groups of 2048 features and 21 MB for 512.

    Args:
        groups: How many groups the rows are dealt to. Defaults to `10`.
        name: String. Defaults to `"frechet_distance"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = FrechetDistance()
    >>> metric.set_reference(Moments.of([0.0, 0.0], np.eye(2), count=50000))
    >>> metric.update_state(np.array([[2.0, 0.0], [0.0, 1.0], [-2.0, -1.0]]))
    >>> round(metric.result(), 4)
    1.1814

    Reference: [Heusel et al., 2017](https://arxiv.org/abs/1706.08500)
    """

    def __init__(self, groups=10, name="frechet_distance", **kwargs):
        if groups < 1:
            raise ValueError(
                f"Argument `groups` must be positive. Received: groups={groups}"
            )
        self.groups = groups
        super().__init__(name=name, **kwargs)

    def collector(self):
        """Returns what takes the batches."""
        return DealtMoments(self.groups)

    def set_reference(self, x, y=None):
        """Takes the real examples, or their `Moments`, instead of any before.

        Args:
            x: Features (n, d), or `Moments`.
            y: Ignored. Defaults to `None`.
        """
        if isinstance(x, Moments):
            self.real = x
        else:
            super().set_reference(x, y)

    def compare(self, real, generated):
        """Returns {name: `FrechetEstimate`}."""
        value = self._distance(real, generated)
        dealt = [side for side in (real, generated) if isinstance(side, DealtMoments)]
        if (
            self.groups < 2
            or not dealt
            or min(s.count for s in dealt) < 2 * self.groups
        ):
            return {self.name: FrechetEstimate(value, math.nan)}
        without = [self._distance(real, generated, i) for i in range(self.groups)]
        found = Estimate.of_jackknife(value, without)
        # With a bias of c / n, leaving out 1 of g parts adds c / (n (g - 1)).
        bias = (self.groups - 1) * (float(np.mean(without)) - value)
        return {self.name: FrechetEstimate(value, found.standard_error, bias)}

    def _distance(self, real, generated, without=None):
        sides = [
            side.total(without) if isinstance(side, DealtMoments) else side
            for side in (real, generated)
        ]
        return _distance(*sides)

    def get_config(self):
        """Returns the metric's configuration."""
        return {"groups": self.groups, "name": self.name}


def _distance(a, b):
    check_features(a, b)
    shift = float(np.sum(np.square(a.mean - b.mean)))
    covariances = a.covariance, b.covariance
    traces = sum(float(np.trace(c)) for c in covariances)
    factors = [
        _factor(c, m.count - 1) for c, m in zip(covariances, (a, b), strict=True)
    ]
    both = float(np.sum(svdvals(factors[0].T @ factors[1])))
    return shift + max(traces - 2.0 * both, 0.0)


def _factor(covariance, rank):
    # Cholesky with pivots stops at what is left of rounding. The root of an eigenvalue
    # of 1e-16 that should be 0 would be 1e-8, and there can be thousands of them.
    factor, order, found, _ = lapack.dpstrf(covariance, lower=1)
    lower = np.zeros_like(covariance)
    lower[order - 1] = np.tril(factor)
    return lower[:, : int(min(rank, found))]


_GROUPS = 10


def sliced_wasserstein(real, generated, projections=128, p=2, seed=0):
    """Returns the mean Wasserstein distance of projections to random directions.

    SW_p^p = E_theta integral_0^1 |Q_{theta.x}(u) - Q_{theta.y}(u)|^p du

    Q is the quantile function of an empirical distribution, a staircase; the integral
    is exact, for different numbers of examples too. It sees any difference of
    distributions, with a cost that is hardly more than that of sorting; but with many
    features most directions see little of it. Finite samples bias it upwards: two of
    one distribution are at a distance of about n^-1/2.

    The error has two parts, added as squares: that of other draws of both samples, by
    a jackknife that leaves out a tenth of the rows, and that of other directions. With
    one seed, several models are seen from the same directions, and then they differ by
    less than the second part says. Where the distributions are the same, it is about
    1.4 times too large; for fewer than 20 rows on a side it is NaN.

    Args:
        real: Features (n, d).
        generated: Features (m, d).
        projections: How many directions. Defaults to `128`.
        p: The power, at least 1. Defaults to `2`.
        seed: Of the directions. Defaults to `0`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(100, 1))
    >>> round(float(sliced_wasserstein(x, x + 2.0)), 4)
    2.0

    Reference: [Bonneel et al., 2015](https://doi.org/10.1007/s10851-014-0506-3)
    """
    _check(projections, p)
    real, generated = paired_rows(real, generated)
    directions = np.random.default_rng(seed).normal(size=(real.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    # A direction a row, so that what is sorted lies together.
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
    return side[:, dealt(side.shape[1], _GROUPS) != group]


def _costs(x, y, p):
    x, y = np.sort(x, axis=1), np.sort(y, axis=1)
    n, m = x.shape[1], y.shape[1]
    # Where either staircase steps, in units of 1 / (n m): whole numbers do not round.
    steps = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    weights = np.diff(steps, prepend=0) / (n * m)
    gaps = np.abs(x[:, (steps - 1) // m] - y[:, (steps - 1) // n])
    return gaps**p @ weights


def _check(projections, p):
    if projections < 2:
        raise ValueError(
            "Argument `projections` must be at least 2. "
            f"Received: projections={projections}"
        )
    if p < 1:
        raise ValueError(f"Argument `p` must be at least 1. Received: p={p}")


@keras.saving.register_keras_serializable("keras_gen")
class SlicedWasserstein(Comparison):
    """The sliced Wasserstein distance, `sliced_wasserstein`.

    Args:
        projections: How many directions. Defaults to `128`.
        p: The power, at least 1. Defaults to `2`.
        seed: Of the directions. Defaults to `0`.
        name: String. Defaults to `"sliced_wasserstein"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = SlicedWasserstein()
    >>> metric.set_reference(np.array([[0.0], [4.0]]))
    >>> metric.update_state(np.array([[3.0]]))
    >>> metric.update_state(np.array([[7.0]]))
    >>> round(metric.result(), 4)
    3.0

    Reference: [Bonneel et al., 2015](https://doi.org/10.1007/s10851-014-0506-3)
    """

    def __init__(
        self, projections=128, p=2, seed=0, name="sliced_wasserstein", **kwargs
    ):
        _check(projections, p)
        super().__init__(name=name, **kwargs)
        self.projections = projections
        self.p = p
        self.seed = seed

    def compare(self, real, generated):
        """Returns {name: `Estimate`}."""
        options = {"projections": self.projections, "p": self.p, "seed": self.seed}
        return {self.name: sliced_wasserstein(real.x, generated.x, **options)}

    def get_config(self):
        """Returns the metric's configuration."""
        return {
            "projections": self.projections,
            "p": self.p,
            "seed": self.seed,
            "name": self.name,
        }


class Moments:
    """The mean and the covariance of rows that come batch by batch, in float64.

    M = M_a + M_b + (mean_b - mean_a)(mean_b - mean_a)^T n_a n_b / (n_a + n_b)
    covariance = M / (n - 1), where M sums (x - mean)(x - mean)^T

    Nothing cancels, however far the mean is from zero, as it would in E[x x^T] less
    the mean's. It takes 8 d^2 bytes: 34 MB for d = 2048.

    Args:
        x: Array (n, d) to begin with. Defaults to `None`.

    Attributes:
        count: How many rows there were.
        mean: Vector (d,), `None` before the first.

    Example:

    >>> moments = Moments(np.array([[1.0], [2.0]])).add(np.array([[6.0]]))
    >>> moments.mean, moments.covariance
    (array([3.]), array([[7.]]))

    Reference: [Chan et al., 1983](https://doi.org/10.1080/00031305.1983.10483115)
    """

    def __init__(self, x=None):
        self.count = 0
        self.mean = self._scatter = None
        if x is not None:
            self.add(x)

    @classmethod
    def of(cls, mean, covariance, count):
        """Returns moments that are known already, as from a file.

        Args:
            mean: Vector (d,).
            covariance: Matrix (d, d).
            count: Of how many rows they are.
        """
        self = cls()
        self.count = count
        self.mean = np.array(mean, "float64")
        self._scatter = np.array(covariance, "float64") * (count - 1)
        if self._scatter.shape != 2 * self.mean.shape:
            raise ValueError(
                "Argument `covariance` must be a matrix (d, d) for a mean (d,). "
                f"Received: shapes {self._scatter.shape} and {self.mean.shape}"
            )
        return self

    @property
    def covariance(self):
        """Returns the unbiased covariance (d, d)."""
        if self.count < 2:
            raise ValueError(
                f"A covariance takes at least two rows. Received: {self.count}"
            )
        return self._scatter / (self.count - 1)

    def add(self, x):
        """Takes rows (n, d); returns self."""
        x = np.asarray(x, "float64")
        if not len(x):
            return self
        other = Moments()
        other.count, other.mean = len(x), x.mean(axis=0)
        centred = x - other.mean
        other._scatter = centred.T @ centred
        return self.merge(other)

    def merge(self, other):
        """Takes the rows that other moments are of; returns self."""
        if not other.count:
            return self
        if not self.count:
            self.count = other.count
            self.mean, self._scatter = other.mean.copy(), other._scatter.copy()
            return self
        check_features(self, other)
        count = self.count + other.count
        shift = other.mean - self.mean
        self._scatter += other._scatter
        self._scatter += np.outer(shift * (self.count / count * other.count), shift)
        self.mean = self.mean + shift * (other.count / count)
        self.count = count
        return self


class DealtMoments:
    """Moments of rows dealt to a few groups, so that one can be left out.

    The groups do not depend on how the rows were split into batches; nor does the
    order of the sums, as long as nothing is read in between.

    Args:
        groups: How many groups. Defaults to `10`.

    Attributes:
        count: How many rows there were.
    """

    def __init__(self, groups=10):
        self.count = 0
        self._moments = [Moments() for _ in range(groups)]
        # A product of few rows costs as much as one of many: they wait.
        self._waiting, self._chunk = [], 256 * groups

    def add(self, x, y=None):
        """Takes a batch (n, ...), its labels being ignored."""
        self._waiting.append(np.reshape(x, (len(x), -1)))
        self.count += len(x)
        if sum(map(len, self._waiting)) >= self._chunk:
            self._deal(whole=True)

    def _deal(self, whole):
        if not self._waiting:
            return
        x, groups = np.concatenate(self._waiting), len(self._moments)
        end = len(x) // self._chunk * self._chunk if whole else len(x)
        first = self.count - len(x)
        for start in range(0, end, self._chunk):
            rows = x[start : min(end, start + self._chunk)]
            group = dealt(len(rows), groups, first + start)
            for i, moments in enumerate(self._moments):
                moments.add(rows[group == i])
        self._waiting = [x[end:]] if end < len(x) else []

    def total(self, without=None):
        """Returns the `Moments` of all rows, or of all but one group's.

        Args:
            without: The group to leave out, or `None`. Defaults to `None`.
        """
        self._deal(whole=False)
        total = Moments()
        for i, moments in enumerate(self._moments):
            if i != without:
                total.merge(moments)
        return total


def check_features(a, b):
    """Raises ValueError unless two `Moments` are of the same features."""
    if a.mean.shape != b.mean.shape:
        raise ValueError(
            "Both sides must have the same number of features. "
            f"Received: {len(a.mean)} and {len(b.mean)}"
        )
