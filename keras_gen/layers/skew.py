"""Images whose diagonals are made columns.

The file needs Keras alone.
"""

from keras import ops


def skew(x):
    """Shifts each row by one column against the one above it: diagonals are columns.

    (batch, height, width, channels) to (batch, height, width + height - 1, channels),
    y[r, c + r] = x[r, c] and zero elsewhere: all pixels with the same r + c are in one
    column. Height and width must be known.

    Args:
        x: Tensor.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(1, 7), (1, 2, 3, 1))
    >>> keras.ops.convert_to_numpy(skew(x)[0, ..., 0])
    array([[1, 2, 3, 0],
           [0, 4, 5, 6]], dtype=int32)

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """
    height, width, channels = x.shape[1:]
    # Rows read on end, each with `height` zeros: cut one shorter, they fall back.
    x = ops.pad(x, ((0, 0), (0, 0), (0, height), (0, 0)))
    x = ops.reshape(x, (-1, height * (width + height), channels))
    return ops.reshape(x[:, :-height], (-1, height, width + height - 1, channels))


def unskew(x):
    """Undoes `skew`: (batch, height, width + height - 1, channels) to images.

    Args:
        x: Tensor.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(1, 7), (1, 2, 3, 1))
    >>> keras.ops.convert_to_numpy(unskew(skew(x))[0, ..., 0])
    array([[1, 2, 3],
           [4, 5, 6]], dtype=int32)
    """
    height, columns, channels = x.shape[1:]
    x = ops.reshape(x, (-1, height * columns, channels))
    x = ops.pad(x, ((0, 0), (0, height), (0, 0)))
    x = ops.reshape(x, (-1, height, columns + 1, channels))
    return x[:, :, : columns - height + 1]


def shift_down(x):
    """Returns x one place further along axis 1, its first place zero.

    Args:
        x: Tensor of three or more axes.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(1, 4), (1, 3, 1))
    >>> keras.ops.convert_to_numpy(shift_down(x)[0, :, 0])
    array([0, 1, 2], dtype=int32)
    """
    zero = ops.zeros_like(x[:, :1])
    return ops.concatenate([zero, x[:, :-1]], axis=1)
