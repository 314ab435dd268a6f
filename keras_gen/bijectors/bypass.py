"""Maps of a part of the channels, and scales that are given."""

import keras
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.bijectors.chain import Chain


@keras.saving.register_keras_serializable("keras_gen")
class EarlyOutput(BijectiveLayer):
    """Lets the first channels by and maps the others: [a, b] becomes [a, f(b)].

    What passes has left the flow early: it is code already. Unlike `MultiScale` it
    keeps the data's shape, and so works for sequences of any length.

    Args:
        layers: A list of `BijectiveLayer`s for the other channels, the one next to the
            data first. They keep their input's shape.
        shape: Tuple, the data's shape without the batch.
        passing: How many channels pass.
        constant_memory: As for `Chain`. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> inner = [bijectors.InvertibleConv(6, event_ndims=2)]
    >>> layer = EarlyOutput(inner, (5, 8), passing=2)
    >>> z, _ = layer.inverse_and_log_det(tf.ones((1, 5, 8)))
    >>> z[0, 0, :2].numpy()
    array([1., 1.], dtype=float32)

    Reference: [Prenger et al., 2018](https://arxiv.org/abs/1811.00002)
    """

    def __init__(self, layers, shape, passing, constant_memory=False, **kwargs):
        super().__init__(len(shape), **kwargs)
        if not 0 < passing < shape[-1]:
            raise ValueError(
                "Argument `passing` must leave channels on both sides. "
                f"Received: passing={passing} of {shape[-1]} channels"
            )
        self.passing = passing
        rest = (*shape[:-1], shape[-1] - passing)
        self.chains = [Chain(layers, rest, constant_memory)]
        self.takes_context = self.chain.takes_context
        self.reversible = self.chain.reversible
        self.built = True

    @property
    def chain(self):
        """What the other channels go through."""
        return self.chains[0]

    @property
    def constant_memory(self):
        """As for `Chain`."""
        return self.chain.constant_memory

    @constant_memory.setter
    def constant_memory(self, value):
        self.chain.constant_memory = value

    def _split(self, x):
        return x[..., : self.passing], x[..., self.passing :]

    def initialize(self, x, context=None):
        """Sets what depends on data, and returns z."""
        code, rest = self._split(x)
        return tf.concat([code, self.chain.initialize(rest, context)], axis=-1)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x and the log-determinant of the part that is mapped."""
        code, rest = self._split(z)
        rest, log_det = self.chain.forward_and_log_det(rest, context, training)
        return tf.concat([code, rest], axis=-1), log_det

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z and the log-determinant of the part that is mapped."""
        code, rest = self._split(x)
        rest, log_det = self.chain.inverse_and_log_det(rest, context, training)
        return tf.concat([code, rest], axis=-1), log_det


@keras.saving.register_keras_serializable("keras_gen")
class ContextScale(BijectiveLayer):
    """Divides each place by a scale that the context holds: z = x exp(-s).

    s is the context's last channel, (steps, 1); log|det dz/dx| = -channels sum s.
    There is nothing to learn.

    Args:
        event_ndims: How many axes make one example, and one context. Defaults to `2`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> x, context = tf.ones((1, 3, 2)), tf.fill((1, 3, 1), tf.math.log(2.0))
    >>> ContextScale()(x, context)[0, 0].numpy()
    array([0.5, 0.5], dtype=float32)
    """

    takes_context = True

    def __init__(self, event_ndims=2, **kwargs):
        super().__init__(event_ndims=event_ndims, **kwargs)
        self.built = True

    def _log_scale(self, x, context):
        self.require_context(context)
        return tf.broadcast_to(tf.cast(context[..., -1:], x.dtype), tf.shape(x))

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x = z exp(s)."""
        log_scale = self._log_scale(z, context)
        return z * tf.exp(log_scale), self.sum_over_event(log_scale)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z = x exp(-s)."""
        log_scale = self._log_scale(x, context)
        return x * tf.exp(-log_scale), -self.sum_over_event(log_scale)
