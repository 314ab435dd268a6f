"""Linear maps of the channels."""

import random

import keras
import numpy as np
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer


@keras.saving.register_keras_serializable("keras_gen")
class InvertibleConv(BijectiveLayer):
    """Mixes the channels by a learned matrix: an invertible 1x1 convolution.

    z = x W at each place, log|det dz/dx| = places log|det W|; W starts as a random
    rotation. A permutation that is learned, for images, audio and vectors.

    As an LU product, W = P L (U + diag(sign exp(s))), the log-determinant is the sum of
    s and costs nothing, and P and the signs stay what they were; for few channels the
    plain matrix is as fast.

    Args:
        channels: Integer, the size of the last axis.
        lu: Boolean. Whether W is an LU product. Defaults to `False`.
        event_ndims: How many axes make one example: 3 for images, 2 for sequences, 1
            for vectors. Defaults to `3`.
        seed: Integer, of the first rotation. Defaults to `None`, drawn from Python's
            generator, as all initial weights are in Keras, which
            `keras.utils.set_random_seed` makes repeatable.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> z, log_det = InvertibleConv(3).inverse_and_log_det(tf.ones((2, 4, 4, 3)))
    >>> z.shape, bool(abs(log_det[0]) < 1e-4)  # a rotation at first
    (TensorShape([2, 4, 4, 3]), True)

    Reference: [Kingma and Dhariwal, 2018](https://arxiv.org/abs/1807.03039)
    """

    def __init__(self, channels, lu=False, event_ndims=3, seed=None, **kwargs):
        super().__init__(event_ndims=event_ndims, **kwargs)
        from scipy import linalg

        if seed is None:
            seed = random.randint(0, 2**31 - 1)
        self.channels, self.lu = channels, lu
        shape = (channels, channels)
        start = np.random.default_rng(seed).normal(size=shape)
        rotation = np.linalg.qr(start)[0]
        if not lu:
            self.kernel = self._weight("kernel", rotation)
            self.built = True
            return
        order, lower, upper = linalg.lu(rotation, p_indices=True)
        # Integers: what a step saves of the statistics in its networks are floats.
        self.order = self._weight("order", order, "int32")
        self.signs = self._weight("signs", np.sign(np.diag(upper)), "int32")
        self.log_scale = self._weight("log_scale", np.log(np.abs(np.diag(upper))))
        self.lower = self._weight("lower", np.tril(lower, -1)[order])
        self.upper = self._weight("upper", np.triu(upper, 1))
        self.built = True

    maps_channels = True

    def _weight(self, name, value, dtype=None):
        return self.add_own_weight(
            name,
            value.shape,
            lambda shape, dtype: tf.constant(value, dtype),
            trainable=dtype is None,
            dtype=dtype,
        )

    def matrix(self):
        """Returns W and log|det W|."""
        if not self.lu:
            kernel = self.kernel.value
            return kernel, _log_abs_det(kernel)
        dtype, one = self.log_scale.dtype, np.eye(self.channels)
        # P and P L together: the weight's rows stand in the order of those of P L.
        below = tf.constant(np.tril(np.ones_like(one), -1), dtype)
        below, ones = tf.unstack(
            tf.gather(tf.stack([below, tf.constant(one, dtype)]), self.order, axis=1)
        )
        lower = below * self.lower.value + ones
        diagonal = tf.cast(self.signs.value, dtype) * tf.exp(self.log_scale.value)
        upper = tf.constant(np.triu(np.ones_like(one), 1), dtype) * self.upper.value
        matrix = lower @ (upper + tf.constant(one, dtype) * diagonal)
        return matrix, tf.reduce_sum(self.log_scale.value)

    def signature(self):
        """Returns a key that is equal for mixtures of as many channels."""
        dtype = self.trainable_variables[0].dtype
        return "InvertibleConv", self.event_ndims, self.channels, self.lu, dtype

    def channel_map(self):
        """Returns W, no shift, and log|det W|."""
        matrix, log_det = self.matrix()
        return matrix, None, log_det

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x = z W^-1."""
        return ChannelMaps([self]).forward_and_log_det(z)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z = x W."""
        return ChannelMaps([self]).inverse_and_log_det(x)


