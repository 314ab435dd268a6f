"""What several networks are made of, for sequences, images and volumes.

Functions of symbolic tensors of shape (batch, sides..., channels) with one to three
sides.
"""

import math

import keras
from keras import layers

from keras_gen.arguments import require_argument, require_one_of
from keras_gen.layers import (
    Dropout,
    FiLM,
    InstanceNormalization,
    Planes,
    SinusoidalEmbedding,
)

NORMALIZATIONS = "batch", "instance", "layer", "group", None

_CONVOLUTIONS = layers.Conv1D, layers.Conv2D, layers.Conv3D
_TRANSPOSED = layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose
_CROPPING = layers.Cropping1D, layers.Cropping2D, layers.Cropping3D
_UPSAMPLING = layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D


def small_normal():
    """Returns a new initializer N(0, 0.02^2), that of most adversarial networks.

    One for each layer: an initializer draws the same numbers whenever it is called,
    from a seed that it took when it was made.
    """
    return keras.initializers.RandomNormal(stddev=0.02)


def require_shape(shape, ranks=(1, 2, 3), multiple=1, least=1):
    """Returns (sides, channels) of a shape that is one of a network's input.

    Args:
        shape: (sides..., channels), `None` for a side of any size.
        ranks: How many sides there may be. Defaults to `(1, 2, 3)`.
        multiple: What sides are multiples of. Defaults to `1`.
        least: The shortest side. Defaults to `1`.
    """
    *sides, channels = shape
    known = [side for side in sides if side is not None]
    counts = {(1, 2, 3): "one to three sides", (2,): "two sides"}
    must = f"(sides..., channels) with {counts[tuple(ranks)]}"
    if multiple > 1:
        must += f", multiples of {multiple}"
    if least > 1:
        must += f", of at least {least}"
    valid = len(sides) in ranks and channels is not None and channels > 0
    valid = valid and all(s >= max(least, 1) and s % multiple == 0 for s in known)
    require_argument(valid, "shape", must, tuple(shape))
    return tuple(sides), channels


def rank_of(x):
    """Returns how many sides a tensor has."""
    return len(x.shape) - 2


def convolve(x, filters, size, strides=1, **options):
    """Returns a convolution of x, which keeps its sides but for the strides.

    Args:
        x: Symbolic tensor.
        filters: Channels of the output.
        size: Side of the kernel.
        strides: Defaults to `1`.
        **options: Arguments of `keras.layers.Conv2D`.
    """
    kind = _CONVOLUTIONS[rank_of(x) - 1]
    return kind(filters, size, strides, **{"padding": "same", **options})(x)


def convolve_transposed(x, filters, size, strides, **options):
    """Returns a transposed convolution of x, whose sides are `strides` times as long.

    Args:
        x: Symbolic tensor.
        filters: Channels of the output.
        size: Side of the kernel.
        strides: How many times longer the sides become.
        **options: Arguments of `keras.layers.Conv2DTranspose`.
    """
    kind = _TRANSPOSED[rank_of(x) - 1]
    return kind(filters, size, strides, **{"padding": "same", **options})(x)


def upsample(x, scale=2):
    """Returns x with each place repeated along every side.

    Args:
        x: Symbolic tensor.
        scale: How often. Defaults to `2`.
    """
    return _UPSAMPLING[rank_of(x) - 1](scale)(x)


def crop_to(x, sides):
    """Returns x without what is beyond sides that had been halved and rounded up.

    Args:
        x: Symbolic tensor.
        sides: The wanted ones, `None` where they are as they are.
    """
    extra = [
        0 if None in (have, want) else have - want
        for have, want in zip(x.shape[1:-1], sides, strict=True)
    ]
    if not any(extra):
        return x
    widths = [(0, more) for more in extra]
    widths = widths[0] if len(widths) == 1 else tuple(widths)
    return _CROPPING[rank_of(x) - 1](widths)(x)


