"""Pairs for super-resolution: images reduced in size, and the images themselves."""

import tensorflow as tf

from keras_gen.arguments import require_argument, require_int
from keras_gen.data.image_pairs import ImagePairs
from keras_gen.data.source import Source
from keras_gen.data.space import Images
from keras_gen.data.view import View


def low_resolution(source, scale):
    """Returns pairs of images reduced in size, and the images themselves.

    The reduction is bicubic and antialiased, as in published results of
    super-resolution, clipped to [0, 1] and rounded to the levels that the data have, or
    to 8 bits.

    Args:
        source: A `Source` of images. For a folder of photographs of several sizes,
            `load(folder, crop=96)`.
        scale: Integer, at least 2: by how much each side becomes shorter.

    Example:

    >>> digits = keras_gen.data.load("digits")
    >>> pairs = keras_gen.data.low_resolution(digits, 2)
    >>> pairs.shape, pairs.target_shape
    ((4, 4, 1), (8, 8, 1))
    """
    require_int("scale", scale, least=2)
    good = isinstance(source, Source) and isinstance(source.space, Images)
    require_argument(good, "source", "a `Source` of images", source)
    height, width, channels = source.shape
    if height % scale or width % scale:
        raise ValueError(
            f"Argument `scale` must divide the sides of {width}x{height} images. "
            f"Received: scale={scale}"
        )
    small = Images((height // scale, width // scale, channels), source.levels or 256)

    def reduced(x):
        x = tf.image.resize(x, small.shape[:2], "bicubic", antialias=True)
        return small.round(tf.clip_by_value(x, 0.0, 1.0))

    sources = View(source, reduced, small.shape, small.levels)
    return ImagePairs(sources, View(source, lambda x: x))
