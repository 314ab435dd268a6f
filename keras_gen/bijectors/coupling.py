"""Couplings: one part of the data is changed, given the other."""

import keras
import numpy as np
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.bijectors.normalize import place_variance
from keras_gen.bijectors.shared import network_signature
from keras_gen.bijectors.transform import RationalQuadratic, ScaleAndShift, Shift

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
        known = (*_MASKS, "split")
        raise ValueError(f"Argument `mask` must be one of {known}. Received: {kind!r}")
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


class Coupling(BijectiveLayer):
    """Changes one part of the data by a transform that the other part steers.

    The base of all couplings: a subclass names the transform.

    Args:
        network: A built `keras.Model` to the transform's raw parameters, in blocks side
            by side in the last axis. A second input, where it has one, is the context.
        transform: What is done to each number: an object of `bijectors.transform`.
        mask: As for `AffineCoupling`.
        reverse: As for `AffineCoupling`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, network, transform, mask="half", reverse=False, **kwargs):
        shape = tuple(network.inputs[0].shape[1:])
        super().__init__(event_ndims=len(shape), **kwargs)
        outputs = tuple(network.output_shape[1:])
        numbers = transform.numbers
        self.split_at = None
        if mask == "split":
            fits = outputs[:-1] == shape[:-1] and outputs[-1] % numbers == 0
            wanted = f"(..., {numbers} times the size of the changed part)"
            self.split_at = shape[-1], outputs[-1] // numbers
        else:
            wanted = (*shape[:-1], numbers * shape[-1])
            fits = outputs == wanted
        if not fits:
            raise ValueError(
                f"Argument `network` must map {shape} to {wanted}. "
                f"Received: network.output_shape={network.output_shape}"
            )
        self.network = network
        self.takes_context = len(network.inputs) == 2
        self.transform = transform
        self.reverse = reverse
        self.kept = None if self.split_at else make_mask(mask, shape, reverse)
        self.built = True

    def signature(self):
        """Returns a key that is equal for couplings with equal networks."""
        network = network_signature(self.network)
        ours = type(self.transform).__module__.startswith("keras_gen.")
        if network is None or not ours:
            return None
        kept = None if self.kept is None else self.kept.tobytes()
        transform = type(self.transform), tuple(sorted(vars(self.transform).items()))
        return transform, self.split_at, self.reverse, kept, network

    def _part(self, x):
        """Returns the unchanged part, as the network's input, and the changed part."""
        if self.split_at is None:
            return tf.cast(self.kept, x.dtype) * x, x
        kept, changed = self.split_at
        if self.reverse:
            changed, kept = tf.split(x, [changed, kept], axis=-1)
        else:
            kept, changed = tf.split(x, [kept, changed], axis=-1)
        return kept, changed

    def _join(self, kept, changed):
        """Returns the whole again."""
        if self.split_at is None:
            free = tf.cast(1.0 - self.kept, changed.dtype)
            return kept + free * changed
        parts = [changed, kept] if self.reverse else [kept, changed]
        return tf.concat(parts, axis=-1)

    def _parameters(self, kept, context, training):
        """Returns the raw parameters, zero for what a mask keeps."""
        inputs = kept
        if self.takes_context:
            self.require_context(context)
            inputs = [kept, context]
        raw = tf.cast(self.network(inputs, training=training), kept.dtype)
        if self.split_at is not None:
            return raw
        free = np.concatenate([1.0 - self.kept] * self.transform.numbers, axis=-1)
        return tf.cast(free, raw.dtype) * raw

    def _volume(self, log_slope, like):
        if log_slope is None:
            return tf.zeros(tf.shape(like)[:1], like.dtype)
        return self.sum_over_event(log_slope)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x: the transform of the changed part, and the sum of log-slopes."""
        kept, changed = self._part(z)
        raw = self._parameters(kept, context, training)
        x, log_slope = self.transform.forward(changed, raw)
        return self._join(kept, x), self._volume(log_slope, z)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z: the changed part transformed back, and the sum of log-slopes."""
        kept, changed = self._part(x)
        raw = self._parameters(kept, context, training)
        z, log_slope = self.transform.inverse(changed, raw)
        return self._join(kept, z), self._volume(log_slope, x)

    def gradients_from_latent(self, z, upstream, sources, context=None):
        """Returns x and the gradients, from one evaluation of the network."""
        kept, changed = self._part(tf.stop_gradient(z))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([kept, *sources])
            raw = self._parameters(kept, context, True)
            with tape.stop_recording():
                x = self.transform.forward(changed, raw)[0]
            tape.watch(x)
            back, log_slope = self.transform.inverse(x, raw)
            outputs = [self._join(kept, back), self._volume(log_slope, z)]
        of_kept, of_changed, *others = tape.gradient(
            outputs, [kept, x, *sources], upstream
        )
        if self.split_at is None:
            # What the mask keeps has come through the network and `_join`; the rest
            # through the transform, whose slope is one where raw parameters are zero.
            mask = tf.cast(self.kept, z.dtype)
            gradient = mask * of_kept + (1.0 - mask) * of_changed
        else:
            gradient = self._join(of_kept, of_changed)
        return self._join(kept, x), [gradient, *others]


