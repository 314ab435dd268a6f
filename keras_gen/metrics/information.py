"""Use of the latents: active units, KL by dimension, mutual information."""

import math

import numpy as np

from keras_gen.arguments import require_argument, require_int
from keras_gen.metrics.sample import finite_matrix

_NOISE = 271_828


def active_units(means, threshold=0.01):
    """Returns how many dimensions of the posterior mean follow the data.

    active = #{d : Var_x(E[z_d | x]) > threshold}

    The posterior of a dimension that the decoder ignores collapses to the prior, and
    its mean is constant: most are either far above the threshold or far below. It
    counts dimensions; `kl_per_dimension` measures how much they carry.

    Args:
        means: Array (n, dimensions), the posterior means of data.
        threshold: A variance. Defaults to 0.01, as in published numbers.

    Example:

    >>> active_units([[0.0, 1.0, 0.01], [0.0, -1.0, -0.01]])
    1

    Reference: [Burda et al., 2016](https://arxiv.org/abs/1509.00519)
    """
    return int(np.sum(finite_matrix("means", means).var(axis=0) > threshold))


def kl_per_dimension(mean, log_var):
    """Returns the mean over data of KL(q(z_d | x) || p(z_d)), in nats.

    KL_d = mean_x (exp(log_var_d) + mean_d^2 - 1 - log_var_d) / 2

    The rate that each dimension costs: 0 for one that has collapsed. The sum is the
    ELBO's KL where the prior is a standard Gaussian.

    Args:
        mean: Array (n, dimensions), the means of Gaussian posteriors.
        log_var: Array of the same shape, the logarithms of their variances.

    Returns:
        Array (dimensions,).

    Example:

    >>> kl_per_dimension([[1.0, 0.0], [-1.0, 0.0]], np.zeros((2, 2)))
    array([0.5, 0. ])

    Reference: [Kingma and Welling, 2014](https://arxiv.org/abs/1312.6114)
    """
    mean, log_var = _posterior(mean, log_var)
    return np.mean(0.5 * (np.exp(log_var) + mean**2 - 1 - log_var), axis=0)


def mutual_information(mean, log_var, z=None, *, seed=0, block=1000):
    """Returns an estimate of the mutual information of data and latents, in nats.

    I_q(x; z) = mean_i (log q(z_i | x_i) - log((1 / n) sum_j q(z_i | x_j)))

    The ELBO's KL is the sum of this, which the decoder can use, and KL(q(z) || p(z)),
    which makes samples worse. The estimate is at most log(n), and reaches that for all
    latents that tell the n examples apart: trust values well below it.

    Args:
        mean: Array (n, dimensions), the means of Gaussian posteriors.
        log_var: Array of the same shape, the logarithms of their variances.
        z: Array of the same shape, one draw from each posterior. Defaults to `None`:
            drawn from `seed`.
        seed: Integer. Defaults to 0.
        block: How many draws are compared with all posteriors at once; memory is a few
            times 8 n block bytes. Defaults to 1000.

    Example:

    >>> mean = np.arange(4.0)[:, None]
    >>> bool(np.isclose(mutual_information(mean, np.full((4, 1), -20.0)), np.log(4)))
    True

    Reference: [Hoffman and Johnson, 2016](http://approximateinference.org/accepted/HoffmanJohnson2016.pdf)
    """
    mean, log_var = _posterior(mean, log_var)
    require_int("block", block, least=1)
    if z is None:
        # Another stream than that of means drawn from the same seed.
        noise = np.random.default_rng((seed, _NOISE)).standard_normal(mean.shape)
        z = mean + np.exp(0.5 * log_var) * noise
    z = finite_matrix("z", z)
    _same_shape("z", z, mean)
    ratios = [
        _log_ratio(z, mean, log_var, np.arange(start, min(start + block, len(z))))
        for start in range(0, len(z), block)
    ]
    return float(np.mean(np.concatenate(ratios)))


def _log_ratio(z, mean, log_var, rows):
    """Returns log(q(z_i | x_i) / q(z_i)) for these rows."""
    precision = np.exp(-log_var)
    constant = (log_var + mean**2 * precision).sum(axis=1)
    z = z[rows]
    # With squares expanded: three matrix products instead of an (n, n, d) array.
    log_q = z @ (mean * precision).T - 0.5 * (z**2 @ precision.T + constant)
    own, peak = log_q[np.arange(len(rows)), rows], log_q.max(axis=1)
    # In place: less than half of the time of SciPy's logsumexp.
    np.exp(np.subtract(log_q, peak[:, None], out=log_q), out=log_q)
    return math.log(len(mean)) + own - peak - np.log(log_q.sum(axis=1))


def _posterior(mean, log_var):
    mean, log_var = finite_matrix("mean", mean), finite_matrix("log_var", log_var)
    _same_shape("log_var", log_var, mean)
    return mean, log_var


def _same_shape(name, array, mean):
    fits = array.shape == mean.shape
    require_argument(fits, name, f"of the mean's shape, {mean.shape}", array.shape)
