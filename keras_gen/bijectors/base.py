"""A Keras layer that is an invertible map, and the `tfb.Bijector` that it returns."""

import functools

import keras
import tensorflow as tf

from keras_gen.layers import Configured


class BijectiveLayer(Configured, keras.layers.Layer):
    """An invertible map from codes z to data x whose weights Keras can see.

    A subclass gives `forward_and_log_det(z)` and `inverse_and_log_det(x)`; each
    returns the value and log|det| of its own Jacobian, for each example, from one
    evaluation of its networks. `bijector()` wraps them for TensorFlow Probability.

    Keras finds no weights in a bijector or distribution that is held as an attribute,
    so it is the other way round here: the layer owns them, and the bijector is made
    anew at each call.

    Args:
        event_ndims: How many axes make one example: 1 for vectors, 3 for images.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, event_ndims, **kwargs):
        super().__init__(**kwargs)
        self.event_ndims = event_ndims

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x and log|det dx/dz|."""
        raise NotImplementedError

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z and log|det dz/dx|."""
        raise NotImplementedError

    def latent_shape(self, shape):
        """Returns the shape of z for data of a shape, both without the batch."""
        return tuple(shape)

    def bijector(self, context=None, training=False):
        """Returns a `tfb.Bijector` with this layer's weights.

        Args:
            context: What to condition on. Defaults to `None`.
            training: Boolean. Defaults to `False`.
        """
        return _bijector_class()(self, context, training)

    def call(self, x, context=None, training=False):
        """Returns z: as a layer, the map goes from data to codes."""
        return self.inverse_and_log_det(x, context, training)[0]

    def sum_over_event(self, values):
        """Sums a tensor over the axes of one example."""
        return tf.reduce_sum(values, axis=list(range(-self.event_ndims, 0)))


@functools.cache
def _bijector_class():
    """Defines the bijector when TensorFlow Probability is first needed."""
    import tensorflow_probability as tfp

    class LayerBijector(tfp.bijectors.Bijector):
        """A layer's map, evaluated once for both value and log-determinant.

        TensorFlow Probability asks for the two one after the other. The last
        evaluation is kept, with the tensors it belongs to, for as long as this
        bijector lives.
        """

        def __init__(self, layer, context, training):
            super().__init__(
                forward_min_event_ndims=layer.event_ndims,
                parameters={"layer": layer, "context": context, "training": training},
                name=layer.name,
            )
            self._layer = layer
            self._arguments = (context, training)
            self._last = (None, None, None)  # z, x, log|det dx/dz|

        def _evaluate_at_z(self, z):
            if self._last[0] is not z:
                x, log_det = self._layer.forward_and_log_det(z, *self._arguments)
                self._last = (z, x, log_det)
            return self._last

        def _evaluate_at_x(self, x):
            if self._last[1] is not x:
                z, log_det = self._layer.inverse_and_log_det(x, *self._arguments)
                self._last = (z, x, -log_det)
            return self._last

        def _forward(self, z):
            return self._evaluate_at_z(z)[1]

        def _inverse(self, x):
            return self._evaluate_at_x(x)[0]

        def _forward_log_det_jacobian(self, z):
            return self._evaluate_at_z(z)[2]

        def _inverse_log_det_jacobian(self, x):
            return -self._evaluate_at_x(x)[2]

        def _inverse_event_shape(self, shape):
            return tf.TensorShape(self._layer.latent_shape(tuple(shape)))

    return LayerBijector
