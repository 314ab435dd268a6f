"""The Fréchet distance of features, from their means and covariances."""

import dataclasses
import math

import keras
import numpy as np
from scipy.linalg import lapack, svdvals

from keras_gen.metrics.comparison import Comparison
from keras_gen.metrics.estimate import Estimate
from keras_gen.metrics.moments import DealtMoments, Moments, check_features


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
