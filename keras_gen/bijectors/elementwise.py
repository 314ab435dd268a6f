"""Maps of each number by itself."""

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.losses.replicas import global_mean

# The share of the mass that `Equalize` spreads evenly, whatever its first batch.
_UNSEEN = 0.01


@keras.saving.register_keras_serializable("keras_gen")
class Logit(BijectiveLayer):
    """Opens the unit interval to the real line, with a margin at both ends.

    z = logit(p), p = margin + (1 - 2 margin) x. In a flow for images it comes next to
    the data: codes then have no bounds, and samples leave the interval by no more than
    margin / (1 - 2 margin). Codes far out, |z| > 10, lose precision in float32.

    Args:
        event_ndims: How many axes make one example. Defaults to `3`.
        margin: Float in [0, 0.5). Zero makes data at 0 and 1 infinite. Defaults to
            `0.05`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> z, _ = Logit(1, margin=0.0).inverse_and_log_det(tf.constant([[0.5]]))
    >>> float(z[0, 0])
    0.0

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """

    def __init__(self, event_ndims=3, margin=0.05, **kwargs):
        super().__init__(event_ndims=event_ndims, **kwargs)
        require_argument(0.0 <= margin < 0.5, "margin", "in [0, 0.5)", margin)
        self.margin = margin
        self.built = True

    def _log_slope(self, z):
        """Returns log dx/dz from z, where it does not cancel."""
        squash = tf.math.log(tf.constant(1.0 - 2.0 * self.margin, z.dtype))
        return -tf.nn.softplus(z) - tf.nn.softplus(-z) - squash

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x = (sigmoid(z) - margin) / (1 - 2 margin)."""
        x = (tf.sigmoid(z) - self.margin) / (1.0 - 2.0 * self.margin)
        return x, self.sum_over_event(self._log_slope(z))

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z = logit(margin + (1 - 2 margin) x)."""
        # 1 - p from 1 - x, which is exact where p is near to one.
        p, rest = (self.margin + (1.0 - 2.0 * self.margin) * y for y in (x, 1.0 - x))
        z = tf.math.log(p) - tf.math.log(rest)
        return z, -self.sum_over_event(self._log_slope(z))


@keras.saving.register_keras_serializable("keras_gen")
class Equalize(BijectiveLayer):
    """Equalizes the histogram of each channel: common values get more room, rare less.

    z = F(x), where F is the distribution function of a density on [0, 1) that is
    constant within each of `levels` bins. `initialize(x)` sets the bins' masses from a
    first batch; from then on they are weights like others. Where most pixels are
    black, black fills most of the interval that z has instead of its 256th part, which
    later layers would have to learn to magnify. Below 0 and from 1 on, the first and
    the last bin go on.

    Args:
        channels: Integer, the size of the last axis.
        levels: Integer, how many bins. Defaults to `256`.
        event_ndims: How many axes make one example. Defaults to `3`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = Equalize(1, levels=2, event_ndims=1)
    >>> _ = layer.initialize(tf.constant([[0.1], [0.2], [0.3], [0.9]]))
    >>> layer(tf.constant([[0.5], [0.75]])).numpy().round(2)
    array([[0.75],
           [0.87]], dtype=float32)
    """

    def __init__(self, channels, levels=256, event_ndims=3, **kwargs):
        super().__init__(event_ndims=event_ndims, **kwargs)
        require_argument(levels > 1, "levels", "at least 2", levels)
        self.channels, self.levels = channels, levels
        self.logits = self.add_own_weight("logits", (channels, levels))
        self.built = True

    def initialize(self, x, context=None):
        """Sets the masses from a batch, and returns its z."""
        bins = tf.reshape(self._places(self._bins(x)), (-1,))
        size = self.channels * self.levels
        counts = tf.math.unsorted_segment_sum(tf.ones_like(bins, x.dtype), bins, size)
        counts = global_mean(tf.reshape(counts, (1, self.channels, self.levels)))
        masses = counts / tf.reduce_sum(counts, axis=-1, keepdims=True)
        # What one batch lacks is not impossible.
        masses = (1.0 - _UNSEEN) * masses + _UNSEEN / self.levels
        self.logits.assign(tf.cast(tf.math.log(masses), self.logits.dtype))
        return super().initialize(x, context)

    def _masses(self, dtype):
        """Returns the mass of each bin, and of all below it, for each channel."""
        masses = tf.nn.softmax(tf.cast(self.logits.value, dtype))
        return masses, tf.cumsum(masses, axis=-1, exclusive=True)

    def _bins(self, x):
        return tf.clip_by_value(
            tf.cast(tf.floor(x * self.levels), "int32"), 0, self.levels - 1
        )

    def _places(self, bins):
        """Returns the positions of bins in a concatenated table of all channels."""
        return bins + self.levels * tf.range(self.channels)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x = F^-1(z)."""
        masses, below = self._masses(z.dtype)
        columns = tf.transpose(tf.reshape(z, (-1, self.channels)))
        bins = tf.searchsorted(below[:, 1:], columns, side="right")
        bins = tf.reshape(tf.transpose(bins), tf.shape(z))
        mass, below = self._at(bins, masses, below)
        x = (tf.cast(bins, z.dtype) + (z - below) / mass) / self.levels
        return x, -self.sum_over_event(tf.math.log(mass * self.levels))

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z = F(x)."""
        bins = self._bins(x)
        mass, below = self._at(bins, *self._masses(x.dtype))
        z = below + mass * (x * self.levels - tf.cast(bins, x.dtype))
        return z, self.sum_over_event(tf.math.log(mass * self.levels))

    def _at(self, bins, *tables):
        places = self._places(bins)
        return [tf.gather(tf.reshape(table, (-1,)), places) for table in tables]
