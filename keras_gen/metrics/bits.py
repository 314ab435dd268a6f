"""Bits per dimension, with its uncertainty."""

import math

import keras
from keras import ops

from keras_gen.metrics.mean import MeanWithError


@keras.saving.register_keras_serializable("keras_gen")
class BitsPerDim(MeanWithError):
    """The mean over examples of the bits that a model needs for one dimension.

    bits = log2(levels) - log p(y) / (d log 2) for the density of dequantised data of
    d numbers with L levels each, y = ((L - 1) x + u) / L; without levels the first
    term is absent, as it is for the log mass of a discrete likelihood.

    It makes all exact likelihoods comparable, whatever space they were computed in.

    Args:
        dimensions: How many numbers an example has.
        levels: How many values each can have, or `None`. Defaults to `None`.
        name: String. Defaults to `"bits_per_dim"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = BitsPerDim(dimensions=2)
    >>> metric.update_state([-2 * math.log(2), -4 * math.log(2)])
    >>> float(metric.result())
    1.5
    """

    def __init__(self, dimensions, levels=None, name="bits_per_dim", **kwargs):
        super().__init__(name=name, **kwargs)
        if dimensions < 1:
            raise ValueError(
                "Argument `dimensions` must be positive. "
                f"Received: dimensions={dimensions}"
            )
        self.dimensions = dimensions
        self.levels = levels

    def update_state(self, log_prob):
        """Adds the log-densities, in nats, of a batch."""
        log_prob = ops.convert_to_tensor(log_prob, "float32")
        bits = -log_prob / (self.dimensions * math.log(2.0))
        bits = bits + (math.log2(self.levels) if self.levels else 0.0)
        super().update_state(bits)

    def get_config(self):
        """Returns the metric's configuration."""
        return {
            "dimensions": self.dimensions,
            "levels": self.levels,
            "name": self.name,
        }
