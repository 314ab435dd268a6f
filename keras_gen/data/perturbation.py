"""Perturbations of training data, for the background model of a likelihood ratio.

Each is a function of a batch and a stateless seed, for `Source.perturbed`.
"""

import dataclasses
import math

import tensorflow as tf

from keras_gen.arguments import require_int


@dataclasses.dataclass(frozen=True)
class Mutation:
    """Replaces values at random by others: shapes are lost, levels stay as frequent.

    With probability `rate`, a value becomes one of the levels, each equally likely.

    Args:
        rate: Float in [0, 1]. Defaults to `0.2`.
        levels: How many values there are. Defaults to `256`.

    Example:

    >>> x = tf.zeros((1, 8, 8, 1))
    >>> mutated = Mutation(rate=0.5)(x, (0, 1))
    >>> bool(0.3 < tf.reduce_mean(tf.cast(mutated > 0, "float32")) < 0.7)
    True

    Reference: [Ren et al., 2019](https://arxiv.org/abs/1906.02845)
    """

    rate: float = 0.2
    levels: int = 256

    def __post_init__(self):
        """Checks the arguments."""
        if not 0.0 <= self.rate <= 1.0:
            raise ValueError(
                f"Argument `rate` must be in [0, 1]. Received: rate={self.rate}"
            )
        require_int("levels", self.levels, least=2)

    def __call__(self, x, seed):
        """Returns a perturbed batch."""
        seeds = tf.random.experimental.stateless_split(seed, 2)
        shape, top = tf.shape(x), float(self.levels - 1)
        chosen = tf.random.stateless_uniform(shape, seeds[0]) < self.rate
        others = tf.random.stateless_uniform(
            shape, seeds[1], 0, self.levels, dtype="int32"
        )
        return tf.where(chosen, tf.cast(others, x.dtype) / top, x)


@dataclasses.dataclass(frozen=True)
class RandomSimplification:
    """Makes each image coarser and flatter by as much as chance will have it.

    The mean of blocks of b x b pixels, b a random divisor of the sides; then rounded to
    n gray values, log n uniform between those of 2 and `levels`. A model of such images
    knows every degree of simplicity, and little of any object: what it finds likely is
    likely because it is simple.

    Args:
        levels: How many values a pixel can have. Defaults to `256`.

    Example:

    >>> x = tf.random.stateless_uniform((3, 8, 8, 1), (0, 1))
    >>> RandomSimplification()(x, (0, 1)).shape
    TensorShape([3, 8, 8, 1])
    """

    levels: int = 256

    def __post_init__(self):
        """Checks the argument."""
        require_int("levels", self.levels, least=2)

    def __call__(self, x, seed):
        """Returns a perturbed batch of images."""
        seeds = tf.random.experimental.stateless_split(seed, 2)
        batch, height, width = tf.shape(x)[0], *x.shape[1:3]
        sides = math.gcd(height, width)
        sizes = [size for size in range(1, sides + 1) if sides % size == 0]
        coarse = tf.stack([_blocks(x, size) for size in sizes], axis=1)
        chosen = tf.random.stateless_uniform(
            (batch,), seeds[0], 0, len(sizes), dtype="int32"
        )
        x = tf.gather(coarse, chosen, batch_dims=1)
        u = tf.random.stateless_uniform((batch, 1, 1, 1), seeds[1])
        steps = tf.round(tf.exp(u * math.log(self.levels - 1)))
        top = float(self.levels - 1)
        return tf.round(tf.round(x * steps) / steps * top) / top


def _blocks(x, size):
    """Returns images whose blocks have one value each, their mean."""
    if size == 1:
        return x
    means = tf.nn.avg_pool2d(x, size, size, "VALID")
    return tf.repeat(tf.repeat(means, size, axis=1), size, axis=2)
