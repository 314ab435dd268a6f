"""A Keras layer that is an invertible map, and the `tfb.Bijector` that it returns."""

import functools
import weakref

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

    def data_shape(self, shape):
        """Returns the shape of x for codes of a shape, both without the batch."""
        return tuple(shape)

    def bijector(self, context=None, training=False):
        """Returns a `tfb.Bijector` with this layer's weights as they are now.

        Make a new one after a change of the weights: TensorFlow Probability remembers
        what a bijector has computed. It takes batches with one leading axis.

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


def _nothing():
    return None


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
                name=layer.name,
            )
            self._layer = layer
            self._arguments = (context, training)
            self._last = (_nothing, _nothing, None)  # z, x, log|det dx/dz|

        def _evaluate_at_z(self, z):
            last_z, last_x, log_det = self._last
            x = last_x()
            if last_z() is not z or x is None:
                x, log_det = self._layer.forward_and_log_det(z, *self._arguments)
                self._last = (weakref.ref(z), weakref.ref(x), log_det)
            return x, log_det

        def _forward(self, z):
            return self._evaluate_at_z(z)[0]

        def _forward_log_det_jacobian(self, z):
            return self._evaluate_at_z(z)[1]

        def _evaluate_at_x(self, x):
            last_z, last_x, log_det = self._last
            z = last_z()
            if last_x() is not x or z is None:
                z, log_det = self._layer.inverse_and_log_det(x, *self._arguments)
                log_det = -log_det
                self._last = (weakref.ref(z), weakref.ref(x), log_det)
            return z, log_det

        def _inverse(self, x):
            return self._evaluate_at_x(x)[0]

        def _inverse_log_det_jacobian(self, x):
            return -self._evaluate_at_x(x)[1]

        def _forward_event_shape(self, shape):
            return tf.TensorShape(self._layer.data_shape(tuple(shape)))

        def _forward_event_shape_tensor(self, shape):
            static = self._layer.data_shape(tuple(tf.get_static_value(shape)))
            return tf.constant(static, "int32")

        def _inverse_event_shape_tensor(self, shape):
            static = self._layer.latent_shape(tuple(tf.get_static_value(shape)))
            return tf.constant(static, "int32")

        def _inverse_event_shape(self, shape):
            return tf.TensorShape(self._layer.latent_shape(tuple(shape)))

    return LayerBijector
