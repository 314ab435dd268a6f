"""Stacks of masked convolutions: a pixel's outputs depend on the pixels before it."""

import itertools

import keras
from keras import layers

from keras_gen.layers import (
    CodeEmbedding,
    ConcatELU,
    DownConv2D,
    DownRightConv2D,
    Dropout,
    Gate,
    MaskedConv2D,
    ShiftDown,
    ShiftRight,
    Upscale,
)


def pixel_cnn(
    shape,
    outputs,
    depth=7,
    width=32,
    kernel_size=3,
    first_kernel_size=7,
    head=None,
    context_shape=None,
    dilations=(1,),
    colors=None,
    vocabulary=None,
):
    """Returns residual blocks of masked convolutions.

    A masked convolution of type A, then blocks of 1x1 to half of the channels, a masked
    convolution, and 1x1 back, around a sum; then two layers of 1x1. The pixels to the
    upper right of one stay unseen, see `gated_pixel_cnn`.

    Args:
        shape: (height, width, channels).
        outputs: How many outputs a pixel has, a multiple of its channels.
        depth: Blocks. Defaults to `7`.
        width: Channels inside a block, half of those outside; a multiple of the
            image's. Defaults to `32`.
        kernel_size: Of the masked convolutions. Defaults to `3`.
        first_kernel_size: Of the first one. Defaults to `7`.
        head: Channels of the layer before the last. Defaults to `None`: as outside a
            block.
        context_shape: Tuple, the shape of a vector that is a second input and moves all
            channels of each block. Defaults to `None`.
        dilations: How far apart the taps of the blocks' masked convolutions are, taken
            in turn: (1, 2, 4) sees further at the same cost. Defaults to `(1,)`.
        colors: The number of channels drawn one at a time, each given earlier ones: 1
            for a likelihood of all together, `losses.LogisticMixture`. Defaults to
            `None`: the image's channels.
        vocabulary: How many codes there are, where the "image" is a grid of codes,
            `data.Codes`, which are embedded as `width` numbers each. Defaults to
            `None`: it holds pixels.

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """
    make = maker()
    inputs, moved = image_inputs(shape, context_shape, make, vocabulary)
    masked = masked_maker(colors or shape[-1], make)
    x = _embedded(inputs[0], vocabulary, width, make)
    x = masked(2 * width, first_kernel_size, "A")(x)
    for rate in itertools.islice(itertools.cycle(dilations), depth):
        y = masked(width, 1)(make(layers.ReLU)(x))
        y = make(layers.ReLU)(moved(y))
        y = masked(width, kernel_size, dilation_rate=rate)(y)
        y = masked(2 * width, 1)(make(layers.ReLU)(y))
        x = make(layers.Add)([x, y])
    x = finished(x, outputs, head or 2 * width, masked, make)
    return keras.Model(one_or_list(inputs), x, name="pixel_cnn")


def gated_pixel_cnn(
    shape,
    outputs,
    depth=7,
    width=32,
    kernel_size=3,
    first_kernel_size=7,
    head=None,
    context_shape=None,
    dilations=(1,),
    colors=None,
    vocabulary=None,
):
    """Returns a vertical and a horizontal stack of gated convolutions: no blind spot.

    The vertical stack sees all rows above a pixel, the horizontal one the pixels to its
    left and, by 1x1, the vertical stack. Both multiply tanh by sigmoid; the horizontal
    one is residual.

    Args:
        shape: (height, width, channels).
        outputs: How many outputs a pixel has, a multiple of its channels.
        depth: Layers after the first. Defaults to `7`.
        width: Channels, a multiple of the image's. Defaults to `32`.
        kernel_size: Odd integer: rows above and columns to the left as far as half of
            it, and columns of the vertical stack. Defaults to `3`.
        first_kernel_size: That of the first layer. Defaults to `7`.
        head: Channels of the layer before the last. Defaults to `None`: `2 width`.
        context_shape: As for `pixel_cnn`. Defaults to `None`.
        dilations: As for `pixel_cnn`, of the layers after the first. Defaults to
            `(1,)`.
        colors: As for `pixel_cnn`. Defaults to `None`.
        vocabulary: As for `pixel_cnn`. Defaults to `None`.

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1606.05328)
    """
    make = maker()
    inputs, moved = image_inputs(shape, context_shape, make, vocabulary)
    masked = masked_maker(colors or shape[-1], make)
    across = _embedded(inputs[0], vocabulary, width, make)
    vertical = make(ShiftDown)(across)
    rates = [1, *itertools.islice(itertools.cycle(dilations), depth)]
    for index, rate in enumerate(rates):
        side = kernel_size if index else first_kernel_size
        # Behind the shift, the first layer's last row is the row above already.
        rows, apart = side // 2 + (index > 0), {"dilation_rate": rate}
        vertical = make(DownConv2D, 2 * width, (rows, side), **apart)(vertical)
        kind = "B" if index else "A"
        beside = masked(2 * width, (1, side), kind, **apart)(across)
        below = make(layers.Conv2D, 2 * width, 1)(vertical)
        gated = make(Gate)(moved(make(layers.Add)([beside, below])))
        vertical = make(Gate)(moved(vertical))
        y = masked(width, 1)(gated)
        across = make(layers.Add)([across, y]) if index else y
    x = finished(across, outputs, head or 2 * width, masked, make)
    return keras.Model(one_or_list(inputs), x, name="gated_pixel_cnn")


