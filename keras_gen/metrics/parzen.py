"""Parzen windows: a number that papers print as a likelihood."""

import numpy as np
from scipy.special import logsumexp


def parzen_log_likelihood(x, centres, sigma, batch_size=500):
    """Returns the log-density of examples under Gaussian windows, in nats.

    log p(x) = log (1/m) sum_j N(x; centre_j, sigma^2 I)

    With samples of a model as centres, this has been printed as the model's likelihood.
    It is none. In many dimensions no affordable number of windows comes near to the
    density, and the number does not rank models: on MNIST, pixels in [0, 1] and 10,000
    centres, real training images score 243 nats, k-means centres, which nobody would
    call a model of digits, 338, and a generative adversarial network 225. Print such
    controls beside it.

    Args:
        x: Examples (n, ...).
        centres: As many samples as can be had, (m, ...).
        sigma: Positive float, the windows' deviation, or a vector of such. See
            `choose_sigma`.
        batch_size: Examples at once. Defaults to `500`.

    Returns:
        Array (n,), or (sigmas, n) for a vector.

    Example:

    >>> parzen_log_likelihood(np.zeros((1, 2)), np.zeros((3, 2)), 1.0)  # -log(2 pi)
    array([-1.837...])

    Reference: [Theis et al., 2016](https://arxiv.org/abs/1511.01844)
    """
    x, centres = _rows("x", x), _rows("centres", centres)
    if x.shape[1] != centres.shape[1]:
        raise ValueError(
            "Arguments `x` and `centres` must hold examples of one shape. Received: "
            f"{x.shape[1]} and {centres.shape[1]} numbers an example"
        )
    sigmas = np.atleast_1d(np.asarray(sigma, "float64"))
    if sigmas.ndim != 1 or not (sigmas > 0.0).all():
        raise ValueError(f"Argument `sigma` must be positive. Received: sigma={sigma}")
    norms = np.sum(np.square(centres), axis=1)
    constant = np.log(len(centres)) + 0.5 * x.shape[1] * np.log(2.0 * np.pi)
    found = np.empty((len(sigmas), len(x)))
    for i in range(0, len(x), batch_size):
        part = x[i : i + batch_size]
        squares = np.sum(np.square(part), axis=1)[:, None] + norms
        squares -= 2.0 * part @ centres.T
        for row, s in zip(found, sigmas, strict=True):
            windows = logsumexp(squares * (-0.5 / s**2), axis=1)
            row[i : i + batch_size] = windows - x.shape[1] * np.log(s) - constant
    return found[0] if np.ndim(sigma) == 0 else found


def choose_sigma(x, centres, sigmas=None, batch_size=500):
    """Returns the deviation whose windows give unseen examples the most likelihood.

    Args:
        x: Examples (n, ...) that are neither centres nor what is scored afterwards.
        centres: The windows' centres (m, ...).
        sigmas: What to choose from. Defaults to `None`: ten from 0.1 to 1, evenly
            spaced in their logarithms.
        batch_size: Examples at once. Defaults to `500`.

    Example:

    >>> points = np.random.default_rng(0).normal(0.0, 0.1, (600, 2))
    >>> float(choose_sigma(points[:300], points[300:], [0.001, 0.05, 1.0]))
    0.05
    """
    sigmas = np.logspace(-1.0, 0.0, 10) if sigmas is None else np.asarray(sigmas)
    likelihoods = parzen_log_likelihood(x, centres, sigmas, batch_size).mean(axis=1)
    return float(sigmas[np.argmax(likelihoods)])


def _rows(name, x):
    x = np.asarray(x, "float64")
    if x.ndim < 2 or not len(x):
        raise ValueError(
            f"Argument `{name}` must hold rows of numbers, (n, ...). "
            f"Received: shape {x.shape}"
        )
    return x.reshape(len(x), -1)
