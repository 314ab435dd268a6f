"""Whether a generator finds every mode of a mixture."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ModeScore:
    """Which modes samples are in, and how well.

    Attributes:
        modes: How many modes have at least one sample of high quality.
        high_quality: The share of samples within three standard deviations of a mode.
        reverse_kl: KL, in nats, of the samples' distribution over the modes to the
            data's.
    """

    modes: int
    high_quality: float
    reverse_kl: float


def mode_score(samples, centres, sigma):
    """Returns the `ModeScore` of samples from a mixture of equal round modes.

    A sample belongs to the mode that is nearest.

    Args:
        samples: Array (n, dims).
        centres: Array (modes, dims).
        sigma: Float, the modes' standard deviation.

    Example:

    >>> density = data.Density2D.named("grid25")
    >>> x = density.sample(2500, seed=0)
    >>> mode_score(x, density.centres, density.sigma).modes
    25

    Reference: [Lin et al., 2018](https://arxiv.org/abs/1712.04086)
    """
    samples, centres = np.asarray(samples, "float64"), np.asarray(centres, "float64")
    squares = np.square(samples[:, None] - centres).sum(axis=-1)
    nearest, least = squares.argmin(axis=1), squares.min(axis=1)
    good = least <= (3.0 * sigma) ** 2
    return ModeScore(
        modes=len(np.unique(nearest[good])),
        high_quality=float(good.mean()),
        reverse_kl=class_divergence(nearest, len(centres)),
    )


def class_divergence(found, classes, shares=None):
    """Returns the KL, in nats, of classes that were found to the shares of all.

    Args:
        found: Integers (n,), the class of each sample.
        classes: How many classes there are.
        shares: Vector of the classes' shares. Defaults to `None`: equal ones.

    Example:

    >>> class_divergence([0, 1, 2, 3], 4), round(class_divergence([0, 0], 4), 4)
    (0.0, 1.3863)
    """
    wanted = np.full(classes, 1.0 / classes) if shares is None else np.asarray(shares)
    got = np.bincount(found, minlength=classes) / len(found)
    seen = got > 0
    return float(np.sum(got[seen] * np.log(got[seen] / wanted[seen])))
