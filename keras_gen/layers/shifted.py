"""Convolutions of what lies above, or above and to the left: no mask, no blind spot.

The file needs Keras, `configured.py`, `raster.py` and `skew.py`.
"""

import keras
from keras import ops

from keras_gen.layers.configured import Configured
from keras_gen.layers.raster import (
    CausalConvolution,
    Raster,
    RasterConvolution,
    RasterRows,
    zero_columns,
)
from keras_gen.layers.skew import shift_down


@keras.saving.register_keras_serializable("keras_gen")
class ShiftDown(Configured, keras.layers.Layer):
    """Moves images one row down: y[r] = x[r - 1], zeros in the first row.

    What follows sees whole rows, and none that is not finished.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> y = ShiftDown()(keras.ops.ones((1, 2, 1, 1)))
    >>> keras.ops.convert_to_numpy(y)[0, :, 0, 0]
    array([0., 1.], dtype=float32)

    Reference: [Salimans et al., 2017](https://arxiv.org/abs/1701.05517)
    """

    def call(self, x):
        """Moves the rows."""
        return shift_down(x)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable("keras_gen")
class ShiftRight(Raster, Configured, keras.layers.Layer):
    """Moves images one column to the right: y[r, c] = x[r, c - 1], zeros at c = 0.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> y = ShiftRight()(keras.ops.ones((1, 1, 2, 1)))
    >>> keras.ops.convert_to_numpy(y)[0, 0, :, 0]
    array([0., 1.], dtype=float32)

    Reference: [Salimans et al., 2017](https://arxiv.org/abs/1701.05517)
    """

    sees_itself = False

    def build(self, input_shape):
        """Notes how many channels there are."""
        self.channels = input_shape[-1]

    def call(self, x):
        """Moves the columns."""
        return ops.pad(x[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)))

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape

    def raster_start(self, batch, width):
        """Returns the column beyond the left edge: zeros."""
        edge = zero_columns(batch, 1, self.channels, self.compute_dtype)
        return (edge[:, 0],), None

    def raster_row(self, state, kept):
        """Begins at the left edge."""
        return state, None, state

    def raster_step(self, row, carried, x):
        """Returns the pixel before."""
        return carried[0], (x,), None


