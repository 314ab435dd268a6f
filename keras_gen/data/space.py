"""What kind of thing data are: their shape and range, how they are checked and seen."""

import dataclasses
import math

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class Space(Strategy):
    """The space that examples live in: a shape, and how many values a number can take.

    For data of L levels x = k / (L - 1), a continuous density is that of
    y = ((L - 1) x + u) / L with u in [0, 1): they are dequantized.

    Attributes:
        shape: Tuple, the shape of one example.
        levels: Integer L, or `None` for continuous data.
        rescaled: Whether networks see data in a range of their own.
        dtype: Of the data.
    """

    rescaled = False
    dtype = "float32"

    @property
    def range(self):
        """The lowest and the highest value of data; `None` where they are free."""
        return None if self.levels is None else (0, 1)

    @property
    def message(self):
        """What to say of data that do not fit."""
        low, high = self.range
        return (
            f"Data must lie in [{low}, {high}], as this model's likelihood or levels "
            "say: rescale them."
        )

    def fits(self, x):
        """Returns whether all data are in the range, a boolean tensor.

        One hundredth beyond it is rounding, and what is not finite is handled
        elsewhere. `None` where all data fit.

        Args:
            x: A batch of data.
        """
        if self.range is None:
            return None
        x, (low, high) = tf.cast(x, "float32"), self.range
        margin = 0.01 * (high - low)
        beyond = ((x < low - margin) | (x > high + margin)) & tf.math.is_finite(x)
        return ~tf.reduce_any(beyond)

    def convert(self, x, name="x"):
        """Returns what a user gives as a tensor of the space's type.

        Args:
            x: A batch of data, an array or a tensor of any type.
            name: The argument's name. Defaults to `"x"`.
        """
        return tf.cast(x, self.dtype)

    def spec(self, name="x"):
        """Returns the `tf.TensorSpec` of a batch."""
        return tf.TensorSpec((None, *self.shape), self.dtype, name)

    # From data to a network and back.

    def to_network(self, x, network_range=(-1.0, 1.0)):
        """Returns data as networks see them.

        Args:
            x: A batch of data.
            network_range: Lowest and highest value that networks see, where data are
                rescaled. Defaults to `(-1.0, 1.0)`.
        """
        low, high = network_range
        return x * (high - low) + low if self.rescaled else x

    def from_network(self, x, network_range=(-1.0, 1.0)):
        """Returns what networks give as data."""
        low, high = network_range
        x = tf.cast(x, "float32")
        return self.clip((x - low) / (high - low)) if self.rescaled else x

    def clip(self, x):
        """Returns data within the range of images; others as they are."""
        return tf.clip_by_value(x, *map(float, self.range)) if self.rescaled else x

    # Levels and densities.

    def to_levels(self, x):
        """Returns data as likelihoods of L levels see them, k / (L - 1)."""
        return x

    def from_levels(self, x):
        """Returns what such a likelihood draws as data."""
        return x

    def dequantize(self, x, u):
        """Returns y = ((L - 1) x + u) / L; x where data are continuous.

        Args:
            x: A batch of data.
            u: Numbers in [0, 1) that broadcast with x.
        """
        return x if self.levels is None else ((self.levels - 1) * x + u) / self.levels

    def from_dequantized(self, y):
        """Returns the data in whose level's middle, u = 1/2, y lies."""
        if self.levels is None:
            return self.clip(y)
        return tf.clip_by_value((self.levels * y - 0.5) / (self.levels - 1), 0.0, 1.0)

    def round(self, x):
        """Returns the nearest data of the space's levels."""
        if self.levels is None:
            return x
        return tf.round(x * (self.levels - 1)) / (self.levels - 1)

    def bits_per_dim(self, nats, dequantized=False):
        """Returns bits per dimension.

        Args:
            nats: Negative log-likelihoods of examples.
            dequantized: Whether they are of dequantized data's density, not of a mass.
                Defaults to `False`.
        """
        bits = nats / (math.prod(self.shape) * math.log(2.0))
        if self.levels is None or not dequantized:
            return bits
        return bits + math.log2(self.levels)


@dataclasses.dataclass(frozen=True)
class _Scaled(Space):
    """Numbers that are larger or smaller."""

    shape: tuple
    levels: int | None = None

    def __post_init__(self):
        """Checks the arguments."""
        object.__setattr__(self, "shape", tuple(self.shape))
        good = self.levels is None or self.levels > 1
        require_argument(good, "levels", "at least 2 or None", self.levels)


