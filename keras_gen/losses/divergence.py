"""Divergences between posterior and prior, and their variants."""

import dataclasses
import math

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.losses.mean import batch_mean
from keras_gen.losses.replicas import first_row, gather, global_mean
from keras_gen.losses.schedule import Schedule, require_weight, value_at
from keras_gen.strategy import Strategy


def gaussian_kl(mean, log_var, prior_mean=0.0, prior_log_var=0.0):
    """Returns KL(N(mean, exp(log_var)) || prior) for each element, in closed form.

    KL = (exp(v - w) + (m - n)^2 exp(-w) - 1 - (v - w)) / 2, in nats, for a posterior
    N(m, exp(v)) and a prior N(n, exp(w)). Sum it over the latent dimensions and
    average it over the batch: that is the scale of the ELBO.

    Args:
        mean: Tensor.
        log_var: Tensor of the same shape.
        prior_mean: Tensor or float. Defaults to `0.0`.
        prior_log_var: Tensor or float. Defaults to `0.0`.

    Example:

    >>> float(gaussian_kl(tf.constant(1.0), tf.constant(0.0)))
    0.5

    Reference: [Kingma and Welling, 2014](https://arxiv.org/abs/1312.6114)
    """
    mean = tf.convert_to_tensor(mean)
    prior_log_var = tf.convert_to_tensor(prior_log_var, mean.dtype)
    ratio = log_var - prior_log_var
    distance = tf.square(mean - prior_mean) * tf.exp(-prior_log_var)
    return 0.5 * (tf.exp(ratio) + distance - 1.0 - ratio)


def gaussian_log_prob(z, mean, log_var):
    """Returns log N(z; mean, exp(log_var)) for each element.

    Args:
        z: Tensor.
        mean: Tensor that broadcasts with `z`.
        log_var: Tensor that broadcasts with `z`.
    """
    z = tf.convert_to_tensor(z)
    log_var = tf.convert_to_tensor(log_var, z.dtype)
    squares = tf.square(z - mean) * tf.exp(-log_var)
    return -0.5 * (math.log(2.0 * math.pi) + log_var + squares)


