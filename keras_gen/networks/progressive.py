"""Networks that grow, for images of 8 to 128 pixels."""

import keras
from keras import layers

from keras_gen.layers import (
    EqualizedLearningRate,
    Fade,
    MinibatchStandardDeviation,
    PixelNormalization,
)
from keras_gen.networks.dcgan import halvings


def progressive(shape, latent_dim=128, width=16, most=128, group_size=4):
    """Returns (generator, discriminator) of all resolutions, for `ProgressiveGAN`.

    Sides are halved while they are even and longer than four, at least twice: 32 starts
    at 4, 28 at 7, 8 at 2. Each block doubles them and has two 3x3 convolutions. The
    generator gives an image of every resolution and the discriminator takes one of
    each; the blocks below are shared.

    Args:
        shape: (height, width, channels): sides multiples of 4 from 8 to 128, 1 or 3
            channels.
        latent_dim: Integer. Defaults to `128`.
        width: Channels at the full resolution; each halving doubles them. Defaults to
            `16`.
        most: How many channels there are at most. Defaults to `128`.
        group_size: How many examples `MinibatchStandardDeviation` compares. Defaults to
            `4`.

    Example:

    >>> generator, discriminator = progressive((16, 16, 3), latent_dim=8, width=4)
    >>> [image.shape[1] for image in generator.outputs]
    [4, 8, 16]

    Reference: [Karras et al., 2018](https://arxiv.org/abs/1710.10196)
    """
    count, base = halvings(shape)
    sizes = [tuple(side * 2**level for side in base) for level in range(count + 1)]
    widths = [min(most, width * 2 ** (count - level)) for level in range(count + 1)]
    return (
        _generator(sizes, widths, shape[2], latent_dim),
        _discriminator(sizes, widths, shape[2], group_size),
    )


def _equalized(layer, gain=None):
    return EqualizedLearningRate(layer, gain, name=layer.name)


def _conv(channels, name, size=3, gain=None, dtype=None):
    layer = layers.Conv2D(channels, size, padding="same", name=name, dtype=dtype)
    return _equalized(layer, gain)


def _rectified(x):
    return layers.LeakyReLU(negative_slope=0.2)(x)


def _generator(sizes, widths, channels, latent_dim):
    code = keras.Input((latent_dim,), name="code")
    amount = keras.Input((1,), name="amount")
    height, width = sizes[0]
    x = PixelNormalization()(code)
    x = _equalized(layers.Dense(height * width * widths[0], name="dense"))(x)
    x = layers.Reshape((height, width, widths[0]))(x)
    x = PixelNormalization()(_rectified(x))
    x = PixelNormalization()(_rectified(_conv(widths[0], "conv_0")(x)))
    images = [_conv(channels, "image_0", 1, 1.0, "float32")(x)]
    below = images[0]
    for level, filters in enumerate(widths[1:], 1):
        x = layers.UpSampling2D()(x)
        for part in "ab":
            x = _rectified(_conv(filters, f"conv_{level}{part}")(x))
            x = PixelNormalization()(x)
        image = _conv(channels, f"image_{level}", 1, 1.0, "float32")(x)
        old = layers.UpSampling2D(dtype="float32")(below)
        images.append(Fade(dtype="float32")([old, image, amount]))
        below = image
    return keras.Model([code, amount], images, name="generator")


def _discriminator(sizes, widths, channels, group_size):
    inputs = [
        keras.Input((*size, channels), name=f"image_{level}")
        for level, size in enumerate(sizes)
    ]
    amount = keras.Input((1,), name="amount")
    seers = [_conv(width, f"see_{level}", 1) for level, width in enumerate(widths)]
    blocks = [
        [
            _conv(widths[level], f"conv_{level}a"),
            _conv(widths[level - 1], f"conv_{level}b"),
        ]
        for level in range(1, len(widths))
    ]
    last = (
        MinibatchStandardDeviation(group_size),
        _conv(widths[0], "conv_0"),
        layers.Flatten(),
        _equalized(layers.Dense(widths[0], name="dense")),
        _equalized(layers.Dense(1, name="logit", dtype="float32"), 1.0),
    )

    def logit(level):
        x = _rectified(seers[level](inputs[level]))
        for place in range(level, 0, -1):
            for conv in blocks[place - 1]:
                x = _rectified(conv(x))
            x = layers.AveragePooling2D(2)(x)
            if place == level:
                old = layers.AveragePooling2D(2)(inputs[level])
                x = Fade()([_rectified(seers[level - 1](old)), x, amount])
        compare, conv, flatten, dense, judge = last
        x = flatten(_rectified(conv(compare(x))))
        return judge(_rectified(dense(x)))

    logits = [logit(level) for level in range(len(sizes))]
    return keras.Model([*inputs, amount], logits, name="discriminator")
