"""Convolutions that see only what comes earlier in raster order.

The file needs Keras alone.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gen")
class MaskedConv2D(keras.layers.Conv2D):
    """A convolution whose kernel is zero at the pixels that come later.

    y = conv(x, kernel * M), M[u, v, i, o] = 1 where the tap (u, v) lies in an earlier
    row, or to the left in the same row; at the centre where i < o in type A and where
    i <= o in type B, for the colours i of the input and o of the output; else 0

    One layer of type A, which sees nothing of its own value, and then layers of type B
    give an output that depends on the earlier values only: all conditionals of an image
    p(x) = prod_k p(x_k | x_1, ..., x_k-1) in one pass. A stack of them misses a wedge
    of earlier pixels to the upper right, the blind spot: 3 x 3 kernels go up one row
    and right one column at a time, and never beyond that diagonal. Sampling needs one
    pass for every value.

    Colours are interleaved: channel c, of the input and of the output, belongs to
    colour c mod `channels`. An image is so by nature; halves of a gate and
    concatenated features keep the order; reshape logits to (..., levels, channels).

    Args:
        filters: How many channels the output has, a multiple of `channels`.
        kernel_size: Odd integer, or two of them.
        mask: `"A"` for the first layer, `"B"` for those after it.
        channels: How many colours a pixel has, drawn one after the other; 1 treats all
            channels as one value. Defaults to 1.
        kernel_initializer: Defaults to `None`: Glorot's uniform draw, its variance
            divided by the share of the kernel that the mask leaves.
        **kwargs: Arguments of `keras.layers.Conv2D`. The padding is `"same"`, and
            strides, groups and channels first are refused.

    Example:

    >>> first = MaskedConv2D(6, 3, "A", channels=3, kernel_initializer="ones")
    >>> y = first(keras.ops.ones((1, 5, 5, 3)))
    >>> keras.ops.convert_to_numpy(y[0, 2, 2])  # 4 earlier pixels, then colours
    array([12., 13., 14., 12., 13., 14.], dtype=float32)

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        mask,
        channels=1,
        kernel_initializer=None,
        **kwargs,
    ):
        kwargs = {"padding": "same", "data_format": "channels_last", **kwargs}
        super().__init__(filters, kernel_size, **kwargs)
        self.mask = mask
        self.channels = channels
        self._check()
        self._taps = self._colour_mask()
        share = self._share()
        if kernel_initializer is None:
            kernel_initializer = keras.initializers.VarianceScaling(
                1 / share, mode="fan_avg", distribution="uniform"
            )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Makes the kernel, for inputs whose channels are a multiple of the colours."""
        if input_shape[-1] % self.channels:
            raise ValueError(
                f"The input's channels must be a multiple of `channels`="
                f"{self.channels}. Received: input_shape={input_shape}"
            )
        super().build(input_shape)

    def convolution_op(self, inputs, kernel):
        """Convolves with the masked kernel."""
        return super().convolution_op(inputs, kernel * self.kernel_mask())

    def kernel_mask(self):
        """Returns the mask in the kernel's shape, a constant."""
        taps = ops.convert_to_tensor(self._taps, self.compute_dtype)
        inputs, filters = self._kernel.shape[2:]
        return ops.tile(taps, (1, 1, inputs // self.channels, filters // self.channels))

    def get_config(self):
        """Returns the layer's configuration."""
        config = {"mask": self.mask, "channels": self.channels}
        return {**super().get_config(), **config}

    def _check(self):
        if self.mask not in ("A", "B"):
            raise ValueError(
                f'Argument `mask` must be "A" or "B". Received: mask={self.mask!r}'
            )
        if self.channels < 1 or self.filters % self.channels:
            raise ValueError(
                "Argument `channels` must be positive and divide `filters`. "
                f"Received: channels={self.channels}, filters={self.filters}"
            )
        if not all(size % 2 for size in self.kernel_size):
            raise ValueError(
                "Argument `kernel_size` must be odd. "
                f"Received: kernel_size={self.kernel_size}"
            )
        for name, only in _FIXED.items():
            if getattr(self, name) != only:
                raise ValueError(
                    f"Argument `{name}` must be {only}. "
                    f"Received: {name}={getattr(self, name)}"
                )

    def _colour_mask(self):
        """Returns the mask of one channel for each colour, as nested tuples."""
        rows, columns = (range(size) for size in self.kernel_size)
        colours = range(self.channels)
        centre = tuple(size // 2 for size in self.kernel_size)

        def sees(*tap, colour):
            own = (*centre, colour)
            return float(tap < own or (tap == own and self.mask == "B"))

        return tuple(
            tuple(
                tuple(tuple(sees(u, v, i, colour=o) for o in colours) for i in colours)
                for v in columns
            )
            for u in rows
        )

    def _share(self):
        """Returns which share of the kernel the mask leaves."""
        flat = [t for row in self._taps for tap in row for i in tap for t in i]
        if not any(flat):
            raise ValueError(
                'Argument `kernel_size` must exceed 1 where `mask` is "A". '
                f"Received: kernel_size={self.kernel_size}"
            )
        return sum(flat) / len(flat)


_FIXED = {
    "strides": (1, 1),
    "padding": "same",
    "groups": 1,
    "data_format": "channels_last",
}
