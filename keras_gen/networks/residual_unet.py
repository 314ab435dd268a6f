"""Residual networks that keep a size, told a time and a context: those of diffusion."""

import keras
from keras import layers

from keras_gen.arguments import require_argument, require_int
from keras_gen.networks.blocks import (
    attention_block,
    convolve,
    crop_to,
    normalize,
    require_shape,
    residual_block,
    time_embedding,
    upsample,
)


def residual_unet(
    shape,
    outputs=None,
    width=32,
    multipliers=(1, 2, 2),
    blocks=1,
    *,
    attention=(),
    heads=1,
    normalization="group",
    dropout=0.0,
    time=False,
    context_shape=None,
    activation=None,
):
    """Returns a U-Net of residual blocks, for sequences, images and volumes.

    Residual blocks at every level, halvings by strided convolutions between them; on
    the way up each block sees what one on the way down gave, and there is one more of
    them at each level. Time and context become one vector, which scales and shifts
    channels inside of every block. The last layer starts at zero.

    Inputs are x, then the time if there is one, then the context.

    Args:
        shape: (sides..., channels), one to three sides. A side may be `None`: its sizes
            are then multiples of 2^(levels - 1).
        outputs: Channels of the output. Defaults to `None`: the input's.
        width: Channels of the first layer, even. Defaults to `32`.
        multipliers: How many times as many each level has; there are as many levels.
            Defaults to `(1, 2, 2)`.
        blocks: Residual blocks at each level on the way down. Defaults to `1`.
        attention: The levels, counted from `0`, whose blocks are followed by
            self-attention, which costs the square of the number of places. Defaults to
            `()`.
        heads: Of the self-attention. Defaults to `1`.
        normalization: `"batch"`, `"instance"`, `"layer"`, `"group"` or `None`. Defaults
            to `"group"`.
        dropout: Rate in the residual blocks. Defaults to `0.0`.
        time: Whether a time for each example, (batch,), is the second input; a float is
            what it is multiplied by, `1000.0` for times in [0, 1] that shall be told
            apart as a thousand steps are. Defaults to `False`.
        context_shape: The shape of a vector that is the last input. Defaults to `None`.
        activation: That of the output. Defaults to `None`.

    Example:

    >>> network = residual_unet((28, 28, 1), width=8, time=True, context_shape=(10,))
    >>> [part.shape for part in network.inputs], network.output_shape
    ([(None, 28, 28, 1), (None,), (None, 10)], (None, 28, 28, 1))

    Reference: [Ho et al., 2020](https://arxiv.org/abs/2006.11239)
    """
    _, channels = require_shape(shape)
    blocks = require_int("blocks", blocks, 1)
    levels = len(multipliers)
    must = f"levels from 0 to {levels - 1}"
    require_argument(set(attention) <= set(range(levels)), "attention", must, attention)
    inputs = [keras.Input(shape)]
    conditions, embedding = _embedding(width, time, context_shape)

    def block(x, level):
        filters = width * multipliers[level]
        x = residual_block(x, filters, embedding, normalization, dropout)
        return attention_block(x, heads, normalization) if level in attention else x

    x = _down_and_up(convolve(inputs[0], width, 3), levels, blocks, block)
    x = layers.Activation("silu")(normalize(x, normalization))
    x = convolve(
        *(x, outputs or channels, 3),
        activation=activation,
        kernel_initializer="zeros",
        dtype="float32",
    )
    inputs += conditions
    return keras.Model(inputs if conditions else inputs[0], x, name="network")


def _down_and_up(x, levels, blocks, block):
    skips = [x]
    for level in range(levels):
        if level:
            x = convolve(x, x.shape[-1], 3, 2)
            skips.append(x)
        for _ in range(blocks):
            x = block(x, level)
            skips.append(x)
    x = block(block(x, levels - 1), levels - 1)
    for level in reversed(range(levels)):
        for _ in range(blocks + 1):
            x = block(layers.Concatenate()([x, skips.pop()]), level)
        if level:
            x = crop_to(upsample(x), skips[-1].shape[1:-1])
            x = convolve(x, x.shape[-1], 3)
    return x


def _embedding(width, time, context_shape):
    """Returns inputs, and the vector that they become, `None` where there are none."""
    inputs, parts = [], []
    if time:
        inputs.append(keras.Input((), name="time"))
        parts.append(time_embedding(inputs[-1], 4 * width, float(time)))
    if context_shape is not None:
        must = "the shape of a vector"
        require_argument(len(context_shape) == 1, "context_shape", must, context_shape)
        inputs.append(keras.Input(context_shape, name="context"))
        parts.append(layers.Dense(4 * width)(inputs[-1]))
    if not parts:
        return inputs, None
    embedding = layers.Add()(parts) if len(parts) > 1 else parts[0]
    return inputs, layers.Activation("silu")(embedding)
