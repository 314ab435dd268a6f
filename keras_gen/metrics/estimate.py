"""Numbers with their standard errors."""

import dataclasses
import math

import keras
import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number with its standard error.

    It prints as value ± two standard errors; `float(estimate)` is the value.

    Attributes:
        value: What was measured.
        standard_error: Its standard deviation over other draws of the data; NaN where
            it is unknown.

    Example:

    >>> print(Estimate(1.5, 0.02), float(Estimate(1.5, 0.02)))
    1.500 ± 0.040 1.5
    """

    value: float
    standard_error: float

    @classmethod
    def of_mean(cls, values):
        """Returns the mean of independent numbers, with its standard error.

        Args:
            values: Vector of numbers; two or more give a standard error.
        """
        values = np.asarray(values, "float64").ravel()
        error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
        return cls(float(values.mean()), math.nan if error is None else float(error))

    @classmethod
    def of_jackknife(cls, value, without):
        """Returns a statistic of all data, with the jackknife's standard error.

        standard_error^2 = (g - 1) / g sum_i (without_i - mean without)^2

        Args:
            value: The statistic of all data.
            without: The g statistics of all data but one of g equal parts.
        """
        without = np.asarray(without, "float64")
        spread = np.sum(np.square(without - without.mean()))
        error = math.sqrt((len(without) - 1) / len(without) * spread)
        return cls(float(value), error)

    def __float__(self):
        """Returns the value."""
        return float(self.value)

    def __str__(self):
        """Returns value ± two standard errors, to the significant digits."""
        if not math.isfinite(self.standard_error) or self.standard_error == 0.0:
            return f"{self.value:.4g}"
        error = 2.0 * self.standard_error
        digits = max(0, 1 - math.floor(math.log10(error)))
        if error < 1e-9:
            whole = math.floor(math.log10(abs(self.value) or error)) + digits + 1
            return f"{self.value:.{min(17, max(1, whole))}g} ± {error:.2g}"
        digits = min(9, digits)
        return f"{self.value:.{digits}f} ± {error:.{digits}f}"


def assign_groups(count, groups):
    """Returns the group of each of `count` rows, as integers (count,).

    Every run of `groups` rows gives one to each group, in its own random order: groups
    have one size, are spread over sorted rows, and do not hold one class where classes
    take turns. A row's group follows from its position alone.

    Args:
        count: How many rows.
        groups: How many groups.

    Example:

    >>> np.bincount(assign_groups(1000, 10))
    array([100, 100, 100, 100, 100, 100, 100, 100, 100, 100])
    """
    table = np.random.default_rng(0).permuted(
        np.tile(np.arange(groups), (_ORDERS, 1)), axis=1
    )
    place = np.arange(count)
    return table[place // groups % _ORDERS, place % groups]


_ORDERS = 4096  # after which they repeat


@keras.saving.register_keras_serializable("keras_gen")
class MeanWithError(keras.metrics.Metric):
    """The mean over examples, and its standard error.

    standard_error^2 = (mean of squares - square of the mean) / (n - 1)

    Args:
        name: String. Defaults to `"mean"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = MeanWithError()
    >>> metric.update_state([1.0, 3.0])
    >>> float(metric.result()), float(metric.standard_error())
    (2.0, 1.0)
    """

    def __init__(self, name="mean", **kwargs):
        super().__init__(name=name, **kwargs)
        # Sums, so that replicas' can be added; float64, so that nothing cancels.
        wide = {"shape": (), "initializer": "zeros", "dtype": "float64"}
        self.count = self.add_weight(name="count", **wide)
        self.total = self.add_weight(name="total", **wide)
        self.squares = self.add_weight(name="squares", **wide)

    def update_state(self, values):
        """Adds the numbers of a batch."""
        values = ops.cast(values, "float64")
        self.count.assign_add(ops.cast(ops.size(values), "float64"))
        self.total.assign_add(ops.sum(values))
        self.squares.assign_add(ops.sum(ops.square(values)))

    def result(self):
        """Returns the mean."""
        return ops.cast(self._mean(), "float32")

    def standard_error(self):
        """Returns the standard error of the mean over examples."""
        count = ops.convert_to_tensor(self.count)
        rest = self.squares - count * ops.square(self._mean())
        variance = ops.maximum(rest, 0.0) / ops.maximum(count - 1.0, 1.0)
        return ops.cast(ops.sqrt(variance / ops.maximum(count, 1.0)), "float32")

    def _mean(self):
        return self.total / ops.maximum(ops.convert_to_tensor(self.count), 1.0)