@dataclasses.dataclass(frozen=True)
class Points(_Scaled):
    """Vectors, tables and what else has no range of its own: data as they are.

    Those of levels lie in [0, 1].

    Args:
        shape: Tuple, the shape of one example.
        levels: Integer, or `None` for continuous data. Defaults to `None`.

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
        """What to say of data that do not fit."""
        return (
            "Images must lie in [0, 1]: divide pixels of 0 to 255 by 255. The model "
            "rescales them to its networks' range."
        )


@dataclasses.dataclass(frozen=True)
class Images(_Pictures):
    """Images in [0, 1], channels last, which networks see in a range of their own.

    Args:
        shape: Tuple (height, width, channels).
        levels: How many values a pixel can take, 256 for 8 bits; `None` for continuous
            ones. Defaults to `None`.

    Example:

    >>> space = Images((8, 8, 1), levels=17)
    >>> float(space.to_network(0.5)), float(space.round(0.51))
    (0.0, 0.5)
    """


@dataclasses.dataclass(frozen=True)
class Video(_Pictures):
    """Images in [0, 1], one after the other; otherwise as `Images`.

    Args:
        shape: Tuple (frames, height, width, channels).
        levels: As for `Images`. Defaults to `None`.
    """


@dataclasses.dataclass(frozen=True)
class Audio(_Scaled):
    """Sound in [-1, 1], of levels 2 k / L - 1; networks see it as it is.

    Dequantized sound is y = x + (2 u - 1) / L.

    Args:
        shape: Tuple (samples, channels).
        levels: Integer L, 65,536 for 16 bits; `None` for continuous sound. Defaults to
            `None`.

    Example:

    >>> float(Audio((512, 1), levels=4).round(0.4))
    0.5
    """

    @property
    def range(self):
        """The lowest and the highest value of sound."""
        return -1, 1

    def dequantize(self, x, u):
        """Returns y = x + (2 u - 1) / L."""
        return x if self.levels is None else x + (2.0 * u - 1.0) / self.levels

    def from_dequantized(self, y):
        """Returns y within the range: the middle of a level is the level."""
        return tf.clip_by_value(y, -1.0, 1.0)

    def round(self, x):
        """Returns the nearest sound of the space's levels."""
        if self.levels is None:
            return x
        half = self.levels / 2.0
        return tf.clip_by_value(tf.round(x * half), -half, half - 1.0) / half

    def bits_per_dim(self, nats, dequantized=False):
        """Returns bits per sample; the range is twice as long as that of images."""
        bits = super().bits_per_dim(nats, dequantized)
        return bits if self.levels is None or not dequantized else bits - 1.0


@dataclasses.dataclass(frozen=True)
class _Whole(Space):
    """Whole numbers without an order, which networks embed."""

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
        """What to say of data that do not fit."""
        what = self.word.capitalize()
        return f"{what} must be from 0 to {self.vocabulary - 1}, whole numbers."

    def fits(self, x):
        """Returns whether all data are whole numbers of the vocabulary."""
        x = tf.convert_to_tensor(x)
        return tf.reduce_all((x >= 0) & (x < self.vocabulary)) & _are_whole(x)

    def convert(self, x, name="x"):
        """Returns whole numbers as int32; outside of a graph, raises for others."""
        x = tf.convert_to_tensor(x)
        if tf.executing_eagerly() and tf.size(x):
            whole = f"whole numbers, being {self.word}"
            require_argument(bool(_are_whole(x)), name, whole, x)
            low, high = int(tf.reduce_min(x)), int(tf.reduce_max(x))
            require_argument(
                0 <= low and high < self.vocabulary,
                name,
                f"{self.word} from 0 to {self.vocabulary - 1}",
                f"{self.word} from {low} to {high}",
            )
        return tf.cast(x, self.dtype)

    def to_levels(self, x):
        """Returns k / (L - 1) of the number k."""
        return tf.cast(x, "float32") / (self.vocabulary - 1)

    def from_levels(self, x):
        """Returns k of k / (L - 1)."""
        return tf.cast(tf.round(x * (self.vocabulary - 1)), self.dtype)

    def to_network(self, x, network_range=None):
        """Returns whole numbers, which a network embeds."""
        return tf.cast(x, self.dtype)

    def from_network(self, x, network_range=None):
        """Returns the nearest whole numbers."""
        return tf.cast(tf.round(x), self.dtype)

    def round(self, x):
        """Returns the nearest whole numbers."""
        return self.from_network(x)


@dataclasses.dataclass(frozen=True)
class Codes(_Whole):
    """Whole numbers without an order, on a grid, such as those of a VQ-VAE.

    Networks embed them; they are not scaled.

    Args:
        shape: Tuple, the grid's, such as (height, width, 1).
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
    """Sequences of whole numbers without an order, such as a text's characters.

    Args:
        vocabulary: How many tokens there are.
        length: How many tokens an example has.

    Example:

    >>> Tokens(27, 64).shape, Tokens(27, 64).message
    ((64,), 'Tokens must be from 0 to 26, whole numbers.')
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

    def spec(self, name="x"):
        """Returns the `tf.TensorSpec` of a batch, of sequences of any length."""
        return tf.TensorSpec((None, None), self.dtype, name)


def space_of(shape, levels=None):
    """Returns the space of data of a shape, where none is declared.

    Three axes are an image, four a video; others are points.

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
