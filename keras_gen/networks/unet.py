"""Networks from an image to an image of its size, with paths at every resolution."""

import math

import keras
from keras import layers

from keras_gen.arguments import require_argument, require_int
from keras_gen.layers import Dropout
from keras_gen.networks.blocks import (
    convolve,
    convolve_transposed,
    crop_to,
    normalize,
    require_shape,
    small_normal,
    with_code,
)


def _dropout(x, rate):
    return Dropout(rate, always=True)(x) if rate else x


def _depth(sides, depth):
    """Returns how often sides are halved, rounded up: by default until one is one."""
    known = [side for side in sides if side is not None]
    most = max(1, math.ceil(math.log2(min(known)))) if known else None
    if depth is None:
        must = "given where sides are not known"
        require_argument(len(known) == len(sides), "depth", must, depth)
        return most
    depth = require_int("depth", depth, 1)
    if most is not None:
        must = f"at most {most} for a side of {min(known)}"
        require_argument(depth <= most, "depth", must, depth)
    return depth


def unet(
    shape,
    outputs=None,
    width=64,
    depth=None,
    *,
    normalization="batch",
    dropout=0.5,
    latent_dim=0,
    activation="tanh",
):
    """Returns pix2pix's U-Net: down to one place and up, with paths at every size.

    Strided convolutions of 4x4 and LeakyReLU of slope 0.2 halve the sides, their
    channels doubled up to eight times the width; transposed convolutions and ReLU
    double them, each given beside its input what the encoder had at that size. What is
    the same in source and target, edges above all, need not pass through the middle.
    Layers are normalized but for the first, the middle one, which may have one place,
    and the last.

    Args:
        shape: (sides..., channels) of the source, one to three sides. A side may be
            `None`: its sizes are then multiples of 2^depth.
        outputs: Channels of the output. Defaults to `None`: the source's.
        width: Channels after the first layer. Defaults to `64`.
        depth: How often sides are halved, rounded up. Defaults to `None`: until the
            shortest is one place.
        normalization: `"batch"`, `"instance"`, `"layer"`, `"group"` or `None`. Defaults
            to `"batch"`.
        dropout: Rate in the first three blocks after the middle, in inference, too: it
            is the noise by which one source has several outputs. Defaults to `0.5`.
        latent_dim: Numbers of a code, which is then the first of two inputs and is
            shown as planes beside the source. Defaults to `0`: no code.
        activation: That of the output. Defaults to `"tanh"`.

    Example:

    >>> unet((32, 48, 3), outputs=1, width=4).output_shape
    (None, 32, 48, 1)
    >>> unet((None, None, 3), width=4, depth=3)(keras.ops.ones((1, 16, 24, 3))).shape
    TensorShape([1, 16, 24, 3])

    Reference: [Isola et al., 2017](https://arxiv.org/abs/1611.07004)
    """
    sides, channels = require_shape(shape)
    depth = _depth(sides, depth)
    inputs, x = with_code(shape, latent_dim)
    skips = []
    for level in range(depth):
        x = layers.LeakyReLU(negative_slope=0.2)(x) if level else x
        kind = normalization if 0 < level < depth - 1 else None
        filters = width * min(2**level, 8)
        x = convolve(x, filters, 4, 2, **_kernel(kind))
        x = normalize(x, kind)
        skips.append(x)
    skips.pop()
    for level in range(depth - 1):
        skip = skips.pop()
        x = layers.ReLU()(x)
        x = convolve_transposed(x, skip.shape[-1], 4, 2, **_kernel(normalization))
        x = normalize(crop_to(x, skip.shape[1:-1]), normalization)
        x = _dropout(x, dropout if level < 3 else 0.0)
        x = layers.Concatenate()([x, skip])
    x = convolve_transposed(
        layers.ReLU()(x),
        outputs or channels,
        4,
        2,
        activation=activation,
        kernel_initializer=small_normal(),
        dtype="float32",
    )
    return keras.Model(inputs, crop_to(x, sides), name="generator")


def _kernel(normalization):
    return {"use_bias": normalization is None, "kernel_initializer": small_normal()}