def normalize(x, kind):
    """Returns x normalized.

    Args:
        x: Symbolic tensor.
        kind: `"batch"`: over examples and places, all replicas together;
            `"instance"`: over places; `"layer"`: over places and channels, with a scale
            and a shift for each number, so that sides must be known; `"group"`: over
            places and groups of at least four channels, at most 32 of them; `None`: as
            it is.
    """
    require_one_of("normalization", kind, NORMALIZATIONS)
    if kind == "batch":
        layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=True)
    elif kind == "instance":
        layer = InstanceNormalization()
    elif kind == "layer":
        require_argument(
            None not in x.shape[1:],
            "normalization",
            "another than 'layer' where sides are not known",
            repr(kind),
        )
        layer = layers.LayerNormalization(axis=tuple(range(1, len(x.shape))))
    elif kind == "group":
        channels = x.shape[-1]
        groups = math.gcd(channels, min(32, max(channels // 4, 1)))
        layer = layers.GroupNormalization(groups, epsilon=1e-5)
    else:
        return x
    return layer(x)


def with_code(shape, latent_dim, name="source"):
    """Returns (inputs, x): a source, or [code, source], and what convolutions see.

    A code is shown as planes beside the source.

    Args:
        shape: The source's.
        latent_dim: Numbers of the code, `0` for none.
        name: The source's. Defaults to `"source"`.
    """
    source = keras.Input(shape, name=name)
    if not latent_dim:
        return source, source
    code = keras.Input((latent_dim,), name="code")
    return [code, source], Planes()([source, code])


def residual_block(x, filters, embedding=None, normalization="group", dropout=0.0):
    """Returns x + f(x), f two convolutions of size 3 after normalization and SiLU.

    The second one starts at zero, so that the block starts as the identity, or as a
    convolution of 1x1 where the channels change.

    Args:
        x: Symbolic tensor.
        filters: Channels of the output.
        embedding: Symbolic tensor (batch, numbers), which scales and shifts the
            channels between the two convolutions. Defaults to `None`.
        normalization: As for `normalize`. Defaults to `"group"`.
        dropout: Rate before the second convolution. Defaults to `0.0`.

    Reference: [Dhariwal and Nichol, 2021](https://arxiv.org/abs/2105.05233)
    """
    y = layers.Activation("silu")(normalize(x, normalization))
    y = normalize(convolve(y, filters, 3), normalization)
    if embedding is not None:
        y = FiLM()([y, embedding])
    y = layers.Activation("silu")(y)
    if dropout:
        y = Dropout(dropout)(y)
    y = convolve(y, filters, 3, kernel_initializer="zeros")
    if x.shape[-1] != filters:
        x = convolve(x, filters, 1)
    return layers.Add()([x, y])


def attention_block(x, heads=1, normalization="group"):
    """Returns x + attention(normalized x), in which every place sees all places.

    Time and memory grow with the square of the number of places.

    Args:
        x: Symbolic tensor.
        heads: How many attend, each on its part of the channels. Defaults to `1`.
        normalization: As for `normalize`. Defaults to `"group"`.

    Reference: [Ho et al., 2020](https://arxiv.org/abs/2006.11239)
    """
    channels = x.shape[-1]
    require_argument(
        heads > 0 and channels % heads == 0,
        "heads",
        f"a divisor of the {channels} channels",
        heads,
    )
    places = tuple(range(1, rank_of(x) + 1))
    attention = layers.MultiHeadAttention(
        heads, channels // heads, attention_axes=places
    )
    y = normalize(x, normalization)
    return layers.Add()([x, attention(y, y)])


def time_embedding(t, width, scale=1.0):
    """Returns a vector for each time: sinusoids and two dense layers.

    Args:
        t: Symbolic tensor (batch,).
        width: How many numbers, even.
        scale: By which t is multiplied, as for `SinusoidalEmbedding`. Defaults to
            `1.0`.

    Reference: [Ho et al., 2020](https://arxiv.org/abs/2006.11239)
    """
    y = SinusoidalEmbedding(width, scale)(t)
    return layers.Dense(width)(layers.Dense(width, "silu")(y))
