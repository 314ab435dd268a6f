"""Networks from small images to large ones, and what judges the large ones."""

import keras
from keras import layers

from keras_gen.arguments import require_argument, require_int
from keras_gen.layers import ICNR, BicubicUpSampling, SubPixel
from keras_gen.networks.blocks import convolve, normalize, require_shape, upsample


def _checked(shape, scale):
    """Returns the number of channels, and the enlargements that make up the scale."""
    _, channels = require_shape(shape, ranks=(2,))
    scale = require_int("scale", scale)
    require_argument(2 <= scale <= 4, "scale", "a whole number from 2 to 4", scale)
    return channels, (2, 2) if scale == 4 else (scale,)


def _subpixel(x, filters, scale, size=3, **options):
    """Returns x enlarged, behind a convolution that starts with equal neighbors."""
    options = {"kernel_initializer": ICNR(scale), **options}
    return SubPixel(scale, dtype=options.get("dtype"))(
        convolve(x, scale**2 * filters, size, **options)
    )


def _last(skip):
    # Zero beside the enlargement, at which the network then starts.
    return {"dtype": "float32", **({"kernel_initializer": "zeros"} if skip else {})}


def _model(inputs, x, scale, skip):
    if skip:
        large = BicubicUpSampling(scale, dtype="float32")(inputs)
        x = layers.Add(dtype="float32")([x, large])
    return keras.Model(inputs, x, name="generator")