@keras.saving.register_keras_serializable("keras_gen")
class Upscale(Configured, keras.layers.Layer):
    """Makes four pixels of one, each from a quarter of its channels.

    y[2 r + a, 2 c + b] = x[r, c, (2 a + b) F : (2 a + b + 1) F]. Behind a convolution
    of 1x1 it is a transposed convolution of 2x2 and stride 2, which lets no pixel see
    a neighbor.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> y = Upscale()(keras.ops.reshape(keras.ops.arange(4.0), (1, 1, 1, 4)))
    >>> keras.ops.convert_to_numpy(y)[0, :, :, 0]
    array([[0., 1.],
           [2., 3.]], dtype=float32)
    """

    def call(self, x):
        """Rearranges the channels."""
        _, height, width, channels = ops.shape(x)
        x = ops.reshape(x, (-1, height, width, 2, 2, channels // 4))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, 2 * height, 2 * width, channels // 4))

    def compute_output_shape(self, input_shape):
        """Returns the shape of an image of twice the sides."""
        batch, height, width, channels = input_shape
        return batch, 2 * height, 2 * width, channels // 4

    def rows_of(self, x):
        """Returns the two rows that a row (batch, width, channels) becomes."""
        _, width, channels = ops.shape(x)
        halves = ops.split(x, 2, axis=-1)
        shape = -1, 2 * width, channels // 4
        return tuple(ops.reshape(half, shape) for half in halves)

    def pixels_of(self, x):
        """Returns the four pixels that one (batch, channels) becomes."""
        return tuple(ops.split(x, 4, axis=-1))


class _PlainConv2D(keras.layers.Conv2D):
    """A convolution that pads for itself: what else would move it is rejected.

    With a stride, every so many rows and columns are kept, the first ones included.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, **{"padding": "valid", **kwargs})
        if len(set(self.strides)) > 1:
            raise ValueError(
                "Argument `strides` must be the same for rows and columns. "
                f"Received: strides={self.strides}"
            )
        for name, only in _FIXED.items():
            if getattr(self, name) != only:
                raise ValueError(
                    f"Argument `{name}` must be {only}. "
                    f"Received: {name}={getattr(self, name)}"
                )

    def compute_output_shape(self, input_shape):
        """Returns the input's shape with other channels, and smaller by the stride."""
        batch, *sides, _ = input_shape
        sides = (None if n is None else -(-n // self.strides[0]) for n in sides)
        return batch, *sides, self.filters


@keras.saving.register_keras_serializable("keras_gen")
class DownConv2D(RasterRows, CausalConvolution, _PlainConv2D):
    """A convolution of a row and those above it, to both sides alike.

    y[r, c] = sum over u < height, v < width of x[r - u, c - half + v] K[-1 - u, v],
    half = (width - 1) / 2

    Behind `ShiftDown`, a stack of these sees all rows above a pixel in a growing
    triangle, and nothing of the pixel's own row.

    Args:
        filters: How many channels the output has.
        kernel_size: (height, width), the width odd.
        **kwargs: Arguments of `keras.layers.Conv2D`; padding and groups are rejected.

    Example:

    >>> layer = DownConv2D(1, (2, 3), kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(keras.ops.ones((1, 3, 3, 1))))[0, :, :, 0]
    array([[2., 3., 2.],
           [4., 6., 4.],
           [4., 6., 4.]], dtype=float32)

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1606.05328)
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        if self.kernel_size[1] % 2 == 0:
            raise ValueError(
                "Argument `kernel_size` must have an odd width. "
                f"Received: kernel_size={self.kernel_size}"
            )

    def margins(self):
        """Returns how many rows above, columns to the left and right it sees."""
        (height, width), (down, right) = self.kernel_size, self.dilation_rate
        half = width // 2 * right
        return (height - 1) * down, half, half

    def raster_start(self, batch, width):
        """Returns the kernel, and the rows above an image: zeros."""
        rows = [self._zeros(batch, width)] * self.margins()[0]
        return (self._prepared_kernel(), *rows)

    def raster_whole_row(self, state, x):
        """Convolves a row and those above it."""
        kernel, *rows = state
        rows.append(x)
        return (kernel, *rows[1:]), self._finish(self._next_row(rows, kernel))


@keras.saving.register_keras_serializable("keras_gen")
class DownRightConv2D(RasterConvolution, _PlainConv2D):
    """A convolution of a pixel, those to its left, and the same columns above.

    y[r, c] = sum over u < height, v < width of x[r - u, c - v] K[-1 - u, -1 - v]

    Behind `ShiftRight`, it sees the pixels before one in its row.

    Args:
        filters: How many channels the output has.
        kernel_size: (height, width).
        **kwargs: As for `DownConv2D`.

    Example:

    >>> layer = DownRightConv2D(1, (2, 2), kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(keras.ops.ones((1, 3, 3, 1))))[0, :, :, 0]
    array([[1., 2., 2.],
           [2., 4., 4.],
           [2., 4., 4.]], dtype=float32)

    Reference: [Salimans et al., 2017](https://arxiv.org/abs/1701.05517)
    """

    def margins(self):
        """Returns how many rows above, columns to the left and right it sees."""
        (height, width), (down, right) = self.kernel_size, self.dilation_rate
        return (height - 1) * down, (width - 1) * right, 0

    def own_taps(self):
        """Returns how many taps the kernel has in the pixel's row."""
        return self.kernel_size[1]


_FIXED = {
    "padding": "valid",
    "groups": 1,
    "data_format": "channels_last",
}
