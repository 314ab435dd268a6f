"""The mean of a number that every example has, with its uncertainty."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gen")
class MeanWithError(keras.metrics.Metric):
    """The mean over examples, and its standard error.

    error^2 = (mean of squares - square of the mean) / (n - 1)

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
        # Sums, so that replicas' may be added; wide, so that nothing cancels.
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
