"""Fully connected networks for vectors and small images."""

import math

import keras
from keras import layers


def mlp(
    shape,
    output_shape,
    hidden=(256, 256),
    activation="relu",
    output_activation=None,
    kernel_initializer="glorot_uniform",
    bias_initializer="zeros",
    output_initializer="glorot_uniform",
    context_shape=None,
    normalization=None,
    name=None,
):
    """Returns a network of dense layers between tensors of any two shapes.

    Args:
        shape: Tuple, the input's shape without the batch.
        output_shape: Tuple or integer, the output's shape without the batch.
        hidden: Widths of the hidden layers. Defaults to `(256, 256)`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        output_activation: Activation of the output. Defaults to `None`.
        kernel_initializer: Initializer of the hidden layers' kernels. Defaults to
            `"glorot_uniform"`.
        bias_initializer: Initializer of the hidden layers' biases. Defaults to
            `"zeros"`, which puts the kinks of ReLU networks at the origin; with few
            inputs, random biases are better.
        output_initializer: Initializer of the last layer's kernel. Defaults to
            `"glorot_uniform"`.
        context_shape: Tuple, the shape of a second input that is appended to the
            first. Defaults to `None`: one input.
        normalization: `"batch"` before each activation, or `None`. Defaults to `None`.
        name: String. Defaults to `None`.

    Example:

    >>> mlp((28, 28, 1), 10, hidden=(64,)).output_shape
    (None, 10)
    """
    output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape
    inputs = x = keras.Input(shape)
    if len(shape) > 1:
        x = layers.Flatten()(x)
    if context_shape is not None:
        context = keras.Input(context_shape, name="context")
        inputs = [inputs, context]
        flat = layers.Flatten()(context) if len(context_shape) > 1 else context
        x = layers.Concatenate()([x, flat])
    for width in hidden:
        x = layers.Dense(
            width,
            None if normalization else activation,
            use_bias=not normalization,
            kernel_initializer=_anew(kernel_initializer),
            bias_initializer=_anew(bias_initializer),
        )(x)
        if normalization:
            x = layers.BatchNormalization(momentum=0.9, synchronized=True)(x)
            x = layers.Activation(activation)(x)
    x = layers.Dense(
        math.prod(output_shape),
        output_activation,
        kernel_initializer=output_initializer,
        dtype="float32",
    )(x)
    if len(output_shape) > 1:
        x = layers.Reshape(output_shape, dtype="float32")(x)
    return keras.Model(inputs, x, name=name)


def _anew(initializer):
    """Returns an initializer for one layer: the same one would draw the same again."""
    made = keras.initializers.get(initializer)
    return type(made).from_config(made.get_config())


def mlp_autoencoder(
    shape,
    latent_dim=16,
    hidden=(512, 256),
    activation="relu",
    numbers=1,
    context_shape=None,
    variational=True,
):
    """Returns (encoder, decoder) of dense layers, mirrored.

    The encoder ends in mean and log-variance of the posterior, `2 * latent_dim`
    numbers; the decoder in one number for each value, such as a logit.

    Args:
        shape: Tuple, the data's shape.
        latent_dim: Integer. Defaults to `16`.
        hidden: The encoder's widths. Defaults to `(512, 256)`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        numbers: How many numbers the decoder gives for each value; 2 for a
            likelihood with a scale "per_value". Defaults to `1`.
        context_shape: Tuple, the shape of a context that both networks take as a
            second input. Defaults to `None`.
        variational: Whether the encoder ends in mean and log-variance, or in the code
            itself. Defaults to `True`.
    """
    outputs = (*shape[:-1], shape[-1] * numbers)
    both = {"activation": activation, "context_shape": context_shape}
    code = 2 * latent_dim if variational else latent_dim
    encoder = mlp(shape, code, hidden, name="encoder", **both)
    decoder = mlp((latent_dim,), outputs, hidden[::-1], name="decoder", **both)
    return encoder, decoder


def mlp_gan(shape, latent_dim=64, hidden=(256, 256), output_activation=None):
    """Returns (generator, discriminator) of dense layers.

    Args:
        shape: Tuple, the data's shape.
        latent_dim: Integer. Defaults to `64`.
        hidden: Widths of both. Defaults to `(256, 256)`.
        output_activation: Of the generator; `"tanh"` for images. Defaults to `None`.
    """
    generator = mlp(
        (latent_dim,),
        shape,
        hidden,
        output_activation=output_activation,
        name="generator",
    )
    return generator, mlp(shape, 1, hidden, "leaky_relu", name="discriminator")


def bigan(shape, latent_dim=50, hidden=(1024, 1024)):
    """Returns (generator, encoder, discriminator) of dense layers for images.

    The discriminator takes [image, code]; the other two are normalized.

    Args:
        shape: Tuple, the images' shape.
        latent_dim: Integer. Defaults to `50`.
        hidden: Widths of all three. Defaults to `(1024, 1024)`.

    Example:

    >>> generator, encoder, discriminator = bigan((28, 28, 1), 50, hidden=(64, 64))
    >>> [part.shape for part in discriminator.inputs]
    [(None, 28, 28, 1), (None, 50)]

    Reference: [Donahue et al., 2017](https://arxiv.org/abs/1605.09782)
    """
    code = (latent_dim,)
    common = {"hidden": hidden, "normalization": "batch"}
    return (
        mlp(code, shape, output_activation="tanh", name="generator", **common),
        mlp(shape, code, activation="leaky_relu", name="encoder", **common),
        mlp(shape, 1, hidden, "leaky_relu", context_shape=code, name="discriminator"),
    )
