"""A source over arrays that the user holds."""

import numpy as np

from keras_gen.arguments import require_int
from keras_gen.data.memory import in_memory
from keras_gen.data.source import Source
from keras_gen.data.space import Points, space_of


def from_array(x, y=None, *, levels=256, name="array"):
    """Returns a `Source` over arrays in memory.

    Args:
        x: Examples, first axis first. Integers from 0 to levels - 1 are divided by
            levels - 1; floats are taken as they are, and images and video must
            lie in [0, 1] already.
        y: Labels, integers from zero up, or -1 where the label is not known. Defaults
            to `None`.
        levels: How many values a pixel can take; `None` for continuous floats.
            Defaults to 256.
        name: What to call the dataset. Defaults to `"array"`.

    Example:

    >>> x = np.zeros((6, 8, 8, 1), "uint8")
    >>> source = keras_gen.data.from_array(x, y=[0, 1, 2, 0, 1, 2])
    >>> source.shape, source.classes, source.levels
    ((8, 8, 1), 3, 256)
    """
    x = np.asarray(x)
    if x.ndim < 2 or not len(x):
        raise ValueError(
            "Argument `x` must hold at least one example along its first axis and "
            f"have a further axis. Received: x of shape {x.shape}"
        )
    if levels is not None:
        require_int("levels", levels, least=2)
    x = _floats(x) if np.issubdtype(x.dtype, np.floating) else _integers(x, levels)
    y = None if y is None else _labels(y, len(x))
    read = in_memory(x, levels)
    return Source(read, len(x), x.shape[1:], name=name, levels=levels, y=y)


def _floats(x):
    finite = np.isfinite(x).reshape(len(x), -1).all(axis=1)
    if not finite.all():
        raise ValueError(
            "Argument `x` must be finite; remove or repair the examples that hold NaN "
            f"or infinity. Received: x with the first at index {finite.argmin()}"
        )
    pictures = not isinstance(space_of(x.shape[1:]), Points)
    if pictures and (x.min() < 0 or x.max() > 1):
        raise ValueError(
            "Argument `x` must lie in [0, 1] when it holds images of floats; rescale "
            f"it or pass integers. Received: x in [{x.min():g}, {x.max():g}]"
        )
    return x.astype("float32", copy=False)


def _integers(x, levels):
    if x.dtype.kind not in "bui":
        raise ValueError(
            "Argument `x` must hold numbers, integers or floats. "
            f"Received: x of dtype {x.dtype}"
        )
    if levels is None or x.min() < 0 or x.max() > levels - 1:
        raise ValueError(
            "Argument `levels` must be the number of values that the integers in `x` "
            "can take, which run from 0 to levels - 1. "
            f"Received: levels={levels} and x in [{x.min()}, {x.max()}]"
        )
    return x.astype("uint8" if levels <= 256 else "int32", copy=False)


def _labels(y, examples):
    y = np.asarray(y)
    if y.shape != (examples,):
        raise ValueError(
            f"Argument `y` must have one label for each of the {examples} examples. "
            f"Received: y of shape {y.shape}"
        )
    if y.dtype.kind not in "bui" or y.min() < -1 or y.max() < 0:
        raise ValueError(
            "Argument `y` must hold integers from zero up, or -1 where the label is "
            "not known. "
            f"Received: y of dtype {y.dtype}, values from {y.min()} to {y.max()}"
        )
    return y
