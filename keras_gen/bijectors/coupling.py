"""Affine couplings: one part of the data is scaled and shifted, given the other."""

import keras
import numpy as np
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer

_MASKS = ("half", "alternate", "checkerboard", "channel")


def make_mask(kind, shape, reverse=False):
    """Returns a float32 array of a shape, one where a coupling leaves data alone.

    Args:
        kind: `"half"`: the first half of a vector; `"alternate"`: every other number;
            `"checkerboard"`: every other pixel; `"channel"`: the first half of the
            channels.
        shape: The data's shape without the batch.
        reverse: Boolean. Whether to swap ones and zeros. Defaults to `False`.
    """
    if kind not in _MASKS:
        raise ValueError(f"Argument `mask` must be one of {_MASKS}. Received: {kind!r}")
    if kind == "checkerboard" and len(shape) < 2:
        raise ValueError(
            f"A coupling with a {kind!r} mask needs an image. "
            f"Received: shape={tuple(shape)}"
        )
    place = np.indices(shape)
    if kind == "half":
        mask = place[-1] < (shape[-1] + 1) // 2
    elif kind == "alternate":
        mask = place[-1] % 2 == 0
    elif kind == "channel":
        mask = place[-1] < (shape[-1] + 1) // 2
    else:
        mask = (place[0] + place[1]) % 2 == 0
    mask = np.asarray(mask, "float32")
    if mask.min() == mask.max():
        raise ValueError(
            f"A coupling with a {kind!r} mask needs more than one number to split. "
            f"Received: shape={tuple(shape)}"
        )
    return 1.0 - mask if reverse else mask


@keras.saving.register_keras_serializable("keras_gen")
class AffineCoupling(BijectiveLayer):
    """Scales and shifts one part of the data by functions of the other part.

    With a mask b of ones and zeros and (s, t) = network(b z):
    x = b z + (1 - b) (z exp(s) + t), log|det dx/dz| = sum (1 - b) s. The inverse
    costs the same. s = limit * tanh(raw / limit), so that no scale can explode.

    A stack must alternate `reverse`, or one part never changes.

    Args:
        network: A built `keras.Model` from the data's shape to twice as many numbers:
            raw scales and shifts, side by side in the last axis.
        mask: `"half"`, `"alternate"`, `"checkerboard"` or `"channel"`. Defaults to
            `"half"`.
        reverse: Boolean. Whether the other part is changed. Defaults to `False`.
        limit: Positive float, the largest log-scale. Defaults to `3.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = AffineCoupling(networks.mlp((4,), 8))
    >>> x = tf.ones((3, 4))
    >>> z, log_det = layer.inverse_and_log_det(x)
    >>> z.shape, log_det.shape
    (TensorShape([3, 4]), TensorShape([3]))

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """

    def __init__(self, network, mask="half", reverse=False, limit=3.0, **kwargs):
        shape = tuple(network.input_shape[1:])
        super().__init__(event_ndims=len(shape), **kwargs)
        expected = (*shape[:-1], 2 * shape[-1])
        if tuple(network.output_shape[1:]) != expected:
            raise ValueError(
                f"Argument `network` must map {shape} to {expected}. "
                f"Received: network.output_shape={network.output_shape}"
            )
        if limit <= 0:
            raise ValueError(
                f"Argument `limit` must be positive. Received: limit={limit}"
            )
        self.network = network
        self.limit = limit
        self.kept = make_mask(mask, shape, reverse)
        self.built = True

    def _scale_and_shift(self, masked, training):
        outputs = tf.cast(self.network(masked, training=training), masked.dtype)
        raw, shift = tf.split(outputs, 2, axis=-1)
        changed = tf.cast(1.0 - self.kept, masked.dtype)
        log_scale = self.limit * tf.tanh(raw / self.limit)
        return changed * log_scale, changed * shift

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x = z exp(s) + t where the mask is zero, and the sum of s."""
        kept = tf.cast(self.kept, z.dtype)
        log_scale, shift = self._scale_and_shift(kept * z, training)
        return z * tf.exp(log_scale) + shift, self.sum_over_event(log_scale)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z = (x - t) exp(-s) where the mask is zero, and -sum of s."""
        kept = tf.cast(self.kept, x.dtype)
        log_scale, shift = self._scale_and_shift(kept * x, training)
        return (x - shift) * tf.exp(-log_scale), -self.sum_over_event(log_scale)
