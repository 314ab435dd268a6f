"""Networks from an image to an image that work at a quarter of its size."""

import keras
from keras import layers

from keras_gen.layers import ReflectionPadding
from keras_gen.networks.blocks import (
    convolve,
    convolve_transposed,
    normalize,
    require_shape,
    small_normal,
    with_code,
)


def resnet_generator(
    shape,
    outputs=None,
    width=64,
    blocks=6,
    *,
    normalization="instance",
    latent_dim=0,
    activation="tanh",
):
    """Returns CycleGAN's generator: residual blocks between two halvings and doublings.

    A convolution of 7x7, two of stride 2 that double the channels, the blocks, two
    transposed convolutions and another one of 7x7. Convolutions that keep the size see
    the image reflected at its edges instead of zeros. What the source is is kept by the
    sums; the blocks change it. There is no path past them at full size, as `unet` has.

    Args:
        shape: (sides..., channels) of the source, one to three sides, multiples of 4
            from 8, or `None` for any of these.
        outputs: Channels of the output. Defaults to `None`: the source's.
        width: Channels after the first layer. Defaults to `64`.
        blocks: How many, `9` in the paper for images of 256. Defaults to `6`.
        normalization: `"batch"`, `"instance"`, `"layer"`, `"group"` or `None`. Defaults
            to `"instance"`.
        latent_dim: Numbers of a code, which is then the first of two inputs and is
            shown as planes beside the source. The first layer is not normalized then:
            what is the same at all places would be lost at once. Defaults to `0`: no
            code.
        activation: That of the output. Defaults to `"tanh"`.

    Example:

    >>> network = resnet_generator((None, None, 3), outputs=1, width=4, blocks=1)
    >>> network(keras.ops.ones((2, 16, 12, 3))).shape
    TensorShape([2, 16, 12, 1])

    Reference: [Zhu et al., 2017](https://arxiv.org/abs/1703.10593); the network is that
    of [Johnson et al., 2016](https://arxiv.org/abs/1603.08155)
    """
    _, channels = require_shape(shape, multiple=4, least=8)
    inputs, x = with_code(shape, latent_dim)
    kernel = {"use_bias": normalization is None}

    def following(x):
        return layers.ReLU()(normalize(x, normalization))

    if latent_dim:
        x = layers.ReLU()(_reflected(x, width, 7))
    else:
        x = following(_reflected(x, width, 7, **kernel))
    for factor in (2, 4):
        options = {**kernel, "kernel_initializer": small_normal()}
        x = following(convolve(x, factor * width, 3, 2, **options))
    for _ in range(blocks):
        y = following(_reflected(x, 4 * width, 3, **kernel))
        y = normalize(_reflected(y, 4 * width, 3, **kernel), normalization)
        x = layers.Add()([x, y])
    for factor in (2, 1):
        options = {**kernel, "kernel_initializer": small_normal()}
        x = following(convolve_transposed(x, factor * width, 3, 2, **options))
    x = _reflected(x, outputs or channels, 7, activation=activation, dtype="float32")
    return keras.Model(inputs, x, name="generator")


def _reflected(x, filters, size, **options):
    x = ReflectionPadding(size // 2)(x)
    options = {"kernel_initializer": small_normal(), **options}
    return convolve(x, filters, size, padding="valid", **options)
