"""The networks of couplings and autoregressive maps: they give a map's parameters."""

import numbers as kinds

import keras
import numpy as np
from keras import layers

from keras_gen.layers import MaskedDense


def conv_conditioner(
    shape, outputs, width=64, activation="relu", context_shape=None, hidden_size=1
):
    """Returns a network that keeps an image's size, for the couplings of a flow.

    Convolutions of 3x3, 1x1 and 3x3; the last one starts at zero, so that a coupling
    starts as the identity.

    Args:
        shape: (height, width, channels).
        outputs: Channels of the output.
        width: Channels of the hidden layers. Defaults to `64`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        context_shape: Tuple, the shape of a second input: a vector, which moves the
            channels of the first layer, or an image of the same size. Defaults to
            `None`.
        hidden_size: Side of the convolution in the middle. Defaults to `1`.

    Reference: [Kingma and Dhariwal, 2018](https://arxiv.org/abs/1807.03039)
    """
    inputs, x = _first(shape, width, context_shape)
    x = layers.Activation(activation)(x)
    x = layers.Conv2D(width, hidden_size, padding="same", activation=activation)(x)
    return keras.Model(inputs, _last(x, outputs), name="conditioner")


def residual_conditioner(
    shape, outputs, width=32, blocks=2, activation="relu", context_shape=None
):
    """Returns a residual network that keeps an image's size.

    Blocks of two convolutions of 3x3 around a sum; the last layer starts at zero.

    Args:
        shape: (height, width, channels).
        outputs: Channels of the output.
        width: Channels of the hidden layers. Defaults to `32`.
        blocks: How many. Defaults to `2`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        context_shape: As for `conv_conditioner`. Defaults to `None`.

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """
    inputs, x = _first(shape, width, context_shape)
    for _ in range(blocks):
        y = layers.Activation(activation)(x)
        y = layers.Conv2D(width, 3, padding="same", activation=activation)(y)
        y = layers.Conv2D(width, 3, padding="same")(y)
        x = layers.Add()([x, y])
    x = layers.Activation(activation)(x)
    return keras.Model(inputs, _last(x, outputs), name="conditioner")


def _first(shape, width, context_shape):
    """Returns the inputs, and the sum of their first layers."""
    inputs = keras.Input(shape)
    x = layers.Conv2D(width, 3, padding="same")(inputs)
    if context_shape is None:
        return inputs, x
    context = keras.Input(context_shape, name="context")
    if len(context_shape) == 1:
        moved = layers.Dense(width, use_bias=False)(context)
        moved = layers.Reshape((1, 1, width))(moved)
    else:
        moved = layers.Conv2D(width, 3, padding="same", use_bias=False)(context)
    return [inputs, context], layers.Add()([x, moved])


def _last(x, outputs):
    return layers.Conv2D(
        outputs, 3, padding="same", kernel_initializer="zeros", dtype="float32"
    )(x)


def made(
    size,
    numbers=1,
    hidden=(256, 256),
    activation="relu",
    order=None,
    context_shape=None,
    output_initializer="glorot_uniform",
    masks=1,
):
    """Returns a network whose outputs for a number depend on the numbers before it.

    Masked dense layers; hidden units have all degrees in turn. The outputs are blocks
    of `size`, side by side.

    Args:
        size: Integer, how many numbers the input has.
        numbers: How many outputs there are for each. Defaults to `1`.
        hidden: Widths of the hidden layers. Defaults to `(256, 256)`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        order: `None`: as the numbers stand; `"reverse"`; or an integer, the seed of a
            random order. Defaults to `None`.
        context_shape: Tuple, the shape of a vector that is a second input and which
            all outputs see. Defaults to `None`.
        output_initializer: Of the last layer. Defaults to `"glorot_uniform"`.
        masks: How many sets of masks there are, each of its own order. The last input,
            `which`, a scalar integer, then chooses one. `order` must be an integer;
            hidden units have random degrees. Defaults to `1`.

    Example:

    >>> made(4, 2, hidden=(8,)).output_shape
    (None, 8)

    Reference: [Germain et al., 2015](https://arxiv.org/abs/1502.03509)
    """
    degrees = input_degrees = _degrees(size, order, masks)
    inputs = [x] = [keras.Input((size,))]
    context, which = None, {}
    if context_shape is not None:
        context = keras.Input(context_shape, name="context")
        inputs.append(context)
    if masks > 1:
        which = {"which": keras.Input(batch_shape=(), dtype="int32", name="which")}
        inputs.append(which["which"])
    for index, width in enumerate(hidden):
        units = _hidden_degrees(width, size, degrees, order, index)
        x = MaskedDense(units, degrees)(x, **which)
        if context is not None and index == 0:
            x = layers.Add()([x, layers.Dense(width, use_bias=False)(context)])
        x = layers.Activation(activation)(x)
        degrees = units
    x = MaskedDense(
        _blocks(input_degrees, numbers),
        degrees,
        strict=True,
        kernel_initializer=output_initializer,
        dtype="float32",
    )(x, **which)
    if context is not None:
        # The first number has nothing before it: only this way does it see the context.
        direct = layers.Dense(
            size * numbers, use_bias=False, kernel_initializer=output_initializer
        )
        x = layers.Add(dtype="float32")([x, direct(context)])
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], x, name="made")


def _blocks(degrees, numbers):
    """Returns the degrees of as many outputs for each number, block by block."""
    if isinstance(degrees[0], list):
        return [_blocks(one, numbers) for one in degrees]
    return list(degrees) * numbers


def _hidden_degrees(width, size, before, order, index):
    """Returns degrees 1 to d - 1 in turn: what has degree d steers nothing.

    Fewer units are spread, or numbers beyond their degrees would steer nothing, too.
    With several masks they are random, none below the least degree of the layer before,
    or a unit would see nothing.
    """
    most = max(size - 1, 1)
    if isinstance(before[0], list):
        draw = np.random.default_rng((order, index))
        least = [min(min(one), most) for one in before]
        return [draw.integers(low, most + 1, width).tolist() for low in least]
    if width < most:
        return [round(float(degree)) for degree in np.linspace(1, most, width)]
    return [1 + unit % most for unit in range(width)]


def _degrees(size, order, masks):
    """Returns the place of each input in the order, from 1, or those of all masks."""
    if masks > 1:
        if not isinstance(order, kinds.Integral):
            raise ValueError(
                "Argument `order` must be an integer, a seed, where there are several "
                f"`masks`. Received: order={order!r}, masks={masks}"
            )
        draw = np.random.default_rng(order)
        return [(draw.permutation(size) + 1).tolist() for _ in range(masks)]
    if order is None:
        return list(range(1, size + 1))
    if order == "reverse":
        return list(range(size, 0, -1))
    if isinstance(order, kinds.Integral):
        places = np.random.default_rng(order).permutation(size) + 1
        return [int(place) for place in places]
    raise ValueError(
        "Argument `order` must be None, 'reverse', or a seed. "
        f"Received: order={order!r}"
    )
