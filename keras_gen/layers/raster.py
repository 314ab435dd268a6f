"""The interface of image layers that can be evaluated one pixel at a time.

The file needs Keras alone.
"""

from keras import ops


class Raster:
    """A layer whose output at a pixel depends on no later pixel: row by row.

    `call` evaluates whole images, for training. What follows evaluates one pixel from
    what was kept of those before it, for sampling; both give the same numbers, of which
    a layer with a stride leaves out some in `call` alone. Images are read from the left
    to the right and from the top to the bottom:

        state, kept = layer.raster_start(batch, width)
        for each row:
            state, row, carried = layer.raster_row(state, kept)
            for each column:
                y, carried, kept_column = layer.raster_step(row[:, c], carried, x)
            kept = the columns' kept_column, side by side

    `state` lives from row to row, `carried` from column to column, and `row` holds what
    the pixels of a row owe to the rows above them, found for all columns at once.
    `state` and `carried` are tuples of tensors, which may be empty and may hold weights
    that are prepared once; `row` and `kept` are tensors (batch, width, ...), or `None`
    where nothing is owed to the rows above; x, y and `kept_column` have the shape
    (batch, ...).

    What is random or differs while training is as at inference.
    """

    sees_itself = True
    """Whether the output at a pixel depends on the input at the same pixel; where it
    does not, the input may be the image that is sampled."""

    def raster_start(self, batch, width):
        """Returns the state and what is kept above the first row: zeros.

        Args:
            batch: How many images, a number or a scalar tensor.
            width: How many columns, likewise.
        """
        raise NotImplementedError

    def raster_row(self, state, kept):
        """Begins a row: returns the new state, the row's share, and what is carried.

        Args:
            state: As `raster_start` or the last `raster_row` gave it.
            kept: Of all columns of the row above, (batch, width, channels).
        """
        raise NotImplementedError

    def raster_step(self, row, carried, x):
        """Returns the output of a pixel, what is carried on, and what is kept.

        Args:
            row: The row's share in this column, (batch, ...).
            carried: As `raster_row` or the last step gave it.
            x: The input at this pixel, (batch, channels).
        """
        raise NotImplementedError


class RasterRows:
    """A layer whose output row depends on the input's rows down to the same one.

    Whole rows are evaluated one at a time:

        state = layer.raster_start(batch, width)
        for each row:
            state, y = layer.raster_whole_row(state, x)
    """

    def raster_start(self, batch, width):
        """Returns the state above the first row.

        Args:
            batch: How many images, a number or a scalar tensor.
            width: How many columns, likewise.
        """
        raise NotImplementedError

    def raster_whole_row(self, state, x):
        """Returns the new state and the output's row.

        Args:
            state: As `raster_start` or the last call gave it.
            x: The input's row, (batch, width, channels).
        """
        raise NotImplementedError


class CausalConvolution:
    """Mixin for `keras.layers.Conv2D`: sees its own row and those above, cut to size.

    A subclass says how far it sees, `margins`.
    """

    def margins(self):
        """Returns how many rows above, columns to the left and right it sees."""
        raise NotImplementedError

    def causal_kernel(self, kernel):
        """Returns the part of the kernel that is used, the pixel's row last."""
        return kernel

    def convolution_op(self, inputs, kernel):
        """Convolves what is padded on three sides."""
        above, left, right = self.margins()
        if above or left or right:
            padding = ((0, 0), (above, 0), (left, right), (0, 0))
            inputs = ops.pad(inputs, padding)
        kernel = self.causal_kernel(kernel)
        if self.strides != (1, 1):
            return ops.conv(inputs, kernel, self.strides, "valid")
        return self._convolve(inputs, kernel)

    def _convolve(self, inputs, kernel):
        rate = self.dilation_rate
        return ops.conv(inputs, kernel, padding="valid", dilation_rate=rate)

    def _next_row(self, rows, kernel):
        """Returns the convolution of as many rows as the kernel reaches over."""
        _, left, right = self.margins()
        x = ops.stack(rows, axis=1)
        if left or right:
            x = ops.pad(x, ((0, 0), (0, 0), (left, right), (0, 0)))
        return self._convolve(x, kernel)[:, 0]

    def _prepared_kernel(self):
        """Returns the used part of the kernel in the layer's precision."""
        return self.causal_kernel(ops.cast(self.kernel, self.compute_dtype))

    def _finish(self, y):
        """Adds the bias and applies the activation."""
        if self.bias is not None:
            y = ops.add(y, ops.cast(self.bias, self.compute_dtype))
        return self.activation(y)

    def _zeros(self, batch, columns):
        channels = self._kernel.shape[2]
        return zero_columns(batch, columns, channels, self.compute_dtype)


class RasterConvolution(Raster, CausalConvolution):
    """Mixin for a `keras.layers.Conv2D` that sees nothing to the right in its row."""

    def own_taps(self):
        """Returns how many taps the kernel has in the pixel's row."""
        raise NotImplementedError

    def raster_start(self, batch, width):
        """Returns the kernel's two parts, and what lies beyond the edges: zeros."""
        above, left, _ = self.margins()
        kernel = self._prepared_kernel()
        taps = kernel[-1, : self.own_taps()]
        beside = ops.reshape(taps, (-1, self.filters))
        edge = (self._zeros(batch, left),) if left else ()
        if not above:
            return (beside, edge, ()), None
        row = self._zeros(batch, width)
        return (beside, edge, (kernel[:-1], *[row] * (above - 1))), row

    def raster_row(self, state, kept):
        """Convolves the rows above, for all columns."""
        beside, edge, above = state
        if not above:
            return state, None, (beside, edge)
        kernel, *rows = above
        rows.append(kept)
        row = self._next_row(rows, kernel)
        return (beside, edge, (kernel, *rows[1:])), row, (beside, edge)

    def raster_step(self, row, carried, x):
        """Adds what the pixel owes to those on its left, and to itself."""
        beside, before = carried
        window = x
        if before:
            columns = ops.concatenate([before[0], x[:, None]], axis=1)
            window = columns[:, :: self.dilation_rate[1]][:, : self.own_taps()]
            window = ops.reshape(window, (-1, beside.shape[0]))
            before = (columns[:, 1:],)
        y = ops.matmul(window, beside)
        y = self._finish(y if row is None else ops.add(y, row))
        return y, (beside, before), None if row is None else x


def zero_columns(batch, columns, channels, dtype):
    """Returns zeros (batch, columns, channels), the first of which may be a tensor."""
    return ops.zeros((batch, columns, channels), dtype)
