"""Means over a batch whose examples do not all count, or not all alike."""

import dataclasses

import numpy as np


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
