"""A Keras layer that is an invertible map, and the `tfb.Bijector` that it returns."""

import functools
import math
import weakref

import keras
import tensorflow as tf

from keras_gen.layers import Configured


class BijectiveLayer(Configured, keras.layers.Layer):
    """An invertible map from codes z to data x whose weights Keras can see.

    A subclass implements `forward_and_log_det(z)` and `inverse_and_log_det(x)`; each
    returns the value and log|det| of its own Jacobian, for each example, from one
    evaluation of its networks. `bijector()` wraps them for TensorFlow Probability.

    Keras finds no weights in a bijector or distribution that is held as an attribute,
    so here it is reversed: the layer owns them, and the bijector is made
    anew at each call.

    Log-determinants are computed in the data's precision: a policy of mixed precision
    narrows neither the data nor weights of a layer's own, which `add_own_weight` makes.

    Args:
        event_ndims: How many axes make one example: 1 for vectors, 3 for images.
        latent_ndims: How many axes its code has. Defaults to as many.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    takes_context = False  # whether it depends on one
    reversible = True  # whether training's z alone gives its x back
    maps_channels = False  # whether it has a `channel_map`: see `linear.ChannelMaps`

    def __init__(self, event_ndims, latent_ndims=None, **kwargs):
        super().__init__(**kwargs)
        self.autocast = False
        self.event_ndims = event_ndims
        self.latent_ndims = event_ndims if latent_ndims is None else latent_ndims

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x and log|det dx/dz|."""
        raise NotImplementedError

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z and log|det dz/dx|."""
        raise NotImplementedError

    def initialize(self, x, context=None):
        """Sets the weights that depend on data, from a first batch; most have none.

        Under a `tf.distribute` strategy, call it in replica context. Returns z.
        """
        return self.inverse_and_log_det(x, context)[0]

    def signature(self):
        """Returns a key that is equal for layers with the same computation.

        Layers with a signature assign to no weight and talk to no other replica in
        training. See `shared.Shared`. `None` by default.
        """
        return None

    def gradients_from_latent(self, z, upstream, sources, context=None):
        """Returns x, and gradients with respect to x and to other tensors.

        It is what a chain in constant memory needs: nothing but z has been stored.

        Args:
            z: What `inverse_and_log_det(x, context, training=True)` gave.
            upstream: The gradients with respect to z and to the log-determinant.
            sources: Tensors, on which the map depends, or not.
            context: As for `inverse_and_log_det`. Defaults to `None`.
        """
        state = [(v, tf.identity(v.value)) for v in self.non_trainable_variables]
        x = self.forward_and_log_det(z, context, training=True)[0]
        for variable, value in state:  # what is drawn is drawn again
            variable.assign(value)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([x, *sources])
            outputs = self.inverse_and_log_det(x, context, training=True)
        return x, tape.gradient(outputs, [x, *sources], upstream)

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

    def add_own_weight(
        self, name, shape, initializer="zeros", trainable=True, **kwargs
    ):
        """Adds a weight that keeps its precision whatever the policy."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=trainable,
            autocast=False,
            **kwargs,
        )

    def require_context(self, context):
        """Raises ValueError where there is no context for a layer that needs one."""
        if context is None:
            raise ValueError(
                f"`{type(self).__name__}` {self.name!r} is conditional: give `context`."
            )

    def constant_volume(self, log_det, x):
        """Returns one log-determinant, the same for all, for each example of x."""
        return tf.fill(tf.shape(x)[:1], tf.cast(log_det, x.dtype))

    def places(self, x):
        """Returns how many places each channel has in one example."""
        known = x.shape[1 : self.event_ndims]
        if None not in known:
            return math.prod(known)
        return tf.reduce_prod(tf.shape(x)[1 : self.event_ndims])

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

        TensorFlow Probability asks for the two separately. The last
        evaluation is kept, with the tensors it belongs to, for as long as this
        bijector lives.
        """

        def __init__(self, layer, context, training):
            super().__init__(
                forward_min_event_ndims=layer.latent_ndims,
                inverse_min_event_ndims=layer.event_ndims,
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
