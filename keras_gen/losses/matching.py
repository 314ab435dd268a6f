"""Distances of two batches in the features of a network."""

import tensorflow as tf

from keras_gen.losses.mean import batch_mean
from keras_gen.losses.replicas import global_mean


def pair_matching(real, fake, sample_weight=None):
    """Returns 1/2 E |real_i - fake_i|^2: each example against its own counterpart.

    That is minus the log-likelihood of real under N(fake, I), up to a constant. Sums
    over an example's values, means over the batch.

    Args:
        real: Tensor (batch, ...).
        fake: Tensor of the same shape.
        sample_weight: Tensor (batch,). Defaults to `None`: all count the same.

    Example:

    >>> float(pair_matching(tf.zeros((5, 2)), tf.ones((5, 2))))
    1.0

    Reference: [Larsen et al., 2016](https://arxiv.org/abs/1512.09300)
    """
    squares = tf.reshape(tf.square(real - fake), (tf.shape(real)[0], -1))
    return 0.5 * batch_mean(tf.reduce_sum(squares, axis=-1), sample_weight)


def mean_matching(real, fake):
    """Returns 1/2 |E real - E fake|^2, the means being those of the global batch.

    A generator that matches the means of a discriminator's features gets a gradient
    where its logits are saturated.

    Args:
        real: Tensor (batch, features).
        fake: Tensor (batch, features).

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """
    return 0.5 * tf.reduce_sum(tf.square(global_mean(real) - global_mean(fake)))


def class_mean_matching(real, fake, labels):
    """Returns 1/2 sum over classes c of |E real_c - E fake_c|^2.

    The means are those of the examples of a class in the global batch; a class that is
    not in it counts nothing.

    Args:
        real: Tensor (batch, features).
        fake: Tensor (batch, features), of the same classes.
        labels: One-hot vectors (batch, classes).

    Reference: [Bao et al., 2017](https://arxiv.org/abs/1703.10155)
    """
    sums = tf.matmul(labels, real - fake, transpose_a=True)
    counts = tf.reduce_sum(labels, axis=0)
    # Means over the replicas: their quotient is that of the sums over all examples.
    sums, counts = global_mean(sums[None]), global_mean(counts[None])
    means = tf.math.divide_no_nan(sums, counts[:, None])
    return 0.5 * tf.reduce_sum(tf.square(means))
