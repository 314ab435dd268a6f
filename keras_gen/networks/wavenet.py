"""Dilated gated convolutions over time, and the spectrograms that steer them."""

import keras
from keras import layers


def wavenet(channels, outputs, width=64, depth=8, kernel_size=3, context_channels=None):
    """Returns a network over time that sees far: (steps, channels) to (steps, outputs).

    Layer i is a convolution of dilation 2^i on both sides, whose halves are gated,
    tanh(a) sigmoid(b), given the context; it adds to what the next layer sees and to
    what goes to the end. `depth` layers of size 3 see 2^(depth + 1) - 1 steps. The last
    layer starts at zero. Any number of steps will do, the same for both inputs.

    Args:
        channels: Channels of the input.
        outputs: Channels of the output.
        width: Channels inside. Defaults to `64`.
        depth: How many layers. Defaults to `8`.
        kernel_size: Odd integer. Defaults to `3`.
        context_channels: Channels of a second input (steps, channels). Defaults to
            `None`.

    Example:

    >>> network = wavenet(4, 8, width=16, depth=3, context_channels=5)
    >>> [part.shape for part in network.inputs], network.output_shape
    ([(None, None, 4), (None, None, 5)], (None, None, 8))

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1609.03499)
    """
    inputs = keras.Input((None, channels))
    x, skipped, given, steered = layers.Dense(width)(inputs), [], inputs, None
    if context_channels is not None:
        context = keras.Input((None, context_channels), name="context")
        given = [inputs, context]
        steered = layers.Dense(2 * width * depth, use_bias=False)(context)
    for index in range(depth):
        gates = layers.Conv1D(
            2 * width, kernel_size, padding="same", dilation_rate=2**index
        )(x)
        if steered is not None:
            gates = layers.Add()([gates, _slice(steered, 2 * width * index, 2 * width)])
        y = layers.Multiply()(
            [
                layers.Activation("tanh")(_slice(gates, 0, width)),
                layers.Activation("sigmoid")(_slice(gates, width, width)),
            ]
        )
        skipped.append(layers.Dense(width)(y))
        if index < depth - 1:
            x = layers.Add()([x, layers.Dense(width)(y)])
    total = layers.Add()(skipped) if depth > 1 else skipped[0]
    end = layers.Dense(outputs, kernel_initializer="zeros", dtype="float32")
    return keras.Model(given, end(total), name="wavenet")


def _slice(x, start, size):
    return x[..., start : start + size]


def mel_upsampler(bands, stride, outputs=64):
    """Returns a network from log-mel spectrograms to one vector for each group.

    (frames, bands) to ((frames - 1) stride, outputs), linear: what lies between two
    frames depends on these two.

    Args:
        bands: How many mel bands there are.
        stride: Groups of samples from frame to frame.
        outputs: Channels of the output. Defaults to `64`.

    Example:

    >>> mel_upsampler(40, 8)(keras.ops.zeros((2, 5, 40))).shape
    TensorShape([2, 32, 64])
    """
    mel = keras.Input((None, bands), name="mel")
    # Speech and music lie between silence, log(1e-5), and log(1e4).
    x = layers.Rescaling(0.25, 1.0)(mel)
    x = layers.Conv1DTranspose(outputs, 2 * stride, stride)(x)
    return keras.Model(mel, layers.Cropping1D(stride)(x), name="upsampler")
