"""How much of the samples the data cover, and of the data the samples."""

import keras
import numpy as np

from keras_gen.metrics.estimate import Estimate, dealt
from keras_gen.metrics.neighbors import (
    check_finite,
    check_widths,
    nearest,
    pairwise,
    slices,
)
from keras_gen.metrics.sample import Comparison

_NAMES = ("precision", "recall", "density", "coverage")
_PARTS = 10


def precision_recall(real, generated, neighbours=5):
    """Returns precision, recall, density and coverage: quality apart from variety.

    Around every example a ball reaches to its k-th neighbour of the same kind, R(x):

    precision = share of samples in some real example's ball
    recall = share of real examples in some sample's ball
    density = mean over samples of the number of real balls they are in, over k
    coverage = share of real examples with some sample in their ball

    What lies just at a ball's edge is outside: a set of equal examples, whose balls
    have no extent, has zeros even compared with itself.

    Samples of half of the classes keep the precision and lose recall and coverage;
    blurred ones lose the precision. A single outlier's ball is wide: stray real
    examples raise precision, stray samples recall, and density and coverage forgive
    them. Two sets of one distribution have density 1, and coverage 1 - 2^-k, nearly,
    but precision and recall that fall with the dimension: .47 for normal vectors of a
    thousand numbers. All four depend on how many examples there are; compare at equal
    numbers.

    Balls are shared, so that examples are not independent given them. The errors come
    from ten parts of both sets, measured apart, and are at least those of independent
    examples. They are rough (to a third), unknown (NaN) below 2 (k + 1) examples in a
    part, and too small for samples that crowd into few balls.

    Args:
        real: Array (n, ...).
        generated: Array (m, ...).
        neighbours: k, how many neighbours a ball reaches. Defaults to `5`.

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
    if least <= neighbours:
        raise ValueError(
            f"{neighbours} neighbours take more than {neighbours} examples on each "
            f"side. Received: {len(real)} real and {len(generated)} generated"
        )
    real, generated = (np.asarray(x).reshape(len(x), -1) for x in (real, generated))
    check_finite(real)
    check_finite(generated)
    check_widths(real, generated)
    found = [Estimate.of_mean(x) for x in _measure(real, generated, neighbours)]
    errors = [np.nan] * len(found)
    if least // _PARTS >= 2 * (neighbours + 1):
        part = [dealt(len(x), _PARTS) for x in (real, generated)]
        parts = [
            [
                x.mean()
                for x in _measure(
                    real[part[0] == i], generated[part[1] == i], neighbours
                )
            ]
            for i in range(_PARTS)
        ]
        errors = np.std(parts, axis=0, ddof=1) / np.sqrt(_PARTS)
        # Small parts can all be at the same end.
        errors = np.maximum(errors, [x.standard_error for x in found])
    return {
        name: Estimate(x.value, float(error))
        for name, x, error in zip(_NAMES, found, errors, strict=True)
    }


def _measure(real, generated, neighbours):
    """Returns the vectors of which the four values are the means."""
    around_real = nearest(real, k=neighbours)[0][:, -1:]
    around_generated = nearest(generated, k=neighbours)[0][:, -1]
    balls = np.zeros(len(generated), int)  # of real examples, that a sample is in
    recalled, covered = np.zeros((2, len(real)), bool)
    centre = generated.mean(axis=0, dtype="float64")
    y = generated - centre
    lengths = np.square(y).sum(axis=1)
    y = np.column_stack([y, lengths, np.ones(len(y))]).T
    for rows in slices(len(real), len(generated)):
        x = real[rows] - centre
        # |x|^2 + |y|^2 - 2 x.y as one product.
        own = np.square(x).sum(axis=1)
        squares = np.column_stack([-2.0 * x, np.ones(len(x)), own]) @ y
        pairs = real[rows], generated, squares, lengths.max()
        inside = _inside(*pairs, around_real[rows])
        balls += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = _inside(*pairs, around_generated).any(axis=1)
    return balls > 0, recalled, balls / neighbours, covered


def _inside(real, generated, squares, length, radii):
    """Returns which pairs are nearer than a radius, with ties decided exactly."""
    limits = np.square(radii)
    inside = squares < limits
    margin = 4 * np.finfo("float64").eps * real.shape[1] * (limits + length)
    rows, columns = np.nonzero(np.abs(squares - limits) <= margin)
    radii = np.broadcast_to(radii, squares.shape)
    for some in slices(len(rows), 2 * real.shape[1]):
        at = rows[some], columns[some]
        inside[at] = pairwise(real[at[0]], generated[at[1]]) < radii[at]
    return inside


@keras.saving.register_keras_serializable("keras_gen")
class PrecisionRecall(Comparison):
    """Precision, recall, density and coverage: quality apart from variety.

    See `precision_recall`.

    Args:
        neighbours: How many neighbours an example's ball reaches. Defaults to `5`.
        name: String. Defaults to `"precision_recall"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

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

    def __init__(self, neighbours=5, name="precision_recall", **kwargs):
        super().__init__(name=name, **kwargs)
        if neighbours < 1:
            raise ValueError(
                "Argument `neighbours` must be positive. "
                f"Received: neighbours={neighbours}"
            )
        self.neighbours = neighbours
        self.least = neighbours + 1

    def compare(self, real, generated):
        """Returns {name: `Estimate`} of the four."""
        return precision_recall(real.x, generated.x, self.neighbours)

    def get_config(self):
        """Returns the metric's configuration."""
        return {"neighbours": self.neighbours, "name": self.name}