@dataclasses.dataclass(frozen=True)
class Divergence(Strategy):
    """What a variational model adds to the reconstruction's loss.

    It is called with a posterior that has `mean` and `log_var`, both (batch, dims),
    draws z of shape (particles, batch, dims), the divergence `kl` (batch, dims) of
    each dimension, and the model's step. With a flow in the posterior `kl` is one
    estimate for all dimensions, (batch, 1). Means over the batch, sums over dimensions.
    Weights of the examples are given only where there are any, and never to one that
    `couples_batch`, as all do that transform the batch's mean or estimate q(z) from it.
    """

    def __call__(self, posterior, z, kl, step, sample_weight=None):
        """Returns a scalar."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class KL(Divergence):
    """beta * KL(q(z|x) || p(z)): with beta 1 the negative ELBO's own term.

    Args:
        beta: Non-negative float or a schedule. Defaults to `1.0`.

    Example:

    >>> KL(beta=losses.LinearSchedule(0.0, 1.0, steps=1000))  # a warm-up
    KL(beta=LinearSchedule(start=0.0, end=1.0, steps=1000))

    Reference: [Higgins et al., 2017](https://openreview.net/forum?id=Sy2fzU9gl)
    """

    beta: float | Schedule = 1.0

    def __post_init__(self):
        """Checks the arguments."""
        require_weight("beta", self.beta)

    def __call__(self, posterior, z, kl, step, sample_weight=None):
        """Returns the weighted mean of the sum over dimensions."""
        mean = batch_mean(tf.reduce_sum(kl, axis=-1), sample_weight)
        return value_at(self.beta, step) * mean


@dataclasses.dataclass(frozen=True)
class CapacityKL(Divergence):
    """gamma * |KL(q(z|x) || p(z)) - capacity|: a code of a chosen size, in nats.

    A capacity that rises slowly lets one factor after the other into the code.

    Args:
        capacity: Non-negative float or a schedule.
        gamma: Non-negative float or a schedule. Defaults to `1000.0`.

    Reference: [Burgess et al., 2018](https://arxiv.org/abs/1804.03599)
    """

    capacity: float | Schedule
    gamma: float | Schedule = 1000.0

    couples_batch = True

    def __post_init__(self):
        """Checks the arguments."""
        require_weight("capacity", self.capacity)
        require_weight("gamma", self.gamma)

    def __call__(self, posterior, z, kl, step):
        """Returns the weighted distance of the batch's mean from the capacity."""
        total = global_mean(tf.reduce_sum(kl, axis=-1))
        distance = tf.abs(total - value_at(self.capacity, step))
        return value_at(self.gamma, step) * distance


@dataclasses.dataclass(frozen=True)
class FreeBits(Divergence):
    """sum over dimensions of max(nats, mean over the batch of KL).

    Each dimension may carry `nats` without cost, so that none is pressed to zero
    before the decoder has learned to use it: a cure for posterior collapse. The mean
    is over the global batch. With a flow in the posterior all dimensions are one.

    Args:
        nats: Non-negative float or a schedule, for each dimension. Defaults to `0.1`.
        beta: Non-negative float or a schedule. Defaults to `1.0`.

    Reference: [Kingma et al., 2016](https://arxiv.org/abs/1606.04934)
    """

    nats: float | Schedule = 0.1
    beta: float | Schedule = 1.0

    couples_batch = True

    def __post_init__(self):
        """Checks the arguments."""
        require_weight("nats", self.nats)
        require_weight("beta", self.beta)

    def __call__(self, posterior, z, kl, step):
        """Returns the weighted sum of what lies above the free amount, and of it."""
        paid = tf.maximum(global_mean(kl), value_at(self.nats, step))
        return value_at(self.beta, step) * tf.reduce_sum(paid)


@dataclasses.dataclass(frozen=True)
class TotalCorrelation(Divergence):
    """The KL term taken apart, and its parts weighted: beta-TCVAE.

    alpha I(x; z) + beta KL(q(z) || prod_d q(z_d)) + gamma sum_d KL(q(z_d) || p(z_d)).
    With all weights one it is the KL term in expectation. The middle part, the total
    correlation, is what independent dimensions have none of; weighing it alone costs
    less reconstruction than a `KL(beta)`.

    q(z), the average of q(z|x) over the N examples of the dataset, is estimated from
    the M of the global batch: q(z_i) ~ q(z_i|x_i) / N + (1 - 1/N) mean over j != i of
    q(z_i|x_j). That is unbiased for the density (its logarithm is not, quite); weights
    that forget N, as most code has, shift the total correlation by (dims - 1) log N.

    Args:
        examples: N, the number of examples in the dataset.
        alpha: Non-negative float or a schedule. Defaults to `1.0`.
        beta: Non-negative float or a schedule. Defaults to `6.0`.
        gamma: Non-negative float or a schedule. Defaults to `1.0`.

    Reference: [Chen et al., 2018](https://arxiv.org/abs/1802.04942)
    """

    examples: int
    alpha: float | Schedule = 1.0
    beta: float | Schedule = 6.0
    gamma: float | Schedule = 1.0

    couples_batch = True

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.examples > 1, "examples", "at least 2", self.examples)
        for name in ("alpha", "beta", "gamma"):
            require_weight(name, getattr(self, name))

    def __call__(self, posterior, z, kl, step):
        """Returns the weighted sum of the parts."""
        weights = (value_at(w, step) for w in (self.alpha, self.beta, self.gamma))
        parts = self.parts(posterior, z[0])
        return tf.add_n([w * part for w, part in zip(weights, parts, strict=True)])

    def parts(self, posterior, z):
        """Returns mutual information, total correlation, dimension-wise divergence.

        Args:
            posterior: As for a call; without flow, and with the prior N(0, I).
            z: One draw for each example, (batch, dims).
        """
        own = gaussian_log_prob(z, posterior.mean, posterior.log_var)
        mean, log_var = gather(posterior.mean), gather(posterior.log_var)
        others = gaussian_log_prob(z[:, None], mean[None], log_var[None])
        weights = self._log_weights(z, tf.shape(mean)[0])
        log_q = tf.reduce_logsumexp(tf.reduce_sum(others, axis=-1) + weights, axis=1)
        log_each = tf.reduce_logsumexp(others + weights[..., None], axis=1)
        log_product = tf.reduce_sum(log_each, axis=-1)
        log_prior = tf.reduce_sum(gaussian_log_prob(z, 0.0, 0.0), axis=-1)
        return (
            tf.reduce_mean(tf.reduce_sum(own, axis=-1) - log_q),
            tf.reduce_mean(log_q - log_product),
            tf.reduce_mean(log_product - log_prior),
        )

    def _log_weights(self, z, columns):
        """Returns log weights (rows, columns) of the global batch's posteriors."""
        rows = first_row(z) + tf.range(tf.shape(z)[0])
        mine = tf.one_hot(rows, columns)
        rest = tf.cast(columns - 1, "float32")
        other = math.log1p(-1.0 / self.examples) - tf.math.log(tf.maximum(rest, 1.0))
        return tf.where(mine > 0, -math.log(self.examples), other)
