"""How well classes that were found agree with those that are known."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def clustering_error(found, labels):
    """Returns the share of examples outside of the class that stands for their own.

    Each found class stands for one known class, so that the error is least: the best
    of all permutations.

    Args:
        found: Integers (n,), what a model calls each example.
        labels: Integers (n,), the known classes.

    Example:

    >>> clustering_error([2, 2, 0, 0, 1], [0, 0, 1, 1, 1])
    0.2
    """
    found, labels = np.asarray(found), np.asarray(labels)
    if found.shape != labels.shape or found.ndim != 1 or not len(found):
        raise ValueError(
            "Arguments `found` and `labels` must be vectors of one length. "
            f"Received: shapes {found.shape}, {labels.shape}"
        )
    counts = np.zeros((found.max() + 1, labels.max() + 1), int)
    np.add.at(counts, (found, labels), 1)
    agreed = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float((len(labels) - agreed) / len(labels))
