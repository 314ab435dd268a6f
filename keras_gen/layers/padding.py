"""Padding by what is inside.

The file needs Keras alone.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gen")
class ReflectionPadding(keras.layers.Layer):
    """Continues sequences, images or volumes beyond their edges by their reflection.

    y = (..., x[2], x[1], x[0], x[1], x[2], ...) along each side: the edge itself is not
    repeated. A convolution that follows without padding of its own sees no zeros, which
    are visible at the edges of images that a network draws. Sides must be longer than
    what is added to them.

    Args:
        size: How many places are added at either end of each side.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> y = ReflectionPadding(2)(keras.ops.array([[[1.0], [2.0], [3.0]]]))
    >>> keras.ops.convert_to_numpy(y)[0, :, 0]
    array([3., 2., 1., 2., 3., 2., 1.], dtype=float32)

    Reference: [Zhu et al., 2017](https://arxiv.org/abs/1703.10593)
    """

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        if size < 0:
            raise ValueError(
                f"Argument `size` must be non-negative. Received: size={size}"
            )
        self.size = int(size)

    def build(self, input_shape):
        """Checks that there is enough to reflect."""
        short = [s for s in input_shape[1:-1] if s is not None and s <= self.size]
        if short or not 3 <= len(input_shape) <= 5:
            raise ValueError(
                "The input must have the shape (batch, sides..., channels) with one to "
                f"three sides longer than {self.size}. Received: {tuple(input_shape)}"
            )

    def call(self, x):
        """Returns the padded input."""
        sides = [(self.size, self.size)] * (len(x.shape) - 2)
        return ops.pad(x, [(0, 0), *sides, (0, 0)], mode="reflect")

    def compute_output_shape(self, input_shape):
        """Returns the shape with longer sides."""
        batch, *sides, channels = input_shape
        sides = [None if s is None else s + 2 * self.size for s in sides]
        return (batch, *sides, channels)

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "size": self.size}
