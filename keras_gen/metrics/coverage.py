"""Precision, recall, density and coverage: how two sets of examples overlap."""

import keras
import numpy as np

from keras_gen.arguments import require_int
from keras_gen.metrics.estimate import Estimate, assign_groups
from keras_gen.metrics.neighbors import blocks, nearest, pairwise
from keras_gen.metrics.sample import SampleMetric, flatten_pair

_NAMES = ("precision", "recall", "density", "coverage")
_PARTS = 10


def precision_recall(real, generated, *, neighbors=5):
    """Returns precision, recall, density and coverage: quality and variety apart.

    Every example has a ball that reaches to its k-th neighbor of the same kind:

    precision = share of samples in some real example's ball
    recall = share of real examples in some sample's ball
    density = mean over samples of the number of real balls they are in, over k
    coverage = share of real examples with some sample in their ball

    A ball's surface is outside: a set of equal examples, whose balls have radius 0,
    scores 0 even when compared with itself.

    Samples of half of the classes keep precision and lose recall and coverage; blurred
    ones lose precision. An outlier's ball is large: stray real examples raise
    precision and stray samples recall, which hardly affects density and coverage. Two
    sets of one distribution have about density 1 and coverage 1 - 2^-k, but precision
    and recall that fall with the dimension: .47 for normal vectors of a thousand
    numbers. All four depend on the number of examples: compare sets of equal size.

    Examples share balls, and so are not independent. The standard errors come from ten
    parts of both sets, measured separately, and are at least those of independent
    examples. They are rough (to a third), unknown (NaN) below 2 (k + 1) examples in a
    part, and too small for samples that crowd into few balls.

    Args:
        real: Array (n, ...).
        generated: Array (m, ...).
        neighbors: k, to which neighbor a ball reaches. Defaults to `5`.

    Returns:
        {name: `Estimate`} with `precision`, `recall`, `density` and `coverage`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(2, 500, 2))
    >>> found = precision_recall(x[0], x[1][x[1, :, 0] > 0])  # one half of the plane
    >>> {name: round(float(value), 2) for name, value in found.items()}
    {'precision': 0.99, 'recall': 0.52, 'density': 1.01, 'coverage': 0.47}

    Reference: [Kynkäänniemi et al., 2019](https://arxiv.org/abs/1904.06991),
    [Naeem et al., 2020](https://arxiv.org/abs/2002.09797)
    """
    least = min(len(real), len(generated))
    if least <= neighbors:
        raise ValueError(
            f"{neighbors} neighbors take more than {neighbors} examples on each "
            f"side. Received: {len(real)} real and {len(generated)} generated"
        )
    real, generated = flatten_pair(real, generated)
    found = [Estimate.of_mean(x) for x in _measure(real, generated, neighbors)]
    errors = [np.nan] * len(found)
    if least // _PARTS >= 2 * (neighbors + 1):
        part = [assign_groups(len(x), _PARTS) for x in (real, generated)]
        parts = [
            [
                x.mean()
                for x in _measure(
                    real[part[0] == i], generated[part[1] == i], neighbors
                )
            ]
            for i in range(_PARTS)
        ]
        errors = np.std(parts, axis=0, ddof=1) / np.sqrt(_PARTS)
        # Small parts can all be at the same extreme.
        errors = np.maximum(errors, [x.standard_error for x in found])
    return {
        name: Estimate(x.value, float(error))
        for name, x, error in zip(_NAMES, found, errors, strict=True)
    }


def _measure(real, generated, neighbors):
    """Returns the vectors whose means are the four values."""
    around_real = nearest(real, k=neighbors)[0][:, -1:]
    around_generated = nearest(generated, k=neighbors)[0][:, -1]
    balls = np.zeros(len(generated), int)  # how many real balls a sample is in
    recalled, covered = np.zeros((2, len(real)), bool)
    center = generated.mean(axis=0, dtype="float64")
    y = generated - center
    lengths = np.square(y).sum(axis=1)
    y = np.column_stack([y, lengths, np.ones(len(y))]).T
    for rows in blocks(len(real), len(generated)):
        x = real[rows] - center
        # |x|^2 + |y|^2 - 2 x.y as one product.
        own = np.square(x).sum(axis=1)
        squares = np.column_stack([-2.0 * x, np.ones(len(x)), own]) @ y
        pairs = real[rows], generated, squares, lengths.max()
        inside = _inside(*pairs, around_real[rows])
        balls += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = _inside(*pairs, around_generated).any(axis=1)
    return balls > 0, recalled, balls / neighbors, covered


def _inside(real, generated, squares, length, radii):
    """Returns which pairs are nearer than a radius, with ties decided exactly."""
    limits = np.square(radii)
    inside = squares < limits
    margin = 4 * np.finfo("float64").eps * real.shape[1] * (limits + length)
    rows, columns = np.nonzero(np.abs(squares - limits) <= margin)
    radii = np.broadcast_to(radii, squares.shape)
    for some in blocks(len(rows), 2 * real.shape[1]):
        at = rows[some], columns[some]
        inside[at] = pairwise(real[at[0]], generated[at[1]]) < radii[at]
    return inside


@keras.saving.register_keras_serializable("keras_gen")
class PrecisionRecall(SampleMetric):
    """Precision, recall, density and coverage: quality and variety apart.

    See `precision_recall`.

    Args:
        neighbors: To which neighbor an example's ball reaches. Defaults to `5`.
        name: String. Defaults to `"precision_recall"`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(2, 300, 2))
    >>> metric = PrecisionRecall()
    >>> metric.set_reference(x[0])
    >>> metric.update_state(x[1] + 9.0)
    >>> metric.result()
    {'precision': 0.0, 'recall': 0.0, 'density': 0.0, 'coverage': 0.0}

    Reference: [Kynkäänniemi et al., 2019](https://arxiv.org/abs/1904.06991),
    [Naeem et al., 2020](https://arxiv.org/abs/2002.09797)
    """

    function = precision_recall

    def _check_options(self):
        require_int("neighbors", self.neighbors, least=1)

    @property
    def min_count(self):
        """Returns one more than a ball's neighbors."""
        return self.neighbors + 1
