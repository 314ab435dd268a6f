"""Likelihoods of data given a decoder's output."""

import dataclasses
import math

import tensorflow as tf

from keras_gen.losses.strategy import Strategy


def _sum_over_data(values):
    return tf.reduce_sum(values, axis=tf.range(1, tf.rank(values)))


@dataclasses.dataclass(frozen=True)
class Bernoulli(Strategy):
    """Each value is one with probability sigmoid(output).

    log p(x) = sum_i x_i log s_i + (1 - x_i) log(1 - s_i), in nats, computed from the
    logits. Values between 0 and 1 are accepted as expectations of binary ones, as is
    customary; the result is then a cross-entropy, no likelihood.

    Example:

    >>> float(Bernoulli().log_prob(tf.zeros((1, 2)), tf.ones((1, 2)))[0])
    -1.3862943649291992
    """

    def log_prob(self, outputs, x):
        """Returns the log-likelihood of each example."""
        outputs = tf.cast(outputs, "float32")
        return -_sum_over_data(
            tf.nn.sigmoid_cross_entropy_with_logits(
                labels=tf.cast(x, "float32"), logits=outputs
            )
        )

    def mean(self, outputs):
        """Returns the expected data."""
        return tf.sigmoid(tf.cast(outputs, "float32"))


@dataclasses.dataclass(frozen=True)
class Gaussian(Strategy):
    """Each value is normal about the output: x ~ N(output, scale^2).

    log p(x) = -sum_i ((x_i - m_i) / scale)^2 / 2 + log(scale sqrt(2 pi)). The scale
    weighs reconstruction against divergence: with 1 and data in [0, 1] the divergence
    wins and samples blur. The output is in the data's range, [0, 1] for images.

    Args:
        scale: Positive float. Defaults to `0.1`.

    Example:

    >>> float(Gaussian(1.0).log_prob(tf.zeros((1, 2)), tf.zeros((1, 2)))[0])
    -1.8378770351409912
    """

    scale: float = 0.1

    def __post_init__(self):
        """Checks the arguments."""
        if self.scale <= 0:
            raise ValueError(
                f"Argument `scale` must be positive. Received: scale={self.scale}"
            )

    def log_prob(self, outputs, x):
        """Returns the log-likelihood of each example."""
        error = (tf.cast(x, "float32") - tf.cast(outputs, "float32")) / self.scale
        constant = math.log(self.scale) + 0.5 * math.log(2.0 * math.pi)
        return -_sum_over_data(0.5 * tf.square(error) + constant)

    def mean(self, outputs):
        """Returns the expected data; images are kept in [0, 1]."""
        outputs = tf.cast(outputs, "float32")
        if len(outputs.shape) == 4:
            return tf.clip_by_value(outputs, 0.0, 1.0)
        return outputs