def espcn(shape, scale, width=64, *, skip=True):
    """Returns the sub-pixel network: three convolutions at the low resolution.

    5x5 and 3x3 with tanh, and a 3x3 whose channels become the places of `SubPixel`.
    With some twenty thousand weights it is the fastest of the enlargers, and sees
    squares of nine pixels.

    Args:
        shape: (height, width, channels) of the small image, `None` for any side.
        scale: 2, 3 or 4, how many times longer the sides become.
        width: Channels of the first layer; the second has half of them. Defaults to
            `64`.
        skip: Whether the output is added to the bicubic enlargement of the input, at
            which the network then starts; the paper's is not. 1150 steps on crops of
            two photographs, scale 2, took it from 24.6 dB to 25.9 dB on them, and to
            24.9 dB without. Defaults to `True`.

    Example:

    >>> espcn((None, None, 3), 2, width=8)(keras.ops.ones((1, 10, 12, 3))).shape
    TensorShape([1, 20, 24, 3])

    Reference: [Shi et al., 2016](https://arxiv.org/abs/1609.05158)
    """
    channels, _ = _checked(shape, scale)
    inputs = keras.Input(shape)
    x = convolve(inputs, width, 5, activation="tanh")
    x = convolve(x, max(width // 2, 1), 3, activation="tanh")
    return _model(inputs, _subpixel(x, channels, scale, **_last(skip)), scale, skip)


def _prelu(x):
    return layers.PReLU(shared_axes=(1, 2))(x)  # one slope a channel, for any size


def srresnet(shape, scale=4, width=64, blocks=16, *, normalization="batch", skip=True):
    """Returns SRGAN's generator: residual blocks, then sub-pixel enlargements.

    A convolution of 9x9; blocks of two 3x3 with normalization and PReLU; a sum past all
    of them; one `SubPixel` of 3, or one or two of 2; and 9x9 again.

    Args:
        shape: As for `espcn`.
        scale: 2, 3 or 4. Defaults to `4`.
        width: Channels. Defaults to `64`.
        blocks: How many. Defaults to `16`.
        normalization: `"batch"`, `"instance"`, `"layer"`, `"group"` or `None`. Defaults
            to `"batch"`.
        skip: As for `espcn`. Defaults to `True`.

    Example:

    >>> srresnet((8, 8, 3), width=4, blocks=1).output_shape
    (None, 32, 32, 3)

    Reference: [Ledig et al., 2017](https://arxiv.org/abs/1609.04802)
    """
    channels, factors = _checked(shape, scale)
    inputs = keras.Input(shape)
    options = {"use_bias": normalization is None}
    first = x = _prelu(convolve(inputs, width, 9))
    for _ in range(blocks):
        y = _prelu(normalize(convolve(x, width, 3, **options), normalization))
        y = normalize(convolve(y, width, 3, **options), normalization)
        x = layers.Add()([x, y])
    x = normalize(convolve(x, width, 3, **options), normalization)
    x = layers.Add()([first, x])
    for factor in factors:
        x = _prelu(_subpixel(x, width, factor))
    return _model(inputs, convolve(x, channels, 9, **_last(skip)), scale, skip)


def rrdb(shape, scale=4, width=64, blocks=23, growth=32, *, skip=True):
    """Returns ESRGAN's generator: residual blocks of residual, densely connected ones.

    A dense block has five convolutions of 3x3, each of which sees all before it; it is
    added to its input times 0.2, and three of them to theirs, times 0.2 again. No
    normalization, which the paper found to leave marks in large images, but kernels
    that start at a tenth of He's deviation. Then enlargement by nearest neighbors,
    and convolutions.

    Args:
        shape: As for `espcn`.
        scale: 2, 3 or 4. Defaults to `4`.
        width: Channels. Defaults to `64`.
        blocks: How many. Defaults to `23`.
        growth: Channels that each convolution of a dense block adds. Defaults to `32`.
        skip: As for `espcn`. Defaults to `True`.

    Example:

    >>> rrdb((8, 8, 3), scale=2, width=4, blocks=1, growth=2).output_shape
    (None, 16, 16, 3)

    Reference: [Wang et al., 2018](https://arxiv.org/abs/1809.00219)
    """
    channels, factors = _checked(shape, scale)
    inputs = keras.Input(shape)
    first = x = convolve(inputs, width, 3)
    for _ in range(blocks):
        y = x
        for _ in range(3):
            y = _scaled_sum(y, _dense_block(y, width, growth))
        x = _scaled_sum(x, y)
    x = layers.Add()([first, convolve(x, width, 3)])
    for factor in factors:
        x = _leaky(convolve(upsample(x, factor), width, 3))
    x = _leaky(convolve(x, width, 3))
    return _model(inputs, convolve(x, channels, 3, **_last(skip)), scale, skip)


def _leaky(x):
    return layers.LeakyReLU(negative_slope=0.2)(x)


def _scaled_sum(x, y):
    return layers.Add()([x, layers.Rescaling(0.2)(y)])


def _dense_block(x, width, growth):
    seen = [x]
    for _ in range(4):
        joined = layers.Concatenate()(seen) if len(seen) > 1 else x
        seen.append(_leaky(convolve(joined, growth, 3, **_tenth_of_he())))
    return convolve(layers.Concatenate()(seen), width, 3, **_tenth_of_he())


def _tenth_of_he():
    kernel = keras.initializers.VarianceScaling(0.02, "fan_in", "untruncated_normal")
    return {"kernel_initializer": kernel}


def srgan_discriminator(shape, width=64, dense=1024, normalization="batch"):
    """Returns SRGAN's discriminator: eight convolutions, two dense layers, one logit.

    Convolutions of 3x3, every second one of stride 2; channels double from the width
    to eight times it. LeakyReLU of slope 0.2; all are normalized but the first.

    Args:
        shape: (height, width, channels) of the large image, all known.
        width: Channels of the first two layers. Defaults to `64`.
        dense: Units of the layer before the logit. Defaults to `1024`.
        normalization: `"batch"`, `"instance"`, `"layer"`, `"group"` or `None`. Defaults
            to `"batch"`.

    Example:

    >>> srgan_discriminator((32, 32, 3), width=4, dense=8).output_shape
    (None, 1)

    Reference: [Ledig et al., 2017](https://arxiv.org/abs/1609.04802)
    """
    sides, _ = require_shape(shape, ranks=(2,))
    must = "(height, width, channels), all known"
    require_argument(None not in sides, "shape", must, tuple(shape))
    inputs = x = keras.Input(shape)
    for index in range(8):
        kind = normalization if index else None
        strides, filters = 1 + index % 2, width * 2 ** (index // 2)
        x = convolve(x, filters, 3, strides, use_bias=kind is None)
        x = _leaky(normalize(x, kind))
    x = _leaky(layers.Dense(dense)(layers.Flatten()(x)))
    x = layers.Dense(1, dtype="float32")(x)
    return keras.Model(inputs, x, name="discriminator")
