"""Means over a batch whose examples do not all count, or not all alike."""

import dataclasses

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class Mean:
    """A term of an objective that is a mean over some of a batch's examples.

    The logs of an epoch weigh it by them; a plain scalar is a mean over all.

    Args:
        value: A scalar.
        count: A scalar, how many examples it is a mean over.

    Example:

    >>> float(Mean(0.5, count=8.0))
    0.5
    """

    value: object
    count: object

    def __float__(self):
        """Returns the value."""
        return float(self.value)

    def __array__(self, dtype=None, copy=None):
        """Returns the value."""
        return np.asarray(self.value, dtype)


def value_of(term):
    """Returns a term's scalar, whether or not it is a `Mean`."""
    return term.value if isinstance(term, Mean) else term


def batch_mean(values, sample_weight=None, axis=0):
    """Returns sum_i w_i v_i / n, the mean over n examples and all other axes.

    As in Keras, weights are not divided by their sum: weights of two count twice, and
    weights of one have no effect.

    Args:
        values: Tensor, one or more values for each example.
        sample_weight: Tensor (n,). Defaults to `None`: all weights are one.
        axis: Which axis of the values is the batch. Defaults to `0`.

    Example:

    >>> float(batch_mean(ops.ones((4, 3)), ops.array([2.0, 0.0, 0.0, 0.0])))
    0.5
    """
    return ops.mean(weigh(values, sample_weight, axis))


def weigh(values, sample_weight=None, axis=0):
    """Returns values times their example's weight: what `batch_mean` averages.

    Args:
        values: As for `batch_mean`.
        sample_weight: As for `batch_mean`. Defaults to `None`.
        axis: As for `batch_mean`. Defaults to `0`.
    """
    if sample_weight is None:
        return values
    shape = [1] * len(values.shape)
    shape[axis] = -1
    return values * ops.reshape(ops.cast(sample_weight, values.dtype), shape)


def weighted_mean(values, sample_weight=None):
    """Returns sum_i w_i v_i / sum_i w_i, for values that are not terms of a loss.

    Without weights it is a scalar, with weights a `Mean` over their sum.

    Args:
        values: Tensor, one or more values for each example.
        sample_weight: As for `batch_mean`. Defaults to `None`.
    """
    if sample_weight is None:
        return ops.mean(values)
    count = ops.sum(sample_weight)
    share = ops.divide_no_nan(count, ops.cast(ops.shape(values)[0], "float32"))
    return Mean(ops.divide_no_nan(batch_mean(values, sample_weight), share), count)