@keras.saving.register_keras_serializable("keras_gen")
class AdditiveCoupling(Coupling):
    """Shifts one part of the data by a function of the other part.

    x = b z + (1 - b) (z + d t(b z)): the volume is kept, log|det| = 0. The inverse
    costs the same. `initialize(x)` sets the units d of the shifts to the standard
    deviations of a first batch, none below a hundredth of the typical one, and nothing
    changes them later: a step of an optimizer then moves a pixel that hardly changes by
    as little as that needs. They are 1 until then.

    Args:
        network: As for `AffineCoupling`, to one shift for each number.
        mask: As for `AffineCoupling`. Defaults to `"half"`.
        reverse: As for `AffineCoupling`. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = AdditiveCoupling(networks.mlp((2,), 2), mask="split")
    >>> layer.inverse_and_log_det(tf.ones((3, 4)))[0].shape
    TensorShape([3, 4])

    Reference: [Dinh et al., 2015](https://arxiv.org/abs/1410.8516)
    """

    def __init__(self, network, mask="half", reverse=False, **kwargs):
        super().__init__(network, Shift(), mask, reverse, **kwargs)
        self.units = self.add_own_weight(
            "units", network.output_shape[1:], "ones", trainable=False
        )

    def initialize(self, x, context=None):
        """Sets the units from a batch, and returns its z."""
        variance = place_variance(self._part(x)[1])
        # What does not vary in one batch may do so later.
        units = tf.sqrt(tf.maximum(variance, 1e-4 * tf.reduce_mean(variance)))
        self.units.assign(tf.cast(units, self.units.dtype))
        return super().initialize(x, context)

    def _parameters(self, kept, context, training):
        raw = super()._parameters(kept, context, training)
        return tf.cast(self.units.value, raw.dtype) * raw


@keras.saving.register_keras_serializable("keras_gen")
class AffineCoupling(Coupling):
    """Scales and shifts one part of the data by functions of the other part.

    With a mask b of ones and zeros and (s, t) = network(b z):
    x = b z + (1 - b) (z exp(s) + t), log|det dx/dz| = sum (1 - b) s. The inverse
    costs the same. s = limit * tanh(raw / limit), so that no scale can explode.

    A stack must alternate `reverse`, or mix the numbers in between, or one part never
    changes.

    Args:
        network: A built `keras.Model` from the data's shape to twice as many numbers:
            raw scales and shifts, side by side in the last axis. With the mask
            `"split"`, from the kept part's shape to twice as many numbers as the other
            part has. A second input, where it has one, is the context.
        mask: `"half"`, `"alternate"`, `"checkerboard"` or `"channel"`: the network sees
            all data, zero where they are changed. `"split"`: it sees the first part of
            the last axis alone, which is cheaper. Defaults to `"half"`.
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
        super().__init__(network, ScaleAndShift(limit), mask, reverse, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class SplineCoupling(Coupling):
    """Transforms one part of the data by splines whose knots depend on the other.

    Each number runs through a monotone rational quadratic spline on [-bound, bound] and
    stays as it is beyond: far more flexible than a scale and a shift, for `3 bins - 1`
    parameters a number. The data should mostly lie within the bound.

    Args:
        network: As for `AffineCoupling`, to `3 bins - 1` numbers for each.
        mask: As for `AffineCoupling`. Defaults to `"half"`.
        reverse: As for `AffineCoupling`. Defaults to `False`.
        bins: Integer. Defaults to `8`.
        bound: Positive float. Defaults to `4.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = SplineCoupling(networks.mlp((1,), 11), mask="split", bins=4)
    >>> layer.inverse_and_log_det(tf.ones((3, 2)))[1].shape
    TensorShape([3])

    Reference: [Durkan et al., 2019](https://arxiv.org/abs/1906.04032)
    """

    def __init__(
        self, network, mask="half", reverse=False, bins=8, bound=4.0, **kwargs
    ):
        super().__init__(
            network, RationalQuadratic(bins, bound), mask, reverse, **kwargs
        )
