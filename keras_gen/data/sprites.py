"""White shapes on black, drawn when they are read: images whose factors are known."""

import math

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.data.source import Source

# In units of the frame, at full scale. No shape reaches further from its center than
# _RADIUS, and centers stay 1/4 from the frame: 1/16 is left, two pixels of 32.
_RADIUS = 3 / 16
_SQUARE = _RADIUS / math.sqrt(2)
_ELLIPSE = (_RADIUS, 0.12)
# The radius of the lobes that puts the centroid _RADIUS above the tip.
_HEART = _RADIUS / (math.sqrt(2) + (math.pi + 4 / 3) / (math.sqrt(2) * (4 + math.pi)))

_KEYS = (314_159, 265_358, 979_323, 846_264)
_PRIME = 999_983


class Sprites:
    """Squares, ellipses and hearts, in the manner of dSprites.

    image = round(255 clip(1/2 - d, 0, 1)) / 255, d = signed distance to the shape
    in pixels

    Every image is a function of five integers, its factors:

    - `shape`: square, ellipse, heart, of nearly equal areas;
    - `scale`: 6, from 0.5 to 1 of the full size, which is 3/8 of the frame across;
    - `orientation`: 40, each 9 degrees counterclockwise of the one before;
    - `x`: 32 places of the centroid, from 1/4 to 3/4 of the frame, rightwards;
    - `y`: 32 places, downwards.

    The 737,280 images are numbered with `shape` slowest and `y` fastest, as in
    dSprites. Nothing is stored. Any number of images can be drawn with one factor
    held, which is what measures of disentanglement ask for. Unlike dSprites's, the
    edges are smooth, so that a step of a factor smaller than a pixel shows.

    As in dSprites, whose published numbers share this, a square looks the same after
    every 10th orientation and an ellipse after every 20th: no code can tell these
    apart, and only the heart shows all 40.

    Args:
        image_size: Side of the images in pixels, at least 16. Defaults to 32.

    Attributes:
        factor_names: The names of the factors, slowest first.
        factor_sizes: How many values each factor takes.
        examples: How many images there are.
        shape: The shape of one image.

    Example:

    >>> sprites = keras_gen.data.Sprites(image_size=32)
    >>> factors = sprites.sample_factors(100, seed=1).numpy()
    >>> factors[:, sprites.factor_names.index("scale")] = 5
    >>> x = sprites.render(factors)
    >>> tuple(x.shape)
    (100, 32, 32, 1)

    Reference: [Matthey et al., 2017](https://github.com/google-deepmind/dsprites-dataset)
    """

    factor_names = ("shape", "scale", "orientation", "x", "y")
    factor_sizes = (3, 6, 40, 32, 32)
    examples = math.prod(factor_sizes)

    def __init__(self, image_size=32):
        self.image_size = require_int("image_size", image_size, least=16)
        self.shape = (self.image_size, self.image_size, 1)

    def factors_of(self, indices):
        """Returns the factors of images, int32 of shape (..., 5).

        Args:
            indices: Numbers of images, integers of any shape.
        """
        digits = tf.cast(indices, tf.int64)[..., None] // _strides() % self.factor_sizes
        return tf.cast(digits, tf.int32)

    def indices_of(self, factors):
        """Returns the numbers of the images that have these factors, int64.

        Args:
            factors: Integers of shape (..., 5).
        """
        factors = _checked(factors)
        return tf.reduce_sum(tf.cast(factors, tf.int64) * _strides(), axis=-1)

    def sample_factors(self, n, seed):
        """Draws n images' factors, independent and uniform, int32 of shape (n, 5).

        Args:
            n: How many.
            seed: An integer, or a pair of them as TensorFlow's stateless draws take.
        """
        seed = tf.cast(seed, tf.int64)
        pair = tf.stack([seed, tf.zeros_like(seed)]) if seed.shape.rank == 0 else seed
        indices = tf.random.stateless_uniform(
            (n,), pair, 0, self.examples, tf.int64, "philox"
        )
        return self.factors_of(indices)

    def render(self, factors):
        """Draws images, float32 of shape (n, image_size, image_size, 1).

        Args:
            factors: Integers of shape (n, 5).
        """
        inside = tf.clip_by_value(0.5 - self.distances(factors), 0, 1)
        return tf.round(255 * inside) / 255

    def distances(self, factors):
        """Returns each pixel's distance to the shape's edge, negative inside of it.

        In pixels, float32 of shape (n, image_size, image_size, 1).

        Args:
            factors: Integers of shape (n, 5).
        """
        factors = tf.cast(_checked(factors), tf.float32)
        shape, scale, turn, x, y = tf.unstack(factors[:, :, None, None], axis=1)
        scale = 0.5 + scale / 10
        u, v = self._in_the_shapes_frame(scale, turn * (2 * math.pi / 40), x, y)
        distance = tf.where(shape == 1, _to_ellipse(u, v), _to_heart(u, v))
        distance = tf.where(shape == 0, _to_square(u, v), distance)
        return (distance * (scale * self.image_size))[..., None]

    def _in_the_shapes_frame(self, scale, angle, x, y):
        """Returns the pixels' coordinates where the shape is upright and full size."""
        axis = (tf.range(self.image_size, dtype=tf.float32) + 0.5) / self.image_size
        right = (axis[None, None, :] - (1 / 4 + x / 62)) / scale
        up = (1 / 4 + y / 62 - axis[None, :, None]) / scale
        cos, sin = tf.cos(angle), tf.sin(angle)
        return cos * right + sin * up, cos * up - sin * right


