"""Spaces of data: shape and range, how data are checked and rescaled for networks."""

import dataclasses
import math

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class Space(Strategy):
    """The space of the examples: a shape, and how many values each number can take.

    For data of L levels x = k / (L - 1), a continuous density is that of
    y = ((L - 1) x + u) / L with u in [0, 1): they are dequantized.

    Attributes:
        shape: Tuple, the shape of one example.
        levels: Integer L, or `None` for continuous data.
        rescaled: Whether networks see data in a range of their own.
        dtype: The dtype of data.
    """

    rescaled = False
    dtype = "float32"

    @property
    def range(self):
        """The lowest and the highest value of data; `None` if they are unrestricted."""
        return None if self.levels is None else (0, 1)

    @property
    def message(self):
        """The error message for data outside the space."""
        low, high = self.range
        return (
            f"Data must lie in [{low}, {high}], as this model's likelihood or levels "
            "say: rescale them."
        )

    def fits(self, x):
        """Returns whether all data are in the range, a boolean tensor.

        A margin of one hundredth allows for rounding; values that are not finite are
        handled elsewhere. `None` if there is no range to check.

        Args:
            x: A batch of data.
        """
        if self.range is None:
            return None
        x, (low, high) = tf.cast(x, "float32"), self.range
        margin = 0.01 * (high - low)
        beyond = ((x < low - margin) | (x > high + margin)) & tf.math.is_finite(x)
        return ~tf.reduce_any(beyond)

    def require_shape(self, x, what="Data"):
        """Raises ValueError for a batch whose shape is known and is not the space's.

        Args:
            x: A batch.
            what: The first word of the message. Defaults to `"Data"`.
        """
        given = tf.TensorShape(x.shape)
        if not given.is_compatible_with((None, *self.shape)):
            wanted = ", ".join(map(str, ("batch", *self.shape)))
            raise ValueError(
                f"{what} must have the shape ({wanted}). Received: {tuple(given)}"
            )

    def convert(self, x, name="x"):
        """Returns a user's data as a tensor of the space's dtype.

        Args:
            x: A batch of data, an array or a tensor of any type.
            name: The argument's name. Defaults to `"x"`.
        """
        return tf.cast(x, self.dtype)

    def convert_whole(self, x, name="x"):
        """Returns a user's data, all of them known: raises for others, eagerly.

        Args:
            x: As for `convert`.
            name: As for `convert`. Defaults to `"x"`.
        """
        x = self.convert(x, name)
        fits = self.fits(x) if tf.executing_eagerly() else None
        if fits is not None and not fits:
            raise ValueError(self.message)
        return x

    def spec(self, name="x"):
        """Returns the `tf.TensorSpec` of a batch.

        Args:
            name: The spec's name. Defaults to `"x"`.
        """
        return tf.TensorSpec((None, *self.shape), self.dtype, name)

    # From data to a network and back.

    def to_network(self, x, network_range=(-1.0, 1.0)):
        """Returns data as the input of networks.

        Args:
            x: A batch of data.
            network_range: The range to rescale data to, if `rescaled`. Defaults to
                `(-1.0, 1.0)`.
        """
        low, high = network_range
        return x * (high - low) + low if self.rescaled else x

    def from_network(self, x, network_range=(-1.0, 1.0)):
        """Returns the outputs of networks as data.

        Args:
            x: A batch of outputs.
            network_range: As for `to_network`. Defaults to `(-1.0, 1.0)`.
        """
        low, high = network_range
        x = tf.cast(x, "float32")
        return self.clip((x - low) / (high - low)) if self.rescaled else x

    def clip(self, x):
        """Returns data clipped to the range if `rescaled`, or else unchanged."""
        return tf.clip_by_value(x, *map(float, self.range)) if self.rescaled else x

    # Levels and densities.

    def to_levels(self, x):
        """Returns data as k / (L - 1), the input of likelihoods with L levels."""
        return x

    def from_levels(self, x):
        """Returns draws from such a likelihood as data."""
        return x

    def dequantize(self, x, u):
        """Returns y = ((L - 1) x + u) / L; x if data are continuous.

        Args:
            x: A batch of data.
            u: Numbers in [0, 1) that broadcast with x.
        """
        return x if self.levels is None else ((self.levels - 1) * x + u) / self.levels

    def from_dequantized(self, y):
        """Returns the inverse of `dequantize` at u = 1/2, the middle of a level."""
        if self.levels is None:
            return self.clip(y)
        return tf.clip_by_value((self.levels * y - 0.5) / (self.levels - 1), 0.0, 1.0)

    def round(self, x):
        """Returns data rounded to the space's levels."""
        if self.levels is None:
            return x
        return tf.round(x * (self.levels - 1)) / (self.levels - 1)

    def bits_per_dim(self, nats, dequantized=False):
        """Returns bits per dimension.

        Args:
            nats: Negative log-likelihoods of examples.
            dequantized: Whether they are densities of dequantized data, not masses.
                Defaults to `False`.
        """
        bits = nats / (math.prod(self.shape) * math.log(2.0))
        if self.levels is None or not dequantized:
            return bits
        return bits + math.log2(self.levels)


