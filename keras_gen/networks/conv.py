"""Convolutional networks for images: autoencoders and the conditioners of flows."""

import keras
from keras import layers

from keras_gen.networks.dcgan import halvings


def conv_autoencoder(shape, latent_dim=16, width=32, activation="relu"):
    """Returns (encoder, decoder): strided convolutions and their mirror image.

    The encoder ends in mean and log-variance of the posterior, `2 * latent_dim`
    numbers; the decoder in one number for each value, such as a logit.

    Args:
        shape: (height, width, channels): sides multiples of 4 from 8 to 128, 1 or 3
            channels.
        latent_dim: Integer. Defaults to `16`.
        width: Channels of the first layer, doubled at each halving. Defaults to `32`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.

    Example:

    >>> encoder, decoder = conv_autoencoder((28, 28, 1), latent_dim=8)
    >>> encoder.output_shape, decoder.output_shape
    ((None, 16), (None, 28, 28, 1))
    """
    count, base = halvings(shape)
    inputs = x = keras.Input(shape)
    for step in range(count):
        x = layers.Conv2D(width * 2**step, 4, 2, "same", activation=activation)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(2 * latent_dim, dtype="float32")(x)
    encoder = keras.Model(inputs, x, name="encoder")

    channels = width * 2 ** (count - 1)
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(base[0] * base[1] * channels, activation)(inputs)
    x = layers.Reshape((*base, channels))(x)
    for step in reversed(range(1, count)):
        x = layers.Conv2DTranspose(
            width * 2 ** (step - 1), 4, 2, "same", activation=activation
        )(x)
    x = layers.Conv2DTranspose(shape[2], 4, 2, "same", dtype="float32")(x)
    return encoder, keras.Model(inputs, x, name="decoder")


def conv_conditioner(shape, outputs, width=64, activation="relu"):
    """Returns a network that keeps an image's size, for the couplings of a flow.

    Convolutions of 3x3, 1x1 and 3x3; the last one starts at zero, so that a coupling
    starts as the identity.

    Args:
        shape: (height, width, channels).
        outputs: Channels of the output.
        width: Channels of the hidden layers. Defaults to `64`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.

    Reference: [Kingma and Dhariwal, 2018](https://arxiv.org/abs/1807.03039)
    """
    inputs = keras.Input(shape)
    x = layers.Conv2D(width, 3, padding="same", activation=activation)(inputs)
    x = layers.Conv2D(width, 1, activation=activation)(x)
    x = layers.Conv2D(
        outputs, 3, padding="same", kernel_initializer="zeros", dtype="float32"
    )(x)
    return keras.Model(inputs, x, name="conditioner")
