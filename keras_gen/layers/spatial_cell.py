"""Cells of `keras.layers.RNN` whose states are the pixels of a row or a diagonal.

The file needs Keras, and a neighbor that needs nothing else.
"""

import keras
from keras import ops

from keras_gen.layers.skew import shift_down


class RowCell(keras.layers.Layer):
    """(h, c) of a row of pixels from its gates and the row above, by a convolution.

    Args:
        filters: Units of a pixel.
        kernel_size: Odd integer, how many columns of the row above a pixel sees.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> rows = keras.layers.RNN(RowCell(2, 3), return_sequences=True)
    >>> start = [keras.ops.zeros((1, 5, 2))] * 2
    >>> rows(keras.ops.ones((1, 4, 5, 8)), initial_state=start).shape
    TensorShape([1, 4, 5, 2])
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.state_size = (filters, filters)

    def build(self, input_shape):
        """Makes the kernel."""
        self.kernel = _kernel(self, "kernel", self.kernel_size)

    def from_above(self, h):
        """Convolves a row of states, as a product, which is faster on short rows."""
        reach, width = self.kernel_size // 2, ops.shape(h)[1]
        h = ops.pad(h, ((0, 0), (reach, reach), (0, 0)))
        near = [h[:, start : start + width] for start in range(self.kernel_size)]
        kernel = ops.cast(self.kernel, self.compute_dtype)
        kernel = ops.reshape(kernel, (-1, 4 * self.filters))
        return ops.tensordot(ops.concatenate(near, axis=-1), kernel, 1)

    def call(self, gates, states):
        """Returns h, and (h, c) for the next row."""
        h, c = states
        h, c = advance(gates + self.from_above(h), c)
        return h, [h, c]


class DiagonalCell(keras.layers.Layer):
    """(h, c) of a diagonal, a column of the skewed image, from the one before.

    A state sees that at its own place, the pixel to the left, and the one above, the
    pixel above. The batch holds the rows of all images: those of one direction and
    then those of the other, which has a kernel of its own.

    Args:
        filters: Units of a pixel.
        height: How many rows an image has.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> diagonals = keras.layers.RNN(DiagonalCell(2, height=5), return_sequences=True)
    >>> diagonals(keras.ops.ones((2 * 3 * 5, 9, 8))).shape
    TensorShape([30, 9, 2])
    """

    def __init__(self, filters, height=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.height = height
        self.state_size = (filters, filters)

    def build(self, input_shape):
        """Makes a kernel for each direction."""
        self.left = _kernel(self, "left_kernel", 2)
        self.right = _kernel(self, "right_kernel", 2)

    def kernels(self):
        """Returns, for either direction, the kernels of the states above and beside."""
        return [ops.cast(k, self.compute_dtype) for k in (self.left, self.right)]

    def call(self, gates, states):
        """Returns h, and (h, c) for the next diagonal."""
        h, c = states
        size = self.filters
        above = shift_down(ops.reshape(h, (-1, self.height, size)))
        near = ops.concatenate([ops.reshape(above, (-1, size)), h], axis=-1)
        near = ops.reshape(near, (2, -1, 2 * size))
        kernels = ops.reshape(ops.stack(self.kernels()), (2, 2 * size, 4 * size))
        h = ops.reshape(ops.matmul(near, kernels), (-1, 4 * size))
        h, c = advance(gates + h, c)
        return h, [h, c]


def advance(gates, c):
    """Returns (h, c) of an LSTM.

    Args:
        gates: Tensor (..., 4 units): o, f, i and g, before their activations.
        c: Tensor (..., units), of the step before.
    """
    size = c.shape[-1]
    gates, g = ops.split(gates, [3 * size], axis=-1)
    o, f, i = ops.split(ops.sigmoid(gates), 3, axis=-1)
    c = f * c + i * ops.tanh(g)
    return o * ops.tanh(c), c


def _kernel(cell, name, places):
    """Returns a kernel from the states at some places to the four gates of each."""
    shape = (places, cell.filters, 4 * cell.filters)
    return cell.add_weight(name=name, shape=shape, initializer="orthogonal")