@dataclasses.dataclass(frozen=True)
class _Scaled(Space):
    """Data with an order: real numbers or levels."""

    shape: tuple
    levels: int | None = None

    def __post_init__(self):
        """Checks the arguments."""
        object.__setattr__(self, "shape", tuple(self.shape))
        good = self.levels is None or self.levels > 1
        require_argument(good, "levels", "at least 2 or None", self.levels)


@dataclasses.dataclass(frozen=True)
class Points(_Scaled):
    """Vectors, tables and other data without a fixed range, which are not rescaled.

    Data with levels lie in [0, 1].

    Args:
        shape: Tuple, the shape of one example.
        levels: Integer, the number of values of each number, or `None` for continuous
            data. Defaults to `None`.

    Example:

    >>> Points((2,)).range, Points((2,), levels=17).range
    (None, (0, 1))
    """


@dataclasses.dataclass(frozen=True)
class _Pictures(_Scaled):
    """Pixels in [0, 1]."""

    rescaled = True

    @property
    def range(self):
        """The lowest and the highest value of data."""
        return 0, 1

    @property
    def message(self):
        """The error message for data outside the space."""
        return (
            "Images must lie in [0, 1]: divide pixels of 0 to 255 by 255. The model "
            "rescales them to its networks' range."
        )


@dataclasses.dataclass(frozen=True)
class Images(_Pictures):
    """Images in [0, 1], channels last, which are rescaled to the networks' range.

    Args:
        shape: Tuple (height, width, channels).
        levels: How many values a pixel can take, 256 for 8 bits; `None` for continuous
            values. Defaults to `None`.

    Example:

    >>> space = Images((8, 8, 1), levels=17)
    >>> float(space.to_network(0.5)), float(space.round(0.51))
    (0.0, 0.5)
    """


@dataclasses.dataclass(frozen=True)
class Video(_Pictures):
    """Sequences of images in [0, 1]; otherwise as `Images`.

    Args:
        shape: Tuple (frames, height, width, channels).
        levels: As for `Images`. Defaults to `None`.
    """


@dataclasses.dataclass(frozen=True)
class Audio(_Scaled):
    """Audio in [-1, 1], with levels 2 k / L - 1, which is not rescaled.

    Dequantized audio is y = x + (2 u - 1) / L.

    Args:
        shape: Tuple (samples, channels).
        levels: Integer L, 65,536 for 16 bits; `None` for continuous audio. Defaults to
            `None`.

    Example:

    >>> float(Audio((512, 1), levels=4).round(0.4))
    0.5
    """

    @property
    def range(self):
        """The lowest and the highest value of audio."""
        return -1, 1

    def dequantize(self, x, u):
        """Returns y = x + (2 u - 1) / L."""
        return x if self.levels is None else x + (2.0 * u - 1.0) / self.levels

    def from_dequantized(self, y):
        """Returns y within the range: the middle of a level is the level."""
        return tf.clip_by_value(y, -1.0, 1.0)

    def round(self, x):
        """Returns audio rounded to the space's levels."""
        if self.levels is None:
            return x
        half = self.levels / 2.0
        return tf.clip_by_value(tf.round(x * half), -half, half - 1.0) / half

    def bits_per_dim(self, nats, dequantized=False):
        """Returns bits per sample; the range is twice as wide as that of images."""
        bits = super().bits_per_dim(nats, dequantized)
        return bits if self.levels is None or not dequantized else bits - 1.0


