"""Masked recurrent networks over the pixels of an image."""

import keras
from keras import layers

from keras_gen.arguments import require_argument
from keras_gen.layers import DiagonalBiLSTM, RowLSTM
from keras_gen.networks.pixel_cnn import (
    finished,
    image_inputs,
    maker,
    masked_maker,
    one_or_list,
)

_CELLS = {"row_lstm": RowLSTM, "diagonal_bilstm": DiagonalBiLSTM}


def pixel_rnn(
    shape,
    outputs,
    cell="row_lstm",
    depth=7,
    filters=16,
    head=None,
    context_shape=None,
    colors=None,
):
    """Returns a network from an image to numbers for each value, given those before.

    A masked convolution of 7 x 7; then `depth` blocks x + W LSTM(x), whose LSTMs halve
    the features; then one layer of 1 x 1 and the outputs, each after a ReLU. Pixels
    are read row by row, the colors of a pixel one after the other, and outputs are
    interleaved: channel c belongs to color c mod channels.

    All that is earlier is seen in a network of diagonals, except for one value: a
    pixel's features stand at the pixel, and those of the last in a row lack its last
    color, which the row below sees only from the three columns next to it, through the
    window of 7 x 7. So it is in the paper.

    A context adds a bias of its own to what each LSTM sees, at all pixels alike.

    Args:
        shape: (height, width, channels).
        outputs: Channels of the output, a multiple of the image's.
        cell: `"row_lstm"`, which is fast, or `"diagonal_bilstm"`, which sees all
            earlier pixels. Defaults to `"row_lstm"`.
        depth: How many blocks. Defaults to `7`.
        filters: Units of an LSTM, a multiple of the image's channels; between blocks
            there are twice as many. Defaults to `16`.
        head: Channels of the last hidden layer, a multiple of the image's. Defaults to
            `None`: `2 * filters`.
        context_shape: Tuple, the shape of a vector that is a second input. Defaults to
            `None`.
        colors: As for `pixel_cnn`. Defaults to `None`: the image's channels.

    Example:

    >>> network = pixel_rnn((8, 8, 3), 12, depth=2, filters=6, context_shape=(10,))
    >>> [part.shape for part in network.inputs], network.output_shape
    ([(None, 8, 8, 3), (None, 10)], (None, 8, 8, 12))

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """
    head = 2 * filters if head is None else head
    colors = colors or shape[-1]
    _check(cell, colors, outputs=outputs, filters=filters, head=head)
    make = maker()
    inputs, moved = image_inputs(shape, context_shape, make)
    masked = masked_maker(colors, make)
    x = masked(2 * filters, 7, "A")(inputs[0])
    for _ in range(depth):
        y = make(_CELLS[cell], filters, channels=colors)(moved(x))
        x = make(layers.Add)([x, masked(2 * filters, 1)(y)])
    x = finished(x, outputs, head, masked, make)
    return keras.Model(one_or_list(inputs), x, name="pixel_rnn")


def _check(cell, colors, **channels):
    require_argument(cell in _CELLS, "cell", f"one of {sorted(_CELLS)}", repr(cell))
    for name, count in channels.items():
        must = f"a multiple of the image's {colors} colors"
        require_argument(count % colors == 0, name, must, count)
