"""Maps of each number by itself."""

import keras
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer


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
        if not 0.0 <= margin < 0.5:
            raise ValueError(
                f"Argument `margin` must be in [0, 0.5). Received: margin={margin}"
            )
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