@dataclasses.dataclass(frozen=True)
class _Whole(Space):
    """Unordered integers, which networks embed."""

    dtype = "int32"

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(
            self.vocabulary > 1, "vocabulary", "at least 2", self.vocabulary
        )

    @property
    def levels(self):
        """How many there are."""
        return self.vocabulary

    @property
    def range(self):
        """The lowest and the highest code."""
        return 0, self.vocabulary - 1

    @property
    def message(self):
        """The error message for data outside the space."""
        what = self.word.capitalize()
        return f"{what} must be integers from 0 to {self.vocabulary - 1}."

    def fits(self, x):
        """Returns whether all data are integers of the vocabulary."""
        x = tf.convert_to_tensor(x)
        return tf.reduce_all((x >= 0) & (x < self.vocabulary)) & _are_whole(x)

    def convert(self, x, name="x"):
        """Returns integers as int32; raises for other data when executed eagerly."""
        x = tf.convert_to_tensor(x)
        if tf.executing_eagerly() and tf.size(x):
            integers = f"integers, because they are {self.word}"
            require_argument(bool(_are_whole(x)), name, integers, x)
            low, high = int(tf.reduce_min(x)), int(tf.reduce_max(x))
            require_argument(
                0 <= low and high < self.vocabulary,
                name,
                f"{self.word} from 0 to {self.vocabulary - 1}",
                f"{self.word} from {low} to {high}",
            )
        return tf.cast(x, self.dtype)

    def to_levels(self, x):
        """Returns k / (L - 1) for the integer k."""
        return tf.cast(x, "float32") / (self.vocabulary - 1)

    def from_levels(self, x):
        """Returns k for k / (L - 1)."""
        return tf.cast(tf.round(x * (self.vocabulary - 1)), self.dtype)

    def to_network(self, x, network_range=None):
        """Returns integers, which a network embeds."""
        return tf.cast(x, self.dtype)

    def from_network(self, x, network_range=None):
        """Returns the nearest integers."""
        return tf.cast(tf.round(x), self.dtype)

    def round(self, x):
        """Returns the nearest integers."""
        return self.from_network(x)


@dataclasses.dataclass(frozen=True)
class Codes(_Whole):
    """Unordered integers, on a grid, such as those of a VQ-VAE.

    Networks embed them; they are not rescaled.

    Args:
        shape: Tuple, the shape of the grid, such as (height, width, 1).
        vocabulary: How many codes there are.

    Example:

    >>> space = Codes((8, 8, 1), vocabulary=512)
    >>> space.levels, space.dtype, bool(space.fits([0, 511])), bool(space.fits([512]))
    (512, 'int32', True, False)
    """

    shape: tuple
    vocabulary: int

    word = "codes"

    def __post_init__(self):
        """Checks the arguments."""
        object.__setattr__(self, "shape", tuple(self.shape))
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class Tokens(_Whole):
    """Sequences of unordered integers, such as a text's characters.

    Args:
        vocabulary: How many tokens there are.
        length: How many tokens an example has.

    Example:

    >>> Tokens(27, 64).shape, Tokens(27, 64).message
    ((64,), 'Tokens must be integers from 0 to 26.')
    """

    vocabulary: int
    length: int

    word = "tokens"

    def __post_init__(self):
        """Checks the arguments."""
        super().__post_init__()
        require_argument(self.length > 0, "length", "positive", self.length)

    @property
    def shape(self):
        """The shape of one example."""
        return (self.length,)

    def require_shape(self, x, what="Data"):
        """Accepts sequences of any length."""

    def spec(self, name="x"):
        """Returns the `tf.TensorSpec` of a batch of sequences of any length."""
        return tf.TensorSpec((None, None), self.dtype, name)


def space_of(shape, levels=None):
    """Returns the default space for data of a shape.

    Three axes are taken as an image, four as a video, others as points.

    Args:
        shape: Tuple, the shape of one example.
        levels: How many values a number can take. Defaults to `None`.

    Example:

    >>> space_of((8, 8, 3)), space_of((2,))
    (Images(shape=(8, 8, 3), levels=None), Points(shape=(2,), levels=None))
    """
    return {3: Images, 4: Video}.get(len(shape), Points)(shape, levels)


def _are_whole(x):
    return tf.reduce_all(x == tf.floor(x)) if x.dtype.is_floating else tf.constant(True)