class ChannelMaps:
    """Neighboring layers whose maps mix or scale the channels, applied as one.

    One product and one sum, whatever the number of layers: what lies between them is
    neither computed nor stored. Each gives `channel_map()`: (A, c, log|det A|) where
    z = x A + c at each place, A being a matrix of the channels, or a vector of their
    scales, and c a vector or `None`.

    Args:
        layers: `BijectiveLayer`s with `maps_channels`, the one next to the data first.
    """

    reversible = True
    takes_context = False
    gradients_from_latent = BijectiveLayer.gradients_from_latent

    def __init__(self, layers):
        self.layers = layers

    @property
    def variables(self):
        """All weights of the layers."""
        return [v for layer in self.layers for v in layer.variables]

    @property
    def trainable_variables(self):
        """Those that are learned."""
        return [v for layer in self.layers for v in layer.trainable_variables]

    @property
    def non_trainable_variables(self):
        """Those that are not."""
        return [v for layer in self.layers for v in layer.non_trainable_variables]

    def signature(self):
        """Returns the layers' signatures."""
        signatures = tuple(layer.signature() for layer in self.layers)
        return None if None in signatures else signatures

    def _map(self):
        """Returns the product as a matrix, the shift or `None`, and log|det|."""
        product, shift, log_det = self.layers[0].channel_map()
        for layer in self.layers[1:]:
            own, more, volume = layer.channel_map()
            log_det += volume
            if shift is not None:
                shift = _product(shift[None], own)[0]
            if more is not None:
                shift = more if shift is None else shift + more
            product = _product(product, own)
        return _as_matrix(product), shift, log_det

    def _volume(self, x, log_det):
        layer = self.layers[0]
        places = tf.cast(layer.places(x), log_det.dtype)
        return layer.constant_volume(places * log_det, x)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x = (z - c) A^-1."""
        matrix, shift, log_det = self._map()
        # The inverse of a few channels costs nothing, and need not lose any digits.
        back = tf.linalg.inv(tf.cast(matrix, "float64"))
        back = tf.cast(back, matrix.dtype)
        x = z if shift is None else z - tf.cast(shift, z.dtype)
        return _mix(x, back), self._volume(z, -log_det)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z = x A + c."""
        matrix, shift, log_det = self._map()
        return _mix(x, matrix, shift), self._volume(x, log_det)


def _as_matrix(scales):
    return tf.linalg.diag(scales) if len(scales.shape) == 1 else scales


def _product(first, second):
    """Returns the product of two matrices, vectors being the diagonals of some."""
    if len(second.shape) == 1:
        return first * second
    return first[:, None] * second if len(first.shape) == 1 else first @ second


def _mix(x, matrix, shift=None):
    """Returns x times a matrix of its last axis, and a shift added."""
    y = tf.reshape(x, (-1, x.shape[-1])) @ tf.cast(matrix, x.dtype)
    if shift is not None:
        y = tf.nn.bias_add(y, tf.cast(shift, x.dtype))
    static = None not in x.shape[1:]
    y = tf.reshape(y, (-1, *x.shape[1:]) if static else tf.shape(x))
    return tf.ensure_shape(y, x.shape)


@tf.custom_gradient
def _log_abs_det(matrix):
    """Returns log|det|, by a product that XLA also supports."""
    triangle = tf.linalg.qr(matrix)[1]
    log_det = tf.reduce_sum(tf.math.log(tf.abs(tf.linalg.diag_part(triangle))))

    def gradient(upstream):
        return upstream * tf.linalg.matrix_transpose(tf.linalg.inv(matrix))

    return log_det, gradient
