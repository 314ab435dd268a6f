"""Enlargement: channels to places, behind learned convolutions or a fixed one.

The file needs Keras alone.
"""

import keras
from keras import ops


def _require_scale(scale):
    if scale < 1 or scale != int(scale):
        raise ValueError(
            f"Argument `scale` must be a positive integer. Received: scale={scale}"
        )
    return int(scale)


def _longer(shape, scale):
    return [None if side is None else scale * side for side in shape]


def _to_places(x, scale):
    """Returns (batch, *sides, scale^d c) as (batch, *(scale sides), c)."""
    rank = len(x.shape) - 2
    batch, *sides, _ = ops.shape(x)
    channels = x.shape[-1] // scale**rank
    x = ops.reshape(x, (batch, *sides, *[scale] * rank, channels))
    # Each side is followed by its own offset.
    pairs = [axis for side in range(1, rank + 1) for axis in (side, side + rank)]
    x = ops.transpose(x, (0, *pairs, 2 * rank + 1))
    return ops.reshape(x, (batch, *_longer(sides, scale), channels))


@keras.saving.register_keras_serializable("keras_gen")
class SubPixel(keras.layers.Layer):
    """Makes scale^d places of one, each from its own part of the channels.

    y[s p + o] = x[p, c o' : c (o' + 1)], for s = scale, an offset o below s along each
    of d sides, and o' its number when offsets are counted row by row:
    (batch, *sides, s^d c) to (batch, *(s sides), c)

    Behind a convolution at the low resolution it enlarges as a transposed convolution
    does, at less cost, and all outputs see equally many inputs. Sides need not be
    known. The order of channels is TensorFlow's `depth_to_space`.

    Args:
        scale: Positive integer, how many times longer each side becomes.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(4.0), (1, 1, 1, 4))
    >>> keras.ops.convert_to_numpy(SubPixel(2)(x))[0, :, :, 0]
    array([[0., 1.],
           [2., 3.]], dtype=float32)

    Reference: [Shi et al., 2016](https://arxiv.org/abs/1609.05158)
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = _require_scale(scale)

    def build(self, input_shape):
        """Checks that the channels can be divided."""
        rank = len(input_shape) - 2
        if not 1 <= rank <= 3 or input_shape[-1] % self.scale**rank:
            raise ValueError(
                "The input must have the shape (batch, sides..., channels) with one to "
                f"three sides and channels a multiple of {self.scale} for each side. "
                f"Received: {tuple(input_shape)}"
            )

    def call(self, x):
        """Returns the enlarged input."""
        return _to_places(x, self.scale)

    def compute_output_shape(self, input_shape):
        """Returns the shape with longer sides and fewer channels."""
        batch, *sides, channels = input_shape
        channels //= self.scale ** len(sides)
        return (batch, *_longer(sides, self.scale), channels)

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "scale": self.scale}


def _keys(distance):
    """Returns Keys's cubic kernel, a = -1/2, which is zero from 2 on."""
    x = abs(distance)
    if x >= 2:
        return 0.0
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x < 1 else 2 + x * (x * (2.5 - 0.5 * x) - 4)


@keras.saving.register_keras_serializable("keras_gen")
class BicubicUpSampling(keras.layers.Layer):
    """Enlarges sequences, images or volumes by cubic interpolation.

    y[q] = sum over p of k(u - p) x[p], u = (q + 1/2) / scale - 1/2, k the cubic
    convolution kernel of Keys with a = -1/2, along each side

    Beyond their edges images are continued by their reflection. It is a convolution
    with a fixed kernel, behind which channels become places. Keras's
    `UpSampling2D(interpolation="bicubic")` equals it but at the edges; it raises an
    error in a graph where sides are not known, as in an export.

    Args:
        scale: Positive integer, how many times longer each side becomes. Sides are at
            least 2.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(6.0), (1, 6, 1))
    >>> keras.ops.convert_to_numpy(BicubicUpSampling(2)(x))[0, 4:8, 0]
    array([1.75, 2.25, 2.75, 3.25], dtype=float32)

    Reference: [Keys, 1981](https://doi.org/10.1109/TASSP.1981.1163711)
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = _require_scale(scale)

    def call(self, x):
        """Returns the enlarged input."""
        sides = [(2, 2)] * (len(x.shape) - 2)
        x = ops.pad(x, [(0, 0), *sides, (0, 0)], mode="symmetric")
        x = ops.conv(x, self._kernel(x), padding="valid")
        return _to_places(x, self.scale)

    def _kernel(self, x):
        """Returns five places a side, each channel to all offsets of its own."""
        shifts = [(offset + 0.5) / self.scale - 0.5 for offset in range(self.scale)]
        one = [[_keys(shift - place) for shift in shifts] for place in range(-2, 3)]
        one = kernel = ops.convert_to_tensor(one, x.dtype)
        for _ in range(len(x.shape) - 3):
            kernel = kernel[..., None, :, None] * one[:, None, :]
            kernel = ops.reshape(kernel, (*kernel.shape[:-2], -1))
        channels = x.shape[-1]
        each = ops.eye(channels, dtype=x.dtype)[:, None, :]
        kernel = kernel[..., None, :, None] * each
        return ops.reshape(kernel, (*kernel.shape[:-2], -1))

    def compute_output_shape(self, input_shape):
        """Returns the shape with longer sides."""
        batch, *sides, channels = input_shape
        return (batch, *_longer(sides, self.scale), channels)

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("keras_gen")
class ICNR(keras.initializers.Initializer):
    """Starts a convolution before `SubPixel` as an enlargement by nearest neighbors.

    W[..., c o' + k] = V[..., k] for every offset o': the places that come of one are
    equal at first

    Kernels drawn independently give them unequal weights instead, which shows as a
    checkerboard until training has removed it.

    Args:
        scale: The layer's `scale`.
        initializer: That of V. Defaults to `"glorot_uniform"`.

    Example:

    >>> convolution = keras.layers.Conv2D(4 * 3, 3, kernel_initializer=ICNR(2))
    >>> y = SubPixel(2)(convolution(keras.random.normal((1, 5, 5, 8), seed=0)))
    >>> bool(keras.ops.all(y[:, ::2, ::2] == y[:, 1::2, 1::2]))
    True

    Reference: [Aitken et al., 2017](https://arxiv.org/abs/1707.02937)
    """

    def __init__(self, scale, initializer="glorot_uniform"):
        self.scale = _require_scale(scale)
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        """Returns a kernel of shape (sides..., inputs, outputs)."""
        *before, outputs = shape
        offsets = self.scale ** (len(shape) - 2)
        if outputs % offsets:
            raise ValueError(
                f"A kernel before SubPixel({self.scale}) must have outputs that are a "
                f"multiple of {offsets}. Received: shape={tuple(shape)}"
            )
        kernel = self.initializer((*before, outputs // offsets), dtype=dtype)
        return ops.tile(kernel, (*[1] * len(before), offsets))

    def get_config(self):
        """Returns the initializer's configuration."""
        initializer = keras.initializers.serialize(self.initializer)
        return {"scale": self.scale, "initializer": initializer}