class SpriteSource(Source):
    """The sprites in a fixed, well-mixed order, labeled with their factors.

    Args:
        sprites: A `Sprites`.
        first: The place in the mixed order at which to begin. Defaults to 0.
        examples: How many images there are. Defaults to `None`: all that follow.

    Attributes:
        sprites: The `Sprites`, to draw more with.
    """

    def __init__(self, sprites, first=0, examples=None):
        """Makes a source; `keras_gen.data.load` gives the splits."""
        examples = sprites.examples - first if examples is None else examples

        def factors(places):
            return sprites.factors_of(_mixed(places + first))

        super().__init__(
            lambda places: sprites.render(factors(places)),
            examples,
            sprites.shape,
            name="sprites",
            levels=256,
        )
        self.sprites = sprites
        self.factor_names = sprites.factor_names
        self.factor_sizes = sprites.factor_sizes
        self._label = factors


def _strides():
    sizes = Sprites.factor_sizes
    return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]


def _checked(factors):
    """Returns factors as a tensor; those in a graph are checked by shape alone."""
    factors = tf.convert_to_tensor(factors)
    sizes = Sprites.factor_sizes
    if not factors.dtype.is_integer or factors.shape[-1] != len(sizes):
        raise ValueError(
            f"Argument `factors` must hold integers of shape (..., {len(sizes)}). "
            f"Received: factors of shape {factors.shape}, dtype {factors.dtype.name}"
        )
    values = tf.get_static_value(factors)
    if values is not None and np.any((values < 0) | (values >= sizes)):
        raise ValueError(
            f"Argument `factors` must lie from zero to below {sizes}. Received: "
            f"factors from {values.reshape(-1, len(sizes)).min(0).tolist()} to "
            f"{values.reshape(-1, len(sizes)).max(0).tolist()}"
        )
    return factors


def _mixed(i):
    """Maps 0 ... 737,279 one to one onto itself, without visible order.

    A Feistel network on (the first three factors, the position).
    """
    look, place = i // 1024, i % 1024
    for key in _KEYS:
        look = (look + _noise(place + key)) % 720
        place = (place + _noise(look + key)) % 1024
    return look * 1024 + place


def _noise(i):
    return i * i * i % _PRIME


def _to_square(u, v):
    return tf.maximum(tf.abs(u), tf.abs(v)) - _SQUARE


def _to_ellipse(u, v):
    """Returns (r - 1) / |grad r|, the distance to first order."""
    a, b = _ELLIPSE
    u, v = tf.square(u / a), tf.square(v / b)
    # The center has no gradient; the small numbers put it deep inside.
    r = tf.sqrt(u + v + 1e-6)
    return (r - 1) * r * tf.math.rsqrt(u / a**2 + v / b**2 + 1e-6)


def _to_heart(u, v):
    """Returns the distance to two bars with round ends that cross at the tip."""
    u, v = tf.abs(u) / math.sqrt(2), (v + _RADIUS) / math.sqrt(2)
    along, across = tf.nn.relu(u + v - 2 * _HEART), u - v + _HEART
    return tf.sqrt(tf.square(along) + tf.square(across)) - _HEART
