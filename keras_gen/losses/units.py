"""Units of Boltzmann machines: what a value of the data is, given its logits."""

import dataclasses
import math

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class Units(Strategy):
    """A layer of independent units, an exponential family of statistics s(x).

    p(x) = exp(a . s(x) - e(x)) / Z(a), with logits a, which a Boltzmann machine's other
    layer decides. `s(x)`, a vector, is what the machine's kernel multiplies.
    """

    @property
    def levels(self):
        """How many values a unit has; `None` for any number."""
        return None

    @property
    def numbers(self):
        """How many statistics each value of the data has."""
        return 1

    def statistics(self, x):
        """Returns s(x), (batch, statistics), of data on levels, (batch, values)."""
        return x

    def values(self, statistics):
        """Returns the data of statistics."""
        return statistics

    def energy(self, statistics):
        """Returns e(x), (batch,): zero for units of a few levels."""
        return tf.zeros_like(statistics[..., 0])

    def mean(self, logits):
        """Returns the expected statistics."""
        raise NotImplementedError

    def logits(self, mean):
        """Returns logits whose expected statistics these are, within a margin."""
        raise NotImplementedError

    def draw(self, logits, seed, temperature=1.0):
        """Returns the statistics of draws from p(x)^(1/temperature).

        Args:
            logits: Tensor (batch, statistics).
            seed: A stateless seed of shape (2,).
            temperature: Float. Defaults to `1.0`.
        """
        raise NotImplementedError

    def log_partition(self, logits):
        """Returns log Z(a), the log of a sum or an integral, (batch,)."""
        raise NotImplementedError


# Means are kept this far from where logits are infinite: the share of one example of
# two thousand.
_MARGIN = 5e-4


@dataclasses.dataclass(frozen=True)
class BernoulliUnits(Units):
    """Units that are zero or one, p(1) = sigmoid(a).

    Data between 0 and 1 are taken as the probabilities of binary ones.

    Example:

    >>> BernoulliUnits().mean(tf.zeros((1, 2))).numpy().tolist()
    [[0.5, 0.5]]
    """

    @property
    def levels(self):
        """Two."""
        return 2

    def mean(self, logits):
        """Returns the probabilities of ones."""
        return tf.sigmoid(logits)

    def logits(self, mean):
        """Returns the logits of probabilities."""
        mean = tf.clip_by_value(mean, _MARGIN, 1.0 - _MARGIN)
        return tf.math.log(mean) - tf.math.log1p(-mean)

    def draw(self, logits, seed, temperature=1.0):
        """Returns zeros and ones."""
        uniform = tf.random.stateless_uniform(tf.shape(logits), seed)
        return tf.cast(uniform < tf.sigmoid(logits / temperature), logits.dtype)

    def log_partition(self, logits):
        """Returns sum_i log(1 + exp(a_i))."""
        return tf.reduce_sum(tf.nn.softplus(logits), axis=-1)


@dataclasses.dataclass(frozen=True)
class GaussianUnits(Units):
    """Units that are real numbers, x ~ N(scale a, scale^2).

    s(x) = x / scale, e(x) = |s|^2 / 2. Standardize the data: where their standard
    deviation is far from the scale, nothing is learned, or learning diverges. It takes
    a learning rate ten to a hundred times smaller than binary units do.

    Args:
        scale: Positive float, the standard deviation given the hidden units. Defaults
            to `1.0`.
    """

    scale: float = 1.0

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.scale > 0, "scale", "positive", self.scale)

    def statistics(self, x):
        """Returns data in units of the scale."""
        return x / self.scale

    def values(self, statistics):
        """Returns the data of statistics."""
        return statistics * self.scale

    def energy(self, statistics):
        """Returns half the sum of squares."""
        return 0.5 * tf.reduce_sum(tf.square(statistics), axis=-1)

    def mean(self, logits):
        """Returns the logits, which are the means."""
        return logits

    def logits(self, mean):
        """Returns the means, which are the logits."""
        return mean

    def draw(self, logits, seed, temperature=1.0):
        """Returns Gaussian draws."""
        noise = tf.random.stateless_normal(tf.shape(logits), seed)
        return logits + tf.sqrt(temperature) * noise

    def log_partition(self, logits):
        """Returns the log of the integral over the data."""
        constant = 0.5 * math.log(2.0 * math.pi) + math.log(self.scale)
        return tf.reduce_sum(0.5 * tf.square(logits) + constant, axis=-1)


@dataclasses.dataclass(frozen=True)
class CategoricalUnits(Units):
    """Units of several levels without an order, p(k) = softmax(a)_k.

    s(x) has a number for each level, one of which is 1.

    Args:
        levels: How many, at least 2.

    Example:

    >>> CategoricalUnits(3).statistics(tf.constant([[0.0, 0.5]])).numpy().tolist()
    [[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]
    """

    levels: int = 2

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.levels > 1, "levels", "at least 2", self.levels)

    @property
    def numbers(self):
        """One for each level."""
        return self.levels

    def statistics(self, x):
        """Returns one of each value's levels: 1 for k, of data k / (levels - 1)."""
        k = tf.cast(tf.round(x * (self.levels - 1)), "int32")
        ones = tf.one_hot(k, self.levels)
        return tf.reshape(ones, tf.concat([tf.shape(x)[:-1], [-1]], axis=0))

    def values(self, statistics):
        """Returns k / (levels - 1); of expectations, the expected value."""
        level = tf.range(self.levels, dtype="float32") / (self.levels - 1)
        return tf.reduce_sum(self._apart(statistics) * level, axis=-1)

    def mean(self, logits):
        """Returns the probabilities of levels."""
        return self._together(tf.nn.softmax(self._apart(logits)))

    def logits(self, mean):
        """Returns the logarithms of probabilities."""
        return tf.math.log(tf.maximum(mean, _MARGIN))

    def draw(self, logits, seed, temperature=1.0):
        """Returns one level of each value, by the largest of perturbed logits."""
        uniform = tf.random.stateless_uniform(tf.shape(logits), seed, minval=1e-20)
        perturbed = logits / temperature - tf.math.log(-tf.math.log(uniform))
        level = tf.argmax(self._apart(perturbed), axis=-1)
        return self._together(tf.one_hot(level, self.levels))

    def log_partition(self, logits):
        """Returns the sum over values of their levels' logsumexp."""
        return tf.reduce_sum(tf.reduce_logsumexp(self._apart(logits), axis=-1), -1)

    def _apart(self, statistics):
        """Returns statistics (..., values * levels) as (..., values, levels)."""
        shape = tf.concat([tf.shape(statistics)[:-1], [-1, self.levels]], axis=0)
        return tf.reshape(statistics, shape)

    def _together(self, x):
        return tf.reshape(x, tf.concat([tf.shape(x)[:-2], [-1]], axis=0))
