"""Transformations of a discriminator's inputs: packing, noise, augmentation."""

import dataclasses

import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.losses.schedule import require_weight, value_at
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class View(Strategy):
    """What a discriminator sees: several examples as one, augmented and noisy.

    x -> augmentation(x) + instance_noise e, e ~ N(0, I), for data and for fakes alike
    and in training only; before that, `packing` neighbors of the batch are
    concatenated along the last axis, in evaluation too.

    Noise makes the supports of data and fakes overlap, augmentation makes a small data
    set larger, and packing shows samples that are too much alike. All three make the
    discriminator's task harder, and gradients of a fake smaller.

    Args:
        packing: Positive integer, how many examples are judged jointly: the last axis
            of the discriminator's input must be as many times longer. An incomplete
            pack is filled up, which in evaluation may depend on the number of
            replicas. Defaults to `1`.
        instance_noise: Float or schedule, the standard deviation. Defaults to `0.0`.
        augmentation: A layer, such as `layers.RandomAffine(shift=0.1)`. Defaults to
            `None`.

    Example:

    >>> View(packing=2).pack(tf.constant([[1], [2], [3], [4]])).numpy()
    array([[1, 2],
           [3, 4]], dtype=int32)

    Reference: [Lin et al., 2018](https://arxiv.org/abs/1712.04086) (packing),
    [Sønderby et al., 2017](https://arxiv.org/abs/1610.04490) (noise),
    [Zhao et al., 2020](https://arxiv.org/abs/2006.10738) (augmentation)
    """

    packing: int = 1
    instance_noise: object = 0.0
    augmentation: object = None

    def __post_init__(self):
        """Checks the arguments."""
        require_int("packing", self.packing, 1)
        require_weight("instance_noise", self.instance_noise)

    def pack(self, x):
        """Concatenates neighbors of a batch along their last axis."""
        if self.packing == 1:
            return x
        *places, last = x.shape[1:]
        x = tf.reshape(x, (-1, self.packing, *places, last))
        x = tf.transpose(x, (0, *range(2, x.shape.rank - 1), 1, x.shape.rank - 1))
        return tf.reshape(x, (-1, *places, self.packing * last))

    def packed_shape(self, shape):
        """Returns the shape of packed examples of a shape, both without the batch."""
        *places, last = shape
        return (*places, self.packing * last)

    def fill(self, x):
        """Returns a batch of whole packs, the last one filled from the first rows."""
        if x is None or self.packing == 1:
            return x
        n = tf.shape(x)[0]
        return tf.gather(x, tf.range(-(-n // self.packing) * self.packing) % n)

    def perturb(self, x, step, next_seed):
        """Returns D's inputs in training: packed, augmented and noisy data.

        Args:
            x: A batch, packed.
            step: The step, for schedules.
            next_seed: A function without arguments that returns a stateless seed.
        """
        if self.augmentation is not None:
            x = self.augmentation(x, training=True)
        if self.instance_noise:
            noise = tf.random.stateless_normal(tf.shape(x), next_seed())
            x += value_at(self.instance_noise, step) * noise
        return x
