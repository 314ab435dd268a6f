"""Maps in which each number is changed given those before it."""

import keras
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.bijectors.transform import RationalQuadratic, ScaleAndShift
from keras_gen.layers import MaskedDense
from keras_gen.networks import OrderedNetwork


class Autoregressive(BijectiveLayer):
    """Transforms each number by parameters that depend on the numbers before it.

    The base of both autoregressive maps: a subclass names the transform. From data to
    codes one evaluation of the network serves all numbers. The way back sets one number
    after the other, in whatever order the network has: of a network of masked dense
    layers, such as `networks.made`, it evaluates only the units that the new number
    settles, each unit once; of another, all of it for every number.

    A network that draws, such as one with dropout, gives other parameters each time: in
    constant memory its input is stored.

    Args:
        network: A built `keras.Model` whose output for a number depends on the numbers
            before it alone, such as `networks.made`.
        transform: What is done to each number: an object of `bijectors.transform`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, network, transform, **kwargs):
        super().__init__(event_ndims=1, **kwargs)
        (self.size,) = network.inputs[0].shape[1:]
        outputs = tuple(network.output_shape[1:])
        if outputs != (transform.numbers * self.size,):
            raise ValueError(
                f"Argument `network` must map {(self.size,)} to "
                f"{(transform.numbers * self.size,)}. Received: "
                f"network.output_shape={network.output_shape}"
            )
        self.network = network
        self.takes_context = len(network.inputs) == 2
        self.transform = transform
        self.reversible = not network.non_trainable_variables
        self.degrees = next(
            (x.input_degrees for x in network.layers if isinstance(x, MaskedDense)),
            None,
        )
        self.ordered = _ordered(network)
        self.built = True

    def _parameters(self, x, context, training):
        inputs = x
        if self.takes_context:
            self.require_context(context)
            inputs = [x, context]
        return tf.cast(self.network(inputs, training=training), x.dtype)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z from one evaluation of the network."""
        raw = self._parameters(x, context, training)
        z, log_slope = self.transform.inverse(x, raw)
        return z, self.sum_over_event(log_slope)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x, whose numbers are computed one at a time."""
        if self.takes_context:
            self.require_context(context)
        find = self._unit_by_unit if self.ordered else self._by_whole_networks
        x, log_slope = find(z, context, training)
        return x, self.sum_over_event(log_slope)

    def _unit_by_unit(self, z, context, training):
        """Evaluates the units that a new number settles."""
        ordered, z = self.ordered, tf.cast(z, self.ordered.dtype)
        weights = ordered.start([context] if self.takes_context else [])
        by_place = tf.gather(tf.transpose(z), ordered.order[0])

        def body(place, x, slopes, known):
            raw = ordered.outputs(place, weights, known)
            number, slope = self.transform.forward(by_place[place][:, None], raw)
            known = ordered.advance(place, number[:, 0], weights, known)
            x, slopes = (
                array.write(place, new[:, 0])
                for array, new in ((x, number), (slopes, slope))
            )
            return place + 1, x, slopes, known

        arrays = [tf.TensorArray(z.dtype, self.size) for _ in range(2)]
        _, *arrays, _ = tf.while_loop(
            lambda place, *_: place < self.size,
            body,
            (0, *arrays, ordered.empty(tf.shape(z)[0])),
            maximum_iterations=self.size,
        )
        return (
            tf.ensure_shape(
                tf.transpose(tf.gather(array.stack(), ordered.places[0])), z.shape
            )
            for array in arrays
        )

    def _by_whole_networks(self, z, context, training):
        """Evaluates the whole network as many times as there are numbers."""

        def evaluate(x, settled):
            raw = self._parameters(self._settled(x, settled), context, training)
            return self.transform.forward(z, raw)

        _, x = tf.while_loop(
            lambda settled, _: settled < self.size - 1,
            lambda settled, x: (settled + 1, evaluate(x, settled)[0]),
            (0, tf.zeros_like(z)),
            maximum_iterations=self.size - 1,
        )
        return evaluate(x, self.size - 1)

    def _settled(self, x, count):
        """Returns the first numbers of the order, zero for what is not settled yet.

        That may be anything, and a product with a masked weight is none that is zero if
        it is not finite.
        """
        if self.degrees is None:  # the order is the network's secret
            return tf.where(tf.math.is_finite(x), x, 0.0)
        return tf.where(tf.constant(self.degrees) <= count, x, 0.0)


def _ordered(network):
    """Returns an object that evaluates a network unit by unit, or `None`."""
    try:
        return OrderedNetwork(network)
    except ValueError:
        return None


@keras.saving.register_keras_serializable("keras_gen")
class MaskedAutoregressive(Autoregressive):
    """Scales and shifts each number by functions of the numbers before it.

    x_i = z_i exp(s_i) + t_i, (s_i, t_i) = network(x_1 ... x_i-1): densities in one
    evaluation of the network, samples in as many as there are numbers. `Invert` swaps
    the two.

    Args:
        network: A built `keras.Model` from (d,) to (2 d,), raw log-scales and shifts
            side by side, masked: `networks.made`. A second input is the context.
        limit: Positive float, the largest log-scale. Defaults to `3.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = MaskedAutoregressive(networks.made(4, 2, hidden=(8,)))
    >>> layer.inverse_and_log_det(tf.ones((3, 4)))[0].shape
    TensorShape([3, 4])

    Reference: [Papamakarios et al., 2017](https://arxiv.org/abs/1705.07057)
    """

    def __init__(self, network, limit=3.0, **kwargs):
        super().__init__(network, ScaleAndShift(limit), **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class SplineAutoregressive(Autoregressive):
    """Transforms each number by a spline whose knots depend on earlier numbers.

    Args:
        network: As for `MaskedAutoregressive`, to `3 bins - 1` numbers for each.
        bins: Integer. Defaults to `8`.
        bound: Positive float; beyond it, numbers stay as they are. Defaults to `4.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = SplineAutoregressive(networks.made(4, 11, hidden=(8,)), bins=4)
    >>> layer.inverse_and_log_det(tf.ones((3, 4)))[0].shape
    TensorShape([3, 4])

    Reference: [Durkan et al., 2019](https://arxiv.org/abs/1906.04032)
    """

    def __init__(self, network, bins=8, bound=4.0, **kwargs):
        super().__init__(network, RationalQuadratic(bins, bound), **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class Invert(BijectiveLayer):
    """The inverse of a layer: its map to codes becomes the map to data.

    Of a masked autoregressive map it makes the inverse autoregressive one, which
    samples in one evaluation of its network.

    Args:
        layer: A `BijectiveLayer`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = Invert(MaskedAutoregressive(networks.made(4, 2, hidden=(8,))))
    >>> layer.forward_and_log_det(tf.ones((3, 4)))[0].shape
    TensorShape([3, 4])

    Reference: [Kingma et al., 2016](https://arxiv.org/abs/1606.04934)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer.latent_ndims, layer.event_ndims, **kwargs)
        self.layer = layer
        self.takes_context = layer.takes_context
        self.reversible = layer.reversible
        self.built = True

    def latent_shape(self, shape):
        """Returns the data's shape of the layer."""
        return self.layer.data_shape(shape)

    def data_shape(self, shape):
        """Returns the codes' shape of the layer."""
        return self.layer.latent_shape(shape)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns the result of the layer's inverse."""
        return self.layer.inverse_and_log_det(z, context, training)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns the result of the layer's forward map."""
        return self.layer.forward_and_log_det(x, context, training)
