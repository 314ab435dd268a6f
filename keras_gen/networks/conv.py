"""Convolutional autoencoders for images."""

import keras
from keras import layers

from keras_gen.layers import MaskedConv2D
from keras_gen.networks.dcgan import halvings


def conv_autoencoder(
    shape,
    latent_dim=16,
    width=32,
    activation="relu",
    numbers=1,
    context_shape=None,
    variational=True,
):
    """Returns (encoder, decoder): strided convolutions and their mirror image.

    The encoder ends in mean and log-variance of the posterior, `2 * latent_dim`
    numbers; the decoder in one number for each value, such as a logit.

    Args:
        shape: (height, width, channels): sides multiples of 4 from 8 to 128, 1 or 3
            channels.
        latent_dim: Integer. Defaults to `16`.
        width: Channels of the first layer, doubled at each halving. Defaults to `32`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        numbers: How many numbers the decoder gives for each value; 2 for a
            likelihood with a scale "per_value". Defaults to `1`.
        context_shape: Tuple, the shape of a context that both networks take as a
            second input: a vector, which the encoder sees with its features and as
            planes next to the image. Defaults to `None`.
        variational: Whether the encoder ends in mean and log-variance, or in the code
            itself. Defaults to `True`.

    Example:

    >>> encoder, decoder = conv_autoencoder((28, 28, 1), latent_dim=8)
    >>> encoder.output_shape, decoder.output_shape
    ((None, 16), (None, 28, 28, 1))
    """
    code = 2 * latent_dim if variational else latent_dim
    encoder = conv_encoder(shape, code, width, activation, context_shape)
    outputs = (*shape[:2], shape[2] * numbers)
    decoder = conv_decoder(outputs, latent_dim, width, activation, context_shape)
    return encoder, decoder


def conv_encoder(shape, outputs, width=32, activation="relu", context_shape=None):
    """Returns a network of strided convolutions from images to vectors.

    Args:
        shape: As for `conv_autoencoder`.
        outputs: How many numbers it gives.
        width: As for `conv_autoencoder`. Defaults to `32`.
        activation: As for `conv_autoencoder`. Defaults to `"relu"`.
        context_shape: As for `conv_autoencoder`. Defaults to `None`.
    """
    inputs = x = keras.Input(shape)
    if context_shape is not None:
        context = keras.Input(context_shape, name="context")
        inputs = [inputs, context]
        planes = layers.Reshape((1, 1, *context_shape))(context)
        planes = layers.UpSampling2D(shape[:2])(planes)
        x = layers.Concatenate()([x, planes])
    for step in range(halvings(shape)[0]):
        x = layers.Conv2D(width * 2**step, 4, 2, "same", activation=activation)(x)
    x = layers.Flatten()(x)
    if context_shape is not None:
        x = layers.Concatenate()([x, context])
    x = layers.Dense(outputs, dtype="float32")(x)
    return keras.Model(inputs, x, name="encoder")


def conv_decoder(shape, latent_dim, width=32, activation="relu", context_shape=None):
    """Returns a network of transposed convolutions from codes to images.

    Args:
        shape: (height, width, numbers), the output's.
        latent_dim: Integer.
        width: Channels of the last hidden layer. Defaults to `32`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        context_shape: As for `conv_autoencoder`. Defaults to `None`.
    """
    count, base = halvings((*shape[:2], 1))
    inputs = x = keras.Input((latent_dim,))
    if context_shape is not None:
        context = keras.Input(context_shape, name="context")
        inputs = [inputs, context]
        x = layers.Concatenate()([x, context])
    channels = width * 2 ** (count - 1)
    x = layers.Dense(base[0] * base[1] * channels, activation)(x)
    x = layers.Reshape((*base, channels))(x)
    for step in reversed(range(1, count)):
        x = layers.Conv2DTranspose(
            width * 2 ** (step - 1), 4, 2, "same", activation=activation
        )(x)
    x = layers.Conv2DTranspose(shape[2], 4, 2, "same", dtype="float32")(x)
    return keras.Model(inputs, x, name="decoder")


