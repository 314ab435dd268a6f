"""Layers that see only what comes earlier in an order.

The file needs Keras and `raster.py`.
"""

import keras
from keras import ops

from keras_gen.layers.raster import RasterConvolution


@keras.saving.register_keras_serializable("keras_gen")
class MaskedConv2D(RasterConvolution, keras.layers.Conv2D):
    """A convolution whose kernel is zero at the pixels that come later.

    y = conv(x, kernel * M), M[u, v, i, o] = 1 where the tap (u, v) lies in an earlier
    row, or to the left in the same row; at the center where i < o in type A and where
    i <= o in type B, for the colors i of the input and o of the output; else 0

    One layer of type A, which sees nothing of its own value, and then layers of type B
    give an output that depends on the earlier values only: all conditionals of an image
    p(x) = prod_k p(x_k | x_1, ..., x_k-1) in one pass. A stack of them misses a wedge
    of earlier pixels to the upper right, the blind spot: 3 x 3 kernels go up one row
    and right one column at a time, and never beyond that diagonal. Sampling needs one
    pass for every value.

    Colors are interleaved: channel c, of the input and of the output, belongs to
    color c mod `channels`. An image is so by nature; halves of a gate and
    concatenated features keep the order; reshape logits to (..., levels, channels).

    Args:
        filters: How many channels the output has, a multiple of `channels`.
        kernel_size: Odd integer, or two of them.
        mask: `"A"` for the first layer, `"B"` for those after it.
        channels: The number of color channels, drawn one at a time; 1 treats all
            channels as one value. Defaults to 1.
        kernel_initializer: Defaults to `None`: Glorot's uniform draw, its variance
            divided by the share of the kernel that the mask leaves.
        **kwargs: Arguments of `keras.layers.Conv2D`. The padding is `"same"`, and
            strides, groups and channels first are rejected.

    Example:

    >>> first = MaskedConv2D(6, 3, "A", channels=3, kernel_initializer="ones")
    >>> y = first(keras.ops.ones((1, 5, 5, 3)))
    >>> keras.ops.convert_to_numpy(y[0, 2, 2])  # 4 earlier pixels, then colors
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
        self._taps = self._color_mask()
        share = self._share()
        if kernel_initializer is None:
            kernel_initializer = keras.initializers.VarianceScaling(
                1 / share, mode="fan_avg", distribution="uniform"
            )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Makes the kernel, for inputs whose channels are a multiple of the colors."""
        if input_shape[-1] % self.channels:
            raise ValueError(
                f"The input's channels must be a multiple of `channels`="
                f"{self.channels}. Received: input_shape={input_shape}"
            )
        super().build(input_shape)

    @property
    def sees_itself(self):
        """Whether a pixel's output depends on all of the pixel's own input."""
        return self.mask == "B"

    def margins(self):
        """Returns how many rows above, columns to the left and right it looks at."""
        pairs = zip(self.kernel_size, self.dilation_rate, strict=True)
        above, left = (size // 2 * rate for size, rate in pairs)
        return above, left, left

    def causal_kernel(self, kernel):
        """Returns the masked kernel down to the row of the pixel itself."""
        return (kernel * self.kernel_mask())[: self.kernel_size[0] // 2 + 1]

    def own_taps(self):
        """Returns how many taps of that row are not masked."""
        return self.kernel_size[1] // 2 + int(self.sees_itself or self.channels > 1)

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

    def _color_mask(self):
        """Returns the mask of one channel for each color, as nested tuples."""
        rows, columns = (range(size) for size in self.kernel_size)
        colors = range(self.channels)
        center = tuple(size // 2 for size in self.kernel_size)

        def sees(*tap, color):
            own = (*center, color)
            return float(tap < own or (tap == own and self.mask == "B"))

        return tuple(
            tuple(
                tuple(tuple(sees(u, v, i, color=o) for o in colors) for i in colors)
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


@keras.saving.register_keras_serializable("keras_gen")
class MaskedDense(keras.layers.Dense):
    """A dense layer that connects units by their degrees.

    y = x (W * M) + b, M[i, o] = 1 where degree(o) >= degree(i), or > in a strict layer;
    else 0. Inputs of degrees 1 to d, hidden units of degrees between and strict outputs
    of degrees 1 to d make output k a function of the inputs of lower degree alone: all
    conditionals p(x_k | x_<k) in one pass.

    Several lists of degrees make as many masks for one kernel, of which a call chooses
    one: a network that is trained with all of them learns several orders.

    Args:
        degrees: A list of integers, one for each unit; or several lists.
        input_degrees: A list of integers, one for each input; or as many lists.
        strict: Boolean, for the last layer. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Dense`.

    Example:

    >>> layer = MaskedDense([1, 2], [1, 2], strict=True, kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(keras.ops.ones((1, 2))))
    array([[0., 1.]], dtype=float32)

    Reference: [Germain et al., 2015](https://arxiv.org/abs/1502.03509)
    """

    def __init__(self, degrees, input_degrees, strict=False, **kwargs):
        kwargs.pop("units", None)
        self.several = _is_nested(degrees)
        super().__init__(len(degrees[0] if self.several else degrees), **kwargs)
        self.degrees, self.input_degrees = _integers(degrees), _integers(input_degrees)
        counts = [len(d) if _is_nested(d) else 0 for d in (degrees, input_degrees)]
        if counts[0] != counts[1]:
            raise ValueError(
                "Arguments `degrees` and `input_degrees` must be one list each, or as "
                f"many lists. Received: {counts[0]} and {counts[1]} lists"
            )
        self.strict = strict

    def build(self, input_shape):
        """Makes the kernel, for as many inputs as there are degrees of them."""
        lists = self.input_degrees if self.several else [self.input_degrees]
        if any(len(one) != input_shape[-1] for one in lists):
            raise ValueError(
                "Argument `input_degrees` must hold one for each of "
                f"{input_shape[-1]} inputs. Received: {[len(one) for one in lists]}"
            )
        super().build(input_shape)

    def mask(self, which=None):
        """Returns M, a constant, or the one that is chosen.

        Args:
            which: The number of the lists of degrees, where there are several. Defaults
                to `None`.
        """
        inputs = ops.convert_to_tensor(self.input_degrees, "int32")
        units = ops.convert_to_tensor(self.degrees, "int32")
        if self.several:
            inputs, units = inputs[which], units[which]
        inputs, units = inputs[:, None], units[None]
        seen = units > inputs if self.strict else units >= inputs
        return ops.cast(seen, self.compute_dtype)

    def call(self, inputs, which=None, training=None):
        """Multiplies by the masked kernel."""
        if self.several and which is None:
            raise ValueError("A layer with several masks needs the argument `which`.")
        x = ops.matmul(inputs, self.kernel * self.mask(which))
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

    def compute_output_shape(self, inputs_shape, which_shape=None):
        """Returns the input's shape with as many numbers as there are units."""
        return (*inputs_shape[:-1], self.units)

    def get_config(self):
        """Returns the layer's configuration."""
        config = super().get_config()
        del config["units"]
        config["degrees"] = self.degrees
        config["input_degrees"] = self.input_degrees
        return {**config, "strict": self.strict}


def _is_nested(degrees):
    return not isinstance(degrees[0], int) and hasattr(degrees[0], "__len__")


def _integers(degrees):
    if _is_nested(degrees):
        return [_integers(one) for one in degrees]
    return [int(degree) for degree in degrees]


_FIXED = {
    "strides": (1, 1),
    "padding": "same",
    "groups": 1,
    "data_format": "channels_last",
}
