"""Random layers whose state is saved, restored, and distinct on every replica.

Keras keeps the state of its own random layers in a `SeedGenerator`, which no file
format restores and which draws the same numbers on every replica of a
`tf.distribute` strategy. Here the state is an ordinary weight, and the number of the
replica is folded into every seed. The file needs Keras and TensorFlow alone.
"""

import contextlib
import itertools
import numbers
import random
import threading

import keras
import tensorflow as tf

_ONE_AT_A_TIME = threading.Lock()
_GIVEN = threading.local()


@contextlib.contextmanager
def seeded(seed):
    """Lets the random layers that are called meanwhile draw from a seed.

    Their own streams stay where they are, so that what is drawn after training does
    not change how training goes on.

    Args:
        seed: A stateless seed of shape (2,).

    Example:

    >>> dropout, x = Dropout(0.5, always=True), tf.ones((4, 8))
    >>> with seeded([0, 7]):
    ...     first = dropout(x)
    >>> with seeded([0, 7]):
    ...     bool(tf.reduce_all(dropout(x) == first))
    True
    """
    before = getattr(_GIVEN, "stream", None)
    _GIVEN.stream = itertools.count(), seed
    try:
        yield
    finally:
        _GIVEN.stream = before


def _replica():
    """Returns the number of this replica among all, zero outside a replica."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


@keras.saving.register_keras_serializable("keras_gen")
class RandomLayer(keras.layers.Layer):
    """A stream of seeds, a pure function of (seed, number of the draw, replica).

    `next_seed()` returns an int64 tensor of shape (2,) for `tf.random.stateless_*`.
    The stream's position is a weight: it is in every checkpoint, `.keras` and
    `.weights.h5` file, and a restored layer continues where the saved one stopped.

    Args:
        seed: Integer. Defaults to `None`: drawn from Python's generator, which
            `keras.utils.set_random_seed` makes repeatable.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> stream = RandomLayer(seed=0)
    >>> first, second = stream.next_seed(), stream.next_seed()
    >>> bool((first == second).numpy().all())
    False
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        if seed is not None and not isinstance(seed, numbers.Integral):
            raise TypeError(
                f"Argument `seed` must be an integer. Received: seed={seed}"
            )
        self.seed = seed = None if seed is None else int(seed)
        start = random.randint(0, 2**31 - 1) if seed is None else seed
        self.seed_state = self.add_weight(
            name="seed_state",
            shape=(2,),
            dtype="int64",
            initializer=lambda shape, dtype: tf.constant([start, 0], dtype),
            trainable=False,
            # Every replica advances its own copy in the same way: no communication.
            aggregation="none",
        )
        if type(self).build is keras.layers.Layer.build:
            self.built = True  # its one weight is there

    def next_seed(self):
        """Returns the next seed of the stream for this replica."""
        given = getattr(_GIVEN, "stream", None)
        if given is not None:
            number, seed = given
            return tf.random.experimental.stateless_fold_in(seed, next(number))
        with _ONE_AT_A_TIME:  # or threads would read the same position
            seed = tf.identity(self.seed_state.value)
            self.seed_state.assign_add(tf.constant([0, 1], "int64"))
        return tf.random.experimental.stateless_fold_in(
            seed, tf.cast(_replica(), "int64")
        )

    def rewind(self):
        """Goes back to the start of the stream."""
        self.seed_state.assign(self.seed_state * tf.constant([1, 0], "int64"))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input: noise changes no shape."""
        return input_shape

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("keras_gen")
class Dropout(RandomLayer):
    """Sets a random part of the input to zero while training.

    y = x * m / (1 - rate), m ~ Bernoulli(1 - rate) for every element. Unlike
    `keras.layers.Dropout`, replicas draw different masks and the state is saved.

    Args:
        rate: Float in [0, 1). Which part is dropped.
        seed: Integer. Defaults to `None`, drawn at random.
        always: Boolean. Whether to drop in inference, too: a generator's only noise,
            as in pix2pix. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> Dropout(0.5, seed=0)(tf.ones((2, 3)), training=True).shape
    TensorShape([2, 3])

    Reference: [Srivastava et al., 2014](https://jmlr.org/papers/v15/srivastava14a.html)
    """

    def __init__(self, rate, seed=None, always=False, **kwargs):
        super().__init__(seed=seed, **kwargs)
        if not 0.0 <= rate < 1.0:
            raise ValueError(
                f"Argument `rate` must be in [0, 1). Received: rate={rate}"
            )
        self.rate = rate
        self.always = always

    def call(self, x, training=False):
        """Drops while training, or always; returns the input otherwise."""
        if not (training or self.always) or self.rate == 0.0:
            return x
        draws = tf.random.stateless_uniform(tf.shape(x), self.next_seed())
        return tf.where(draws >= self.rate, x / (1.0 - self.rate), tf.zeros_like(x))

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "rate": self.rate, "always": self.always}


@keras.saving.register_keras_serializable("keras_gen")
class GaussianNoise(RandomLayer):
    """Adds Gaussian noise while training: y = x + stddev * e, e ~ N(0, 1).

    Args:
        stddev: Non-negative float, the noise's standard deviation.
        seed: Integer. Defaults to `None`, drawn at random.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> GaussianNoise(0.1, seed=0)(tf.ones((2, 3)), training=True).shape
    TensorShape([2, 3])
    """

    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        if stddev < 0:
            raise ValueError(
                f"Argument `stddev` must be non-negative. Received: stddev={stddev}"
            )
        self.stddev = stddev

    def call(self, x, training=False):
        """Adds noise while training; returns the input otherwise."""
        if not training or self.stddev == 0.0:
            return x
        noise = tf.random.stateless_normal(tf.shape(x), self.next_seed())
        return x + tf.cast(self.stddev * noise, x.dtype)

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "stddev": self.stddev}


@keras.saving.register_keras_serializable("keras_gen")
class RandomAffine(RandomLayer):
    """Rotates, shears, scales and shifts images in training, each by its own draw.

    The pixel at p shows the image at c + R S D (p - c) + t, c being its center: a
    rotation R, a shear S of columns by rows, a diagonal D and a shift t. Their
    parameters are uniform up to the bounds given, to either side. Values between
    pixels are bilinear, so that gradients reach the images; beyond the edge they are
    the edge's.

    In front of a discriminator, for data and samples alike
    (`losses.View(augmentation=...)`), it makes a small dataset larger, and what it
    varies can carry no code: classes that an `InfoGAN` finds then differ in more than
    slant and width.

    Args:
        rotation: Non-negative float, in radians. Defaults to `0.0`.
        shear: Non-negative float, pixels to the side for each pixel down. Defaults to
            `0.0`.
        stretch: Non-negative float, of the logarithm of the size, drawn for height and
            for width. Defaults to `0.0`.
        shift: Non-negative float, the part of height and of width. Defaults to `0.0`.
        seed: Integer. Defaults to `None`, drawn at random.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> RandomAffine(shear=0.3, seed=0)(tf.ones((2, 8, 8, 1)), training=True).shape
    TensorShape([2, 8, 8, 1])

    Reference: [Zhao et al., 2020](https://arxiv.org/abs/2006.10738)
    """

    def __init__(
        self, rotation=0.0, shear=0.0, stretch=0.0, shift=0.0, seed=None, **kwargs
    ):
        super().__init__(seed=seed, **kwargs)
        self.bounds = {
            "rotation": rotation,
            "shear": shear,
            "stretch": stretch,
            "shift": shift,
        }
        for name, bound in self.bounds.items():
            if bound < 0:
                raise ValueError(
                    f"Argument `{name}` must be non-negative. Received: {name}={bound}"
                )

    def call(self, x, training=False):
        """Transforms while training; returns the input otherwise."""
        if not training or not any(self.bounds.values()):
            return x
        size = tf.cast(tf.shape(x)[1:3], "float32")
        center = 0.5 * (size - 1.0)
        rows = (tf.range(size[0]) - center[0])[:, None]
        columns = tf.range(size[1]) - center[1]
        # A plane for each axis is 2.5 times as fast as pairs in a last axis.
        planes = []
        for axis, (down, across, shift) in enumerate(self._draw(tf.shape(x)[0])):
            start = center[axis] + shift * size[axis]
            place = down * rows + (across * columns + start)
            planes.append(tf.clip_by_value(place, 0.0, size[axis] - 1.0))
        return _bilinear(x, *planes)

    def _draw(self, n):
        """Returns (a row of the matrix, a shift) for both axes, each (n, 1, 1)."""
        draws = tf.random.stateless_uniform((n, 6), self.next_seed(), -1.0, 1.0)
        draws = tf.reshape(tf.transpose(draws), (6, -1, 1, 1))
        bounds = self.bounds
        turn, slant = bounds["rotation"] * draws[0], bounds["shear"] * draws[1]
        tall, wide = (tf.exp(bounds["stretch"] * draws[i]) for i in (2, 3))
        cos, sin = tf.cos(turn), tf.sin(turn)
        # Rotation, shear of columns by rows and stretch, multiplied.
        first = (cos - sin * slant) * tall, -sin * wide, bounds["shift"] * draws[4]
        second = (sin + cos * slant) * tall, cos * wide, bounds["shift"] * draws[5]
        return first, second

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), **self.bounds}


@keras.saving.register_keras_serializable("keras_gen")
class Sampling(RandomLayer):
    """Draws z ~ N(mean, exp(log_var)) so that gradients reach both parameters.

    z = mean + exp(log_var / 2) * e, e ~ N(0, 1): the reparameterization trick. It
    draws in training and in inference alike; take the mean where a deterministic code
    is wanted.

    Args:
        seed: Integer. Defaults to `None`, drawn at random.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> mean, log_var = tf.zeros((4, 2)), tf.zeros((4, 2))
    >>> Sampling(seed=0)([mean, log_var]).shape
    TensorShape([4, 2])

    Reference: [Kingma and Welling, 2014](https://arxiv.org/abs/1312.6114)
    """

    def call(self, inputs):
        """Draws one z for each pair of parameters."""
        mean, log_var = inputs
        noise = tf.random.stateless_normal(tf.shape(mean), self.next_seed())
        return mean + tf.exp(0.5 * log_var) * tf.cast(noise, mean.dtype)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the mean."""
        return input_shape[0]


def _bilinear(x, rows, columns):
    """Returns images at fractional places inside them, (batch, height, width) each."""
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    top, left = tf.floor(rows), tf.floor(columns)
    down = tf.cast(rows - top, x.dtype)[..., None]
    across = tf.cast(columns - left, x.dtype)[..., None]
    top, left = tf.cast(top, "int32"), tf.cast(left, "int32")
    flat = tf.reshape(x, (-1, x.shape[-1]))
    first = tf.range(tf.shape(x)[0])[:, None, None] * height
    here = (first + top) * width + left
    right = tf.cast(left + 1 < width, "int32")
    below = tf.where(top + 1 < height, width, 0)

    def between(places):
        one, other = tf.gather(flat, places), tf.gather(flat, places + right)
        return one + across * (other - one)

    upper, lower = between(here), between(here + below)
    return upper + down * (lower - upper)
