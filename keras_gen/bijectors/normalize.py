"""Scales and shifts of whole channels: learned, or measured on the data."""

import keras
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.losses.replicas import global_count, global_mean


class Channels(BijectiveLayer):
    """The base of maps z = (x + bias) exp(log_scale) with one pair for each channel."""

    def __init__(self, event_ndims, context_shape=None, **kwargs):
        super().__init__(event_ndims=event_ndims, **kwargs)
        self.of_context = None
        self.takes_context = context_shape is not None

    def add_context(self, context_shape, numbers):
        """Adds a dense layer of the context, zero at first."""
        if self.takes_context:
            self.of_context = keras.layers.Dense(
                numbers,
                kernel_initializer="zeros",
                use_bias=False,
                dtype="float32",
                name="of_context",
            )
            self.of_context.build((None, *context_shape))

    def context_terms(self, context, like, parts):
        """Returns the context's contribution to the parameters, for each example."""
        if self.of_context is None:
            return [0.0] * parts
        self.require_context(context)
        added = tf.cast(self.of_context(context), like.dtype)
        places = (tf.shape(like)[0], *[1] * (self.event_ndims - 1), added.shape[-1])
        return tf.split(tf.reshape(added, places), parts, axis=-1)

    def volume(self, log_scale, x):
        """Returns the log-determinant of scales of the channels, for each example."""
        total = tf.cast(self.places(x), x.dtype) * tf.reduce_sum(log_scale, axis=-1)
        if self.of_context is None:
            return self.constant_volume(total, x)
        return tf.reshape(total, (-1,))


@keras.saving.register_keras_serializable("keras_gen")
class Scale(Channels):
    """Multiplies each number by its own positive factor.

    z = x exp(s), log|det dz/dx| = sum s. NICE ends with it: what couplings cannot
    change, the volume, it gives. `initialize(x)` sets s so that a first batch has
    variance 1 at each place: pixels that hardly change start where steps of an
    optimizer would bring them late.

    Args:
        shape: Tuple, the data's shape without the batch.
        context_shape: Tuple, the shape of a vector that moves s. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> float(Scale((2,))(tf.ones((1, 2)))[0, 0])
    1.0

    Reference: [Dinh et al., 2015](https://arxiv.org/abs/1410.8516)
    """

    def __init__(self, shape, context_shape=None, **kwargs):
        super().__init__(len(shape), context_shape, **kwargs)
        self.log_scale = self.add_own_weight("log_scale", shape)
        self.add_context(context_shape, shape[-1])
        self.built = True

    def initialize(self, x, context=None):
        """Sets the scales from a batch, and returns its z."""
        log_scale = -0.5 * tf.math.log(place_variance(x))
        self.log_scale.assign(tf.cast(log_scale, self.log_scale.dtype))
        return super().initialize(x, context)

    def _log_scale(self, x, context):
        (added,) = self.context_terms(context, x, 1)
        own = tf.cast(self.log_scale.value, x.dtype)
        return tf.broadcast_to(own + added, tf.shape(x))

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x = z exp(-s)."""
        log_scale = self._log_scale(z, context)
        return z * tf.exp(-log_scale), -self.sum_over_event(log_scale)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z = x exp(s)."""
        log_scale = self._log_scale(x, context)
        return x * tf.exp(log_scale), self.sum_over_event(log_scale)


@keras.saving.register_keras_serializable("keras_gen")
class ActNorm(Channels):
    """Shifts and scales each channel: normalization that is learned.

    z = (x + b) exp(s). `initialize(x)` sets b and s so that a first batch has mean 0
    and variance 1; a `Flow` does this at its first training step, over the batches of
    all replicas, and never again. From then on they are weights like others.

    Args:
        channels: Integer, the size of the last axis.
        event_ndims: How many axes make one example. Defaults to `1`.
        context_shape: Tuple, the shape of a vector that moves b and s. Defaults to
            `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = ActNorm(2)
    >>> _ = layer.initialize(tf.constant([[1.0, 2.0], [3.0, 6.0]]))
    >>> layer(tf.constant([[1.0, 2.0]])).numpy().round(3)
    array([[-1., -1.]], dtype=float32)

    Reference: [Kingma and Dhariwal, 2018](https://arxiv.org/abs/1807.03039)
    """

    def __init__(self, channels, event_ndims=1, context_shape=None, **kwargs):
        super().__init__(event_ndims, context_shape, **kwargs)
        self.bias = self.add_own_weight("bias", (channels,))
        self.log_scale = self.add_own_weight("log_scale", (channels,))
        self.add_context(context_shape, 2 * channels)
        self.built = True

    def initialize(self, x, context=None):
        """Sets bias and scale from a batch, and returns its z."""
        mean, variance = _moments(x, self.event_ndims)
        self.bias.assign(tf.cast(-mean, self.bias.dtype))
        log_scale = -0.5 * tf.math.log(variance + 1e-6)
        self.log_scale.assign(tf.cast(log_scale, self.log_scale.dtype))
        return super().initialize(x, context)

    def signature(self):
        """Returns a key that is equal for normalizations of the same channels."""
        if self.takes_context:
            return None
        return "ActNorm", self.event_ndims, tuple(self.bias.shape), self.bias.dtype

    @property
    def maps_channels(self):
        """Whether all examples are mapped alike."""
        return not self.takes_context

    def channel_map(self):
        """Returns the scales, the shift after them, and the sum of log-scales."""
        log_scale = self.log_scale.value
        scale = tf.exp(log_scale)
        return scale, self.bias.value * scale, tf.reduce_sum(log_scale)

    def _parameters(self, x, context):
        scale, shift = self.context_terms(context, x, 2)
        log_scale = tf.cast(self.log_scale.value, x.dtype) + scale
        return log_scale, tf.cast(self.bias.value, x.dtype) + shift

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x = z exp(-s) - b."""
        log_scale, bias = self._parameters(z, context)
        return z * tf.exp(-log_scale) - bias, -self.volume(log_scale, z)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z = (x + b) exp(s)."""
        log_scale, bias = self._parameters(x, context)
        return (x + bias) * tf.exp(log_scale), self.volume(log_scale, x)


