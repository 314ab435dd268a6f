"""Embedded pairs of images whose truth is known: drawn shapes and slanted digits."""

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.data.array import from_array
from keras_gen.data.image_pairs import ImagePairs
from keras_gen.data.memory import on_cpu
from keras_gen.data.source import Source
from keras_gen.data.sprites import Sprites
from keras_gen.data.view import View

_LOOKS = (10, 20, 40)
_TRAIN, _TEST = 20_000, 2000

_PAPER = ((0.98, 0.95, 0.89), (0.13, 0.17, 0.42))
_BOARD = ((0.11, 0.24, 0.20), (0.99, 0.90, 0.55))
_SLANT = 0.3


def outlines(split, image_size=32):
    """Returns outlines of sprites, and the sprites filled with color.

    The hue follows the orientation, so that it can be told from the outline: it goes
    once around while a shape turns until it looks the same again, a quarter turn of a
    square, a half of an ellipse, a whole of a heart. Small shapes are pale. They lie
    around the middle, and no two of the 82,320 outlines are alike; 20,000 are the
    train split, 2,000 the test split.

    Args:
        split: `"train"` or `"test"`.
        image_size: Side of the images, at least 16. Defaults to 32.
    """
    require_int("image_size", image_size, least=16)
    # Two thirds of the frame hold the shapes whose centers are near the middle.
    sprites = Sprites(image_size * 3 // 2)
    chosen = {"train": slice(_TRAIN), "test": slice(_TRAIN, _TRAIN + _TEST)}[split]
    numbers = np.random.default_rng(0).permutation(_distinct(sprites))[chosen]
    numbers, edge = on_cpu(numbers), (sprites.image_size - image_size) // 2

    def read(i):
        x = _drawn(sprites, sprites.factors_of(tf.gather(numbers, i)))
        return x[:, edge : edge + image_size, edge : edge + image_size]

    shape = (image_size, image_size, 4)
    both = Source(read, len(numbers), shape, name="outlines", levels=256)
    return side_by_channel(both, 1)


def slanted_digits(split, image_size=32):
    """Returns scikit-learn's digits in ink on paper, and slanted in chalk on a board.

    target(x, y) = source(x + 0.3 y, y) in other colors, y downwards from the center

    Args:
        split: `"train"`, the first 1437 digits, or `"test"`, the other 360.
        image_size: Side of the images. Defaults to 32.
    """
    from sklearn import datasets

    parts = {"train": slice(0, 1437), "test": slice(1437, None)}
    digits = datasets.load_digits().images[parts[split], ..., None] / 16
    with tf.device("CPU:0"):
        gray = _enlarged(digits.astype("float32"), image_size)
        sides = [_colored(gray, *_PAPER), _colored(_slanted(gray), *_BOARD)]
    sources, targets = (from_array(x, name="slanted_digits") for x in sides)
    return ImagePairs(sources, targets)


def side_by_channel(both, channels):
    """Returns pairs of images that lie in the channels of one.

    Args:
        both: A `Source`.
        channels: How many of its channels are the source's.
    """
    height, width, total = both.shape
    first = View(both, lambda x: x[..., :channels], (height, width, channels))
    rest = View(both, lambda x: x[..., channels:], (height, width, total - channels))
    return ImagePairs(first, rest)


def _distinct(sprites):
    """Returns the numbers of central sprites, the first of those that look the same."""
    numbers = np.arange(sprites.examples)
    shape, _, turn, x, y = np.unravel_index(numbers, sprites.factor_sizes)
    central = np.isin(x, range(9, 23)) & np.isin(y, range(9, 23))
    return numbers[central & (turn < np.take(_LOOKS, shape))]


def _drawn(sprites, factors):
    """Returns outlines and filled shapes, one channel and three."""
    distance = sprites.distances(factors)
    thick = 0.025 * sprites.image_size
    line = tf.clip_by_value(0.5 * (thick + 1) - tf.abs(distance), 0, 1)
    inside = tf.clip_by_value(0.5 * (thick + 1) - distance, 0, 1)
    depth = tf.clip_by_value(-distance / (0.15 * sprites.image_size), 0, 1)
    color = _color_of(factors)[:, None, None] * (0.75 + 0.25 * tf.sqrt(depth))
    filled = inside * color + (1 - inside) * (0.97, 0.96, 0.93)
    return tf.round(255 * tf.concat([1 - line, filled], axis=-1)) / 255


def _color_of(factors):
    """Returns a color for each row of factors: hue by turn, saturation by scale."""
    looks = tf.gather(_LOOKS, factors[:, 0])
    phase = tf.cast(factors[:, 2], "float32") / tf.cast(looks, "float32")
    strength = 0.45 + 0.1 * tf.cast(factors[:, 1], "float32")
    ones = tf.ones_like(phase)
    return tf.image.hsv_to_rgb(tf.stack([phase, strength, 0.95 * ones], axis=-1))


def _enlarged(digits, size):
    """Returns digits of three quarters of the frame, their edges sharpened."""
    inner = round(0.75 * size)
    x = tf.image.resize(digits, (inner, inner), "bicubic")
    x = tf.image.resize_with_crop_or_pad(x, size, size)
    return tf.clip_by_value(0.5 + 1.8 * (x - 0.45), 0.0, 1.0)


def _slanted(x):
    size = x.shape[1]
    shift = -_SLANT * (size - 1) / 2
    matrix = tf.constant([[1.0, _SLANT, shift, 0.0, 1.0, 0.0, 0.0, 0.0]])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=x,
        transforms=matrix,
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _colored(x, ground, ink):
    """Returns gray images as uint8 between the colors of the ground and the ink."""
    ground, ink = np.array(ground, "float32"), np.array(ink, "float32")
    return np.round(255 * (ground + x.numpy() * (ink - ground))).astype("uint8")