def disentangling_autoencoder(shape, latent_dim=10, width=32):
    """Returns (encoder, decoder) with which disentanglement is usually compared.

    Four strided convolutions of 32, 32, 64 and 64 channels, three for images of 32
    pixels, and a dense layer of 256; the decoder mirrors them.

    Args:
        shape: (height, width, channels), sides 32 or 64.
        latent_dim: Integer. Defaults to `10`.
        width: Channels of the first convolutions. Defaults to `32`; other widths
            scale all convolutions.

    Reference: [Locatello et al., 2019](https://arxiv.org/abs/1811.12359)
    """
    if shape[:2] not in ((32, 32), (64, 64)):
        raise ValueError(
            f"Argument `shape` must have sides of 32 or 64. Received: shape={shape}"
        )
    widths = (width, width, 2 * width, 2 * width)[: 3 if shape[0] == 32 else 4]
    inputs = x = keras.Input(shape)
    for channels in widths:
        x = layers.Conv2D(channels, 4, 2, "same", activation="relu")(x)
    x = layers.Dense(256, "relu")(layers.Flatten()(x))
    x = layers.Dense(2 * latent_dim, dtype="float32")(x)
    encoder = keras.Model(inputs, x, name="encoder")
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(256, "relu")(inputs)
    x = layers.Dense(4 * 4 * widths[-1], "relu")(x)
    x = layers.Reshape((4, 4, widths[-1]))(x)
    for channels in reversed(widths[:-1]):
        x = layers.Conv2DTranspose(channels, 4, 2, "same", activation="relu")(x)
    x = layers.Conv2DTranspose(shape[2], 4, 2, "same", dtype="float32")(x)
    return encoder, keras.Model(inputs, x, name="decoder")


def masked_decoder(
    shape,
    latent_dim,
    width=32,
    kernel_size=11,
    depth=2,
    hidden=(128, 128),
    numbers=1,
):
    """Returns a decoder of [code, image] that sees the pixels before each one.

    A masked convolution over the pixels already seen, to which dense layers of the code
    add coarse planes, of a quarter of the sides where these divide; then layers of
    1x1. The pixels say so much, and so much sooner than the code does, that the code
    may never be used: see `losses.FreeBits`.

    Args:
        shape: (height, width, channels).
        latent_dim: Integer.
        width: Channels of the hidden layers. Defaults to `32`.
        kernel_size: Side of the masked convolution. Defaults to `11`.
        depth: Hidden layers after the code has joined. Defaults to `2`.
        hidden: Units of the dense layers of the code. Defaults to `(128, 128)`.
        numbers: Numbers for each value, as for `conv_autoencoder`. Defaults to `1`.

    Reference: [Gulrajani et al., 2017](https://arxiv.org/abs/1611.05013)
    """
    code, image = keras.Input((latent_dim,)), keras.Input(shape, name="image")
    planes = code
    for units in hidden:
        planes = layers.Dense(units, activation="relu")(planes)
    coarse = [4 if side % 4 == 0 else 1 for side in shape[:2]]
    base = [side // c for side, c in zip(shape, coarse, strict=False)]
    planes = layers.Dense(base[0] * base[1] * 8)(planes)
    planes = layers.Conv2D(width, 1)(layers.Reshape((*base, 8))(planes))
    planes = layers.UpSampling2D(coarse)(planes)
    x = layers.Add()([MaskedConv2D(width, kernel_size, mask="A")(image), planes])
    x = layers.ReLU()(x)
    for _ in range(depth - 1):
        x = layers.Conv2D(width, 1, activation="relu")(x)
    x = layers.Conv2D(shape[2] * numbers, 1, dtype="float32")(x)
    return keras.Model([code, image], x, name="decoder")
