"""Divergences between distributions in closed form."""

import tensorflow as tf


def gaussian_kl(mean, log_var):
    """Returns KL(N(mean, exp(log_var)) || N(0, 1)) for each element.

    KL = (exp(log_var) + mean^2 - 1 - log_var) / 2, in nats. Sum it over the latent
    dimensions and average it over the batch: that is the scale of the ELBO.

    Args:
        mean: Tensor.
        log_var: Tensor of the same shape.

    Example:

    >>> float(gaussian_kl(tf.constant(1.0), tf.constant(0.0)))
    0.5

    Reference: [Kingma and Welling, 2014](https://arxiv.org/abs/1312.6114)
    """
    return 0.5 * (tf.exp(log_var) + tf.square(mean) - 1.0 - log_var)
