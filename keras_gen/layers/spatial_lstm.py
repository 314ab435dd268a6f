"""LSTMs that read an image in raster order, a row or a diagonal at a time.

The file needs Keras, and neighbors that need nothing else.
"""

import keras
from keras import ops

from keras_gen.layers.configured import Configured
from keras_gen.layers.masked import MaskedConv2D
from keras_gen.layers.raster import Raster, zero_columns
from keras_gen.layers.skew import shift_down, skew, unskew
from keras_gen.layers.spatial_cell import DiagonalCell, RowCell, advance


class _SpatialLSTM(Configured, Raster, keras.layers.Layer):
    """What both layers share: gates from the input, and a loop over a cell."""

    def __init__(self, cell, directions, kernel_size, mask, channels, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.channels = cell.filters, channels
        if channels < 1 or cell.filters % channels:
            raise ValueError(
                "Argument `channels` must be positive and divide `filters`. "
                f"Received: channels={channels}, filters={cell.filters}"
            )
        self.input_to_state = MaskedConv2D(
            4 * directions * cell.filters,
            (1, kernel_size),
            mask,
            channels,
            bias_initializer=_remembering(directions, cell.filters),
            dtype=self.dtype_policy,
        )
        self.rnn = keras.layers.RNN(
            cell, return_sequences=True, dtype=self.dtype_policy
        )

    def build(self, input_shape):
        """Makes the kernels, for inputs whose channels are a multiple of colors."""
        self.input_to_state.build(input_shape)
        gates = (None, None, input_shape[2], 4 * self.filters)
        self.rnn.build(gates)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape with `filters` channels."""
        return (*input_shape[:-1], self.filters)

    def _loop(self, gates):
        """Runs the cell along axis 1 of the gates, from states of zero."""
        start = ops.zeros_like(gates[:, 0, ..., : self.filters])
        return self.rnn(gates, initial_state=[start, start])

    def _gates(self, window):
        """Returns the gates that the last column of a window owes to the input."""
        layer = self.input_to_state
        kernel = ops.cast(layer.kernel, self.compute_dtype) * layer.kernel_mask()
        kernel = kernel[0, : window.shape[1]]
        gates = ops.tensordot(window, kernel, [[1, 2], [0, 1]])
        return gates + ops.cast(layer.bias, self.compute_dtype)


@keras.saving.register_keras_serializable("keras_gen")
class RowLSTM(_SpatialLSTM):
    """An LSTM from the top to the bottom, all columns of a row at once.

    o, f, i, g = K_is * x_r + K_ss * h_r-1 + b; c_r = sigmoid(f) c_r-1 + sigmoid(i)
    tanh(g); h_r = sigmoid(o) tanh(c_r), with convolutions along the row: K_is is masked
    and found for the whole image in one go, K_ss sees all of the row above. The output
    is h.

    It takes as many steps as there are rows. A pixel sees a triangle above it, which
    with three columns widens by one on either side from row to row: pixels further
    along the row above are missed, as are those far to the left in its own; a
    `DiagonalBiLSTM` misses none and takes twice as many steps.

    Colors are interleaved as in `MaskedConv2D`, and a unit's four gates have its
    color. Where forget gates start, the bias is one.

    Args:
        filters: How many units a pixel has, a multiple of `channels`.
        kernel_size: Odd integer, how many columns both convolutions span. Defaults to
            `3`.
        mask: `"B"`, or `"A"` where the layer is the first. Defaults to `"B"`.
        channels: How many colors a pixel has. Defaults to 1.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> RowLSTM(6, channels=3)(keras.ops.ones((2, 8, 5, 3))).shape
    TensorShape([2, 8, 5, 6])

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """

    def __init__(self, filters, kernel_size=3, mask="B", channels=1, **kwargs):
        cell = RowCell(filters, kernel_size, name="cell", dtype=kwargs.get("dtype"))
        super().__init__(cell, 1, kernel_size, mask, channels, **kwargs)
        self.reach = kernel_size // 2
        self.sees_itself = mask == "B"

    def call(self, x):
        """Returns h for whole images."""
        return self._loop(self.input_to_state(x))

    def raster_start(self, batch, width):
        """Returns no state, and zeros for (h, c) of the row above the first."""
        return (), zero_columns(batch, width, 2 * self.filters, self.compute_dtype)

    def raster_row(self, state, kept):
        """Convolves the row above for all columns at once; carries columns of zeros."""
        h, c = ops.split(kept, 2, axis=-1)
        row = ops.concatenate([self.rnn.cell.from_above(h), c], axis=-1)
        inputs = self.input_to_state.kernel.shape[2]
        left = zero_columns(ops.shape(kept)[0], self.reach, inputs, kept.dtype)
        return state, row, (left,)

    def raster_step(self, row, carried, x):
        """Returns h, the columns of input to the left of the next pixel, and (h, c)."""
        x = ops.cast(x, self.compute_dtype)[:, None]
        window = ops.concatenate([carried[0], x], axis=1)
        above, c = ops.split(row, [4 * self.filters], axis=-1)
        h, c = advance(self._gates(window) + above, c)
        return h, (window[:, 1:],), ops.concatenate([h, c], axis=-1)


@keras.saving.register_keras_serializable("keras_gen")
class DiagonalBiLSTM(_SpatialLSTM):
    """Two LSTMs along the diagonals, which together see all earlier pixels.

    o, f, i, g = K_is x(r, c) + K_above h(r-1, c) + K_left h(r, c-1) + b;
    c(r, c) = sigmoid(f) c(r, c-1) + sigmoid(i) tanh(g);
    h(r, c) = sigmoid(o) tanh(c(r, c));
    y(r, c) = h(r, c) + h'(r-1, c), where h' is the same from the right to the left,
    with kernels of its own, and one row behind so that it sees nothing to come

    Pixels of one diagonal need none of each other: with each row shifted by one column
    against the one above (`skew`), a diagonal is a column, and all its pixels, of both
    directions, are found at once. One layer sees the whole context; it takes height
    + width - 1 steps, over a map of which half is empty.

    Colors are interleaved as in `MaskedConv2D`, and a unit's four gates have its
    color. Where forget gates start, the bias is one.

    Args:
        filters: How many units a pixel has, a multiple of `channels`.
        channels: How many colors a pixel has. Defaults to 1.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> DiagonalBiLSTM(6, channels=3)(keras.ops.ones((2, 8, 5, 3))).shape
    TensorShape([2, 8, 5, 6])

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """

    def __init__(self, filters, channels=1, **kwargs):
        cell = DiagonalCell(filters, name="cell", dtype=kwargs.get("dtype"))
        super().__init__(cell, 2, 1, "B", channels, **kwargs)

    def build(self, input_shape):
        """Makes the kernels, for images whose sides are known."""
        if None in input_shape[1:3]:
            raise ValueError(
                "The input's height and width must be known. "
                f"Received: input_shape={input_shape}"
            )
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))
        self.rnn.cell.height = input_shape[1]
        super().build(input_shape)

    def call(self, x):
        """Returns y for whole images, both directions as one batch."""
        left, right = ops.split(self.input_to_state(x), 2, axis=-1)
        gates = skew(ops.concatenate([left, ops.flip(right, axis=2)], axis=0))
        height, columns, channels = gates.shape[1:]
        h = self._loop(ops.reshape(gates, (-1, columns, channels)))
        h = unskew(ops.reshape(h, (-1, height, columns, self.filters)))
        left, right = ops.split(h, 2, axis=0)
        return left + shift_down(ops.flip(right, axis=2))

    def raster_start(self, batch, width):
        """Returns h' two rows above the first, and what is kept one row above."""
        zeros = zero_columns(batch, width, self.filters, self.compute_dtype)
        # Gates of zero leave h' at zero, which an input of zero would not.
        return (zeros,), ops.concatenate([zeros] * 5, axis=-1)

    def raster_row(self, state, kept):
        """Scans the row above from the right; carries (h, c) of zero."""
        left, right = self.rnn.cell.kernels()
        h, gates = ops.split(kept, [self.filters], axis=-1)
        gates = gates + ops.tensordot(state[0], right[0], 1)
        from_right = _scan_from_the_right(gates, right[1])
        row = ops.concatenate([ops.tensordot(h, left[0], 1), from_right], axis=-1)
        start = ops.zeros_like(h[:, 0])
        return (from_right,), row, (start, start)

    def raster_step(self, row, carried, x):
        """Returns y, (h, c), and h with the gates that h' owes to the input."""
        h, c = carried
        beside = self.rnn.cell.kernels()[0][1]
        gates = self._gates(ops.cast(x, self.compute_dtype)[:, None])
        own, kept = ops.split(gates, 2, axis=-1)
        above, from_right = ops.split(row, [4 * self.filters], axis=-1)
        h, c = advance(own + above + ops.matmul(h, beside), c)
        return h + from_right, (h, c), ops.concatenate([h, kept], axis=-1)


def _scan_from_the_right(gates, kernel):
    """Returns h of a row whose pixels see those to their right."""

    def step(carried, gates):
        h, c = carried
        carried = advance(gates + ops.matmul(h, kernel), c)
        return carried, carried

    start = ops.zeros_like(gates[:, 0, : kernel.shape[0]])
    by_column = ops.transpose(gates, (1, 0, 2))
    _, (h, _) = ops.scan(step, (start, start), by_column, reverse=True)
    return ops.transpose(h, (1, 0, 2))


def _remembering(directions, filters):
    """Returns an initializer of biases: one for forget gates, zero for the others."""
    gates = [0.0, 1.0, 0.0, 0.0] * directions

    def initializer(shape, dtype=None):
        return ops.repeat(ops.convert_to_tensor(gates, dtype), filters)

    return initializer