def pixel_cnn_pp(
    shape, outputs, depth=2, width=32, levels=3, dropout=0.5, context_shape=None
):
    """Returns gated residual blocks at several sizes, joined across.

    One stream sees the rows above, the other the pixels to the left, too. Both are made
    smaller by convolutions of stride 2 and larger again, and every layer of the way
    back sees its counterpart of the way there.

    Args:
        shape: (height, width, channels), both sides multiples of 2^(levels - 1).
        outputs: How many outputs a pixel has. Colors are not parted: see
            `losses.LogisticMixture`.
        depth: Blocks of each stream at each size, one more on the way back. Defaults to
            `2`; the paper has 5.
        width: Channels. Defaults to `32`; the paper has 160.
        levels: Sizes. Defaults to `3`.
        dropout: Rate within a block. Defaults to `0.5`.
        context_shape: As for `pixel_cnn`. Defaults to `None`.

    Reference: [Salimans et al., 2017](https://arxiv.org/abs/1701.05517)
    """
    _check_sides(shape, levels)
    make = maker()
    inputs, moved = image_inputs(shape, context_shape, make)
    image = inputs[0]

    def block(x, convolution, size, beside=None):
        y = make(convolution, width, size)(make(ConcatELU)(x))
        if beside is not None:
            beside = make(layers.Conv2D, width, 1)(make(ConcatELU)(beside))
            y = make(layers.Add)([y, beside])
        y = make(ConcatELU)(y)
        y = make(Dropout, dropout)(y) if dropout else y
        y = moved(make(convolution, 2 * width, size)(y))
        return make(layers.Add)([x, make(Gate, None)(y)])

    def both(up, left, skipped=None):
        """Returns the streams after a block of each."""
        beside = None if skipped is None else skipped[0]
        beside = up = block(up, DownConv2D, (2, 3), beside)
        if skipped is not None:
            beside = make(layers.Concatenate)([up, skipped[1]])
        return up, block(left, DownRightConv2D, (2, 2), beside)

    def larger(x):
        return make(Upscale)(make(layers.Conv2D, 4 * width, 1)(x))

    above = make(ShiftDown)(image)
    up = make(DownConv2D, width, (2, 3))(above)
    left = make(DownRightConv2D, width, (2, 1))(make(ShiftRight)(image))
    left = make(layers.Add)([make(DownConv2D, width, (1, 3))(above), left])
    skipped = [(up, left)]
    for level in range(levels):
        if level:
            up = make(DownConv2D, width, (2, 3), strides=2)(up)
            left = make(DownRightConv2D, width, (2, 2), strides=2)(left)
            skipped.append((up, left))
        for _ in range(depth):
            up, left = both(up, left)
            skipped.append((up, left))
    up, left = skipped.pop()
    for level in reversed(range(levels)):
        for _ in range(depth + (level < levels - 1)):
            up, left = both(up, left, skipped.pop())
        if level:
            up, left = larger(up), larger(left)
    left = make(layers.ELU)(left)
    x = make(layers.Conv2D, outputs, 1, dtype="float32")(left)
    return keras.Model(one_or_list(inputs), x, name="pixel_cnn_pp")


def _check_sides(shape, levels):
    coarsest = 2 ** (levels - 1)
    if levels < 1 or any(side % coarsest for side in shape[:2]):
        raise ValueError(
            f"Arguments `shape` and `levels` must fit: sides of whole multiples of "
            f"2^(levels - 1). Received: shape={shape}, levels={levels}"
        )


def maker():
    """Returns a maker of layers that are numbered within their network.

    TensorFlow orders sums by layer names, and Keras's default names depend on how many
    layers were created before: the same network would be rounded differently.
    """
    places = itertools.count()

    def make(kind, *args, **kwargs):
        return kind(*args, name=f"{kind.__name__.lower()}_{next(places):03}", **kwargs)

    return make


def masked_maker(colors, make):
    """Returns a maker of masked convolutions of an image of so many colors."""

    def masked(filters, kernel_size, mask="B", **kwargs):
        return make(MaskedConv2D, filters, kernel_size, mask, colors, **kwargs)

    return masked


def image_inputs(shape, context_shape, make, vocabulary=None):
    """Returns the inputs, and a function that moves channels by the context."""
    dtype = {} if vocabulary is None else {"dtype": "int32"}
    image = keras.Input(shape, name="image", **dtype)
    if context_shape is None:
        return [image], lambda x: x
    context = keras.Input(context_shape, name="context")

    def moved(x):
        bias = make(layers.Dense, x.shape[-1], use_bias=False)(context)
        return make(layers.Add)([x, make(layers.Reshape, (1, 1, x.shape[-1]))(bias)])

    return [image, context], moved


def _embedded(image, vocabulary, width, make):
    """Returns an image as it is, and codes as vectors."""
    return (
        image if vocabulary is None else make(CodeEmbedding, vocabulary, width)(image)
    )


def finished(x, outputs, head, masked, make):
    """Returns two layers of 1x1 on top of a stack."""
    x = masked(head, 1)(make(layers.ReLU)(x))
    return masked(outputs, 1, dtype="float32")(make(layers.ReLU)(x))


def one_or_list(inputs):
    """Returns inputs as a model with one, or with several, takes them."""
    return inputs if len(inputs) > 1 else inputs[0]
