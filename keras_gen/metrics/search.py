"""Exact nearest neighbours, by products of matrices."""

import numpy as np

# How many distances are held at once: 32 MiB of them in single precision.
_BLOCK = 2**23


def nearest(x, others=None, k=1):
    """Returns the k smallest Euclidean distances (n, k), and whose they are (n, k).

    |x - y|^2 = |x|^2 + |y|^2 - 2 x.y

    Products of matrices find candidates in single precision. Their distances are then
    taken from differences in double precision, so that copies are at distance zero,
    and an example for which rounding could have hidden a neighbour is searched again.
    It is exact, holds some hundred MiB, and is slow beyond a few billion pairs.

    Args:
        x: Array (n, ...).
        others: Array (m, ...). Defaults to `None`: x itself, each example without
            itself.
        k: How many neighbours. Defaults to `1`.

    Example:

    >>> distances, indices = nearest(np.array([[0.0], [1.0], [5.0]]))
    >>> distances.ravel(), indices.ravel()
    (array([1., 1., 4.]), array([1, 0, 1]))
    """
    alone = others is None
    x, others = flat(x), flat(x if alone else others)
    if x.shape[1] != others.shape[1]:
        raise ValueError(
            "Arguments `x` and `others` must hold examples of one size. "
            f"Received: {x.shape[1]} and {others.shape[1]} numbers"
        )
    if not 0 < k <= len(others) - alone:
        raise ValueError(
            "Argument `k` must be positive and no more than there are neighbours. "
            f"Received: k={k}, neighbours={len(others) - alone}"
        )
    distances, indices = _search(x, others, k + alone, "float32")
    if not alone:
        return distances, indices
    keep = indices != np.arange(len(x))[:, None]
    # Among copies of an example it may not have been found itself.
    keep[keep.all(axis=1), -1] = False
    return distances[keep].reshape(-1, k), indices[keep].reshape(-1, k)


def flat(x):
    """Returns examples as vectors, or raises ValueError where they are not finite."""
    x = np.asarray(x)
    check_finite(x)
    return x.reshape(len(x), -1).astype(np.result_type(x, "float16"), copy=False)


def check_finite(x):
    """Raises ValueError for examples (n, ...) that hold NaN or infinity."""
    finite = np.isfinite(x)
    if not finite.all():
        whole = finite.reshape(len(x), -1).all(axis=1)
        raise ValueError(
            f"Examples must be finite numbers; {np.sum(~whole)} of {len(x)} hold NaN "
            "or infinity."
        )


def check_widths(real, generated):
    """Raises ValueError for examples (n, d) and (m, e) where d is not e."""
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            "Arguments `real` and `generated` must have the same number of features. "
            f"Received: {real.shape[1]} and {generated.shape[1]}"
        )


def _search(x, others, k, dtype):
    n, dims = x.shape
    few = min(len(others), k + 8)
    centre = others.mean(axis=0, dtype="float64")
    scale = float(np.ptp(others, axis=0).max()) or 1.0
    y = _shrunk(others, centre, scale, dtype)
    lengths = np.square(y, dtype="float64").sum(axis=1)
    # One product gives |y|^2 - 2 x.y, which orders the others as |x - y| does.
    y = np.column_stack([y, lengths.astype(dtype)]).T
    unit = (dims + 16) * np.finfo(dtype).eps
    distances, indices = np.empty((n, k)), np.empty((n, k), int)
    sure = np.empty(n, bool)
    for rows in slices(n, max(len(others), 2 * few * dims)):
        z = _shrunk(x[rows], centre, scale, dtype)
        length = np.square(z, dtype="float64").sum(axis=1)
        # What overflows is not sure, and is searched again.
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.column_stack([-2.0 * z, np.ones(len(z), dtype)]) @ y
        found = _smallest(squares, few)
        bound = np.take_along_axis(squares, found, axis=1).max(axis=1)
        exact = pairwise(x[rows, None], others[found])
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        indices[rows] = np.take_along_axis(found, order, axis=1)
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        farthest = np.square(distances[rows, -1] / scale) - length
        margin = unit * (np.sqrt(length * lengths.max()) + lengths.max())
        sure[rows] = farthest < bound - margin
    if dtype == "float32" and few < len(others) and not sure.all():
        again = _search(x[~sure], others, k, "float64")
        distances[~sure], indices[~sure] = again
    return distances, indices


def _shrunk(x, centre, scale, dtype):
    shrunk = np.empty(x.shape, dtype)
    for rows in slices(len(x), 2 * x.shape[1]):
        shrunk[rows] = (x[rows] - centre) / scale
    return shrunk


def slices(n, width):
    """Yields slices of n rows of so many numbers, a block at a time."""
    size = max(1, _BLOCK // max(1, width))
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


def pairwise(x, others):
    """Returns distances along the last axis, zero between copies."""
    differences = np.subtract(x, others, dtype="float64")
    return np.sqrt(np.square(differences, out=differences).sum(axis=-1))


def _smallest(values, few, width=64):
    """Returns the columns (n, few) of each row's smallest values, in any order."""
    groups = values.shape[1] // width
    if groups < 4 * few:
        return np.argpartition(values, few - 1, axis=1)[:, :few]
    # They are in the groups whose own smallest are smallest: far fewer to order.
    end = groups * width
    least = values[:, :end].reshape(len(values), width, groups).min(axis=1)
    best = np.argpartition(least, few - 1, axis=1)[:, :few]
    columns = best[:, None] + groups * np.arange(width)[:, None]
    rest = np.tile(np.arange(end, values.shape[1]), (len(values), 1))
    columns = np.concatenate([columns.reshape(len(values), -1), rest], axis=1)
    inner = _smallest(np.take_along_axis(values, columns, axis=1), few, columns.size)
    return np.take_along_axis(columns, inner, axis=1)
