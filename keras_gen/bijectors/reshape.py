"""Maps that move numbers about and change none."""

import math

import keras
import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.bijectors.base import BijectiveLayer


class VolumePreserving(BijectiveLayer):
    """The base of maps whose volume stays: `to_data(z)` and `to_codes(x)`."""

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x, and zeros."""
        return self.to_data(z), self.constant_volume(0.0, z)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z, and zeros."""
        return self.to_codes(x), self.constant_volume(0.0, x)


@keras.saving.register_keras_serializable("keras_gen")
class Squeeze(VolumePreserving):
    """Trades resolution for channels: (h, w, c) becomes (h/2, w/2, 4c).

    Each 2x2 block of pixels becomes one pixel of four times the channels; of a
    sequence, each group of numbers in a row becomes one place. The log-determinant is
    zero.

    Args:
        factor: Side of a block, or length of a group. Defaults to `2`.
        event_ndims: 3 for images, 2 for sequences (steps, channels). Defaults to `3`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> Squeeze()(tf.ones((1, 4, 4, 3))).shape
    TensorShape([1, 2, 2, 12])

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """

    def __init__(self, factor=2, event_ndims=3, **kwargs):
        super().__init__(event_ndims=event_ndims, **kwargs)
        require_argument(
            event_ndims in (2, 3),
            "event_ndims",
            "3 for images or 2 for sequences",
            event_ndims,
        )
        require_argument(factor >= 2, "factor", "at least 2", factor)
        self.factor = factor
        self.built = True

    def latent_shape(self, shape):
        """Returns (h/2, w/2, 4c)."""
        *sides, channels = shape
        if any(side % self.factor for side in sides):
            raise ValueError(
                f"{'An image' if len(sides) == 2 else 'A sequence'} must have "
                f"{'even sides' if self.factor == 2 else f'sides of {self.factor} n'} "
                f"to be squeezed. Received: shape={shape}"
            )
        sides = (side // self.factor for side in sides)
        return (*sides, channels * self.factor ** (self.event_ndims - 1))

    def data_shape(self, shape):
        """Returns (2h, 2w, c/4)."""
        *sides, channels = shape
        sides = (side * self.factor for side in sides)
        return (*sides, channels // self.factor ** (self.event_ndims - 1))

    def to_data(self, z):
        """Returns the image of the larger sides."""
        if self.event_ndims == 3:
            return tf.nn.depth_to_space(z, self.factor)
        steps, channels = tf.shape(z)[1], z.shape[-1]
        return tf.reshape(z, (-1, steps * self.factor, channels // self.factor))

    def to_codes(self, x):
        """Returns the image of the smaller sides."""
        if self.event_ndims == 3:
            return tf.nn.space_to_depth(x, self.factor)
        steps, channels = tf.shape(x)[1], x.shape[-1]
        return tf.reshape(x, (-1, steps // self.factor, channels * self.factor))


@keras.saving.register_keras_serializable("keras_gen")
class Flatten(VolumePreserving):
    """Makes a vector of an image. The log-determinant is zero.

    Args:
        shape: Tuple, the data's shape without the batch.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> Flatten((4, 4, 3))(tf.ones((2, 4, 4, 3))).shape
    TensorShape([2, 48])
    """

    def __init__(self, shape, **kwargs):
        super().__init__(event_ndims=len(shape), latent_ndims=1, **kwargs)
        self.shape = tuple(shape)
        self.built = True

    def latent_shape(self, shape):
        """Returns (numbers,)."""
        return (math.prod(shape),)

    def data_shape(self, shape):
        """Returns the data's shape."""
        return self.shape

    def to_data(self, z):
        """Returns the image."""
        return tf.reshape(z, (-1, *self.shape))

    def to_codes(self, x):
        """Returns the vector."""
        return tf.reshape(x, (-1, math.prod(self.shape)))


@keras.saving.register_keras_serializable("keras_gen")
class Permutation(VolumePreserving):
    """Puts the numbers of the last axis in another order. The log-determinant is zero.

    Args:
        size: How many numbers the last axis has.
        order: `"reverse"`, `"alternate"` (every other number first, then the rest),
            an integer, the seed of a random order, or a list: number i of the code is
            number `order[i]` of the data. Defaults to `"reverse"`.
        event_ndims: How many axes make one example. Defaults to `1`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> Permutation(3)(tf.constant([[1.0, 2.0, 3.0]])).numpy()
    array([[3., 2., 1.]], dtype=float32)
    """

    def __init__(self, size, order="reverse", event_ndims=1, **kwargs):
        super().__init__(event_ndims=event_ndims, **kwargs)
        places = np.arange(size)
        if order == "reverse":
            places = places[::-1]
        elif order == "alternate":
            places = np.concatenate([places[::2], places[1::2]])
        elif isinstance(order, int):
            places = np.random.default_rng(order).permutation(size)
        elif isinstance(order, list | tuple) and sorted(order) == list(range(size)):
            places = np.array(order)
        else:
            raise ValueError(
                "Argument `order` must be 'reverse', 'alternate', a seed, or a "
                f"permutation of {size} numbers. Received: order={order}"
            )
        self.places = tuple(int(place) for place in places)
        self.built = True

    def to_data(self, z):
        """Returns the numbers in the data's order."""
        return tf.gather(z, np.argsort(self.places), axis=-1)

    def to_codes(self, x):
        """Returns the numbers in the code's order."""
        return tf.gather(x, np.array(self.places), axis=-1)