@keras.saving.register_keras_serializable("keras_gen")
class BatchNorm(Channels):
    """Normalizes each channel by the moments of the batch, as a bijection.

    z = (x - mean) / sqrt(variance + epsilon) exp(s) + b. In training the moments are
    those of the batch, over all replicas, and gradients flow through them; otherwise
    moving averages. Each layer of a deep flow then sees numbers of one size, and the
    noise of the moments regularizes. A batch of a single example has no variance: there
    the moving averages are taken, and stay.

    A training's z alone does not give x back: in constant memory its input is stored.

    Args:
        channels: Integer, the size of the last axis.
        event_ndims: How many axes make one example. Defaults to `1`.
        momentum: Float, of the moving averages. Defaults to `0.99`.
        epsilon: Float. Defaults to `1e-5`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> z, _ = BatchNorm(1).inverse_and_log_det(tf.constant([[1.0], [3.0]]), None, True)
    >>> z.numpy().round(3)
    array([[-1.],
           [ 1.]], dtype=float32)

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """

    reversible = False

    def __init__(self, channels, event_ndims=1, momentum=0.99, epsilon=1e-5, **kwargs):
        super().__init__(event_ndims, **kwargs)
        self.momentum, self.epsilon = momentum, epsilon
        self.bias = self.add_own_weight("bias", (channels,))
        self.log_scale = self.add_own_weight("log_scale", (channels,))
        self.moving_mean = self.add_own_weight("mean", (channels,), trainable=False)
        self.moving_variance = self.add_own_weight(
            "variance", (channels,), "ones", False
        )
        self.built = True

    def initialize(self, x, context=None):
        """Starts the moving averages at a batch's moments, and returns its z."""
        mean, variance = _moments(x, self.event_ndims)
        self.moving_mean.assign(tf.cast(mean, self.moving_mean.dtype))
        self.moving_variance.assign(tf.cast(variance, self.moving_variance.dtype))
        return super().initialize(x, context)

    def _moments(self, x, training):
        if not training:
            return tf.cast(self.moving_mean.value, x.dtype), tf.cast(
                self.moving_variance.value, x.dtype
            )
        alone = global_count(x) * tf.cast(self.places(x), "float32") < 2.0
        moments = []
        for average, now in zip(
            (self.moving_mean, self.moving_variance),
            _moments(x, self.event_ndims),
            strict=True,
        ):
            now = tf.where(alone, tf.cast(average.value, x.dtype), now)
            moments.append(now)
            now = tf.cast(tf.stop_gradient(now), average.dtype)
            average.assign(average + (1.0 - self.momentum) * (now - average))
        return moments

    def _log_slope(self, variance, x):
        own = tf.cast(self.log_scale.value, x.dtype)
        return own - 0.5 * tf.math.log(variance + self.epsilon)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x by the moving averages."""
        mean, variance = self._moments(z, False)
        log_slope = self._log_slope(variance, z)
        x = (z - tf.cast(self.bias.value, z.dtype)) * tf.exp(-log_slope) + mean
        return x, -self.volume(log_slope, z)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z by the batch's moments in training, else by the averages."""
        mean, variance = self._moments(x, training)
        log_slope = self._log_slope(variance, x)
        z = (x - mean) * tf.exp(log_slope) + tf.cast(self.bias.value, x.dtype)
        return z, self.volume(log_slope, x)


def place_variance(x):
    """Returns the variance at each place over the batches of all replicas, above 0."""
    return global_mean(tf.square(x - global_mean(x))) + 1e-8


def _moments(x, event_ndims):
    """Returns mean and variance of each channel over the batches of all replicas."""
    axes = list(range(1, event_ndims))
    mean = global_mean(tf.reduce_mean(x, axis=axes))
    square = global_mean(tf.reduce_mean(tf.square(x - mean), axis=axes))
    return mean, square
