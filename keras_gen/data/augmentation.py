"""Crops, flips and jitter of pairs of images, alike on both sides."""

import dataclasses

import tensorflow as tf

from keras_gen.arguments import require_argument, require_int
from keras_gen.data.space import Images


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Enlarges images, cuts a part out of them and flips some from left to right.

    Sides are counted in pixels of the coarser image of a pair; the finer one has
    `ratio` times as many, and is cut at the same places.

    Args:
        sides: Tuple (height, width) of the images.
        crop: Tuple (height, width) of the part that is cut out.
        flip: Whether half of the images are flipped. Defaults to `True`.
        jitter: Float, by how much they are enlarged, or `None`. Defaults to `None`.
    """

    sides: tuple
    crop: tuple
    flip: bool = True
    jitter: float | None = None

    @property
    def enlarged(self):
        """The sides after they were enlarged."""
        return tuple(round(side * (self.jitter or 1)) for side in self.sides)

    def draw(self, n, seed):
        """Draws for n images where to cut, int32 (n, 2), and which to flip, (n,).

        Args:
            n: How many.
            seed: A stateless seed of shape (2,).
        """
        spans = tf.constant(self.enlarged) - self.crop
        u = tf.random.stateless_uniform((n, 3), seed, alg="philox")
        places = tf.cast(u[:, :2] * tf.cast(spans + 1, "float32"), "int32")
        return tf.minimum(places, spans), (u[:, 2] < 0.5) & self.flip

    def __call__(self, x, drawn, ratio=1, levels=None):
        """Returns images as they were drawn.

        Args:
            x: Images (n, height, width, channels).
            drawn: What `draw` gave.
            ratio: Their pixels for each of the coarser image. Defaults to `1`.
            levels: How many values a pixel can take, to which enlarged images are
                rounded; `None` for continuous ones. Defaults to `None`.
        """
        places, flipped = drawn
        if self.enlarged != self.sides:
            x = tf.image.resize(x, [ratio * side for side in self.enlarged])
            x = Images(x.shape[1:], levels).round(tf.clip_by_value(x, 0.0, 1.0))
        rows, columns = (tf.range(ratio * side)[None] for side in self.crop)
        columns = tf.where(flipped[:, None], columns[:, ::-1], columns)
        x = tf.gather(x, ratio * places[:, :1] + rows, axis=1, batch_dims=1)
        return tf.gather(x, ratio * places[:, 1:] + columns, axis=2, batch_dims=1)

    def center(self, x, ratio=1):
        """Returns the middle of images, neither enlarged nor flipped.

        Args:
            x: Images (n, height, width, channels).
            ratio: Their pixels for each of the coarser image. Defaults to `1`.
        """
        height, width = self.crop
        top, left = (self.sides[0] - height) // 2, (self.sides[1] - width) // 2
        rows = slice(ratio * top, ratio * (top + height))
        return x[:, rows, ratio * left : ratio * (left + width)]


def augmentation_of(shape, target_shape, crop, flip, jitter):
    """Returns the `Augmentation` of pairs, after a check of a user's arguments.

    Args:
        shape: The shape of a source image.
        target_shape: That of a target image.
        crop: Side of the part of the source to cut out, or `None`.
        flip: Whether to flip half of them.
        jitter: By how much to enlarge, or `None`.
    """
    ratio, _ = ratios(shape, target_shape)
    sides = tuple(side // ratio for side in shape[:2])
    if crop is not None:
        require_int("crop", crop, least=1)
        fits = crop <= min(shape[:2]) and crop % ratio == 0
        must = f"at most {min(shape[:2])}, the source's side"
        must += f", and a multiple of {ratio}" if ratio > 1 else ""
        require_argument(fits, "crop", must, crop)
    if jitter is not None:
        good = isinstance(jitter, int | float) and jitter >= 1
        require_argument(good, "jitter", "a number of at least 1", jitter)
    crop = sides if crop is None else (crop // ratio, crop // ratio)
    return Augmentation(sides, crop, bool(flip), jitter)


def ratios(shape, target_shape):
    """Returns the pixels of source and target for each of the coarser of them.

    Args:
        shape: The shape of a source image.
        target_shape: That of a target image.
    """
    (h, w), (height, width) = shape[:2], target_shape[:2]
    if height % h == 0 and width == height // h * w:
        return 1, height // h
    if h % height == 0 and w == h // height * width:
        return h // height, 1
    raise ValueError(
        "Pairs can be augmented where one side is as large as the other or a whole "
        f"number of times as large; these are {w}x{h} and {width}x{height}."
    )
