"""Dequantization: noise that makes data with few levels continuous."""

import math

import keras
import tensorflow as tf

from keras_gen import networks
from keras_gen.bijectors import AffineCoupling, Chain, Logit
from keras_gen.layers import Configured


@keras.saving.register_keras_serializable("keras_gen")
class UniformDequantization(Configured, keras.layers.Layer):
    """u ~ U(0, 1) for each number: log q(u|x) = 0.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> u, log_q = UniformDequantization().draw(tf.zeros((3, 2)), (0, 1))
    >>> u.shape, float(log_q[0])
    (TensorShape([3, 2]), 0.0)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def draw(self, x, seed, training=False):
        """Returns u and log q(u|x).

        Args:
            x: Data, before noise.
            seed: A stateless seed of shape (2,).
            training: Boolean. Defaults to `False`.
        """
        u = tf.random.stateless_uniform(tf.shape(x), seed, dtype=x.dtype)
        return u, tf.zeros(tf.shape(x)[:1], x.dtype)


@keras.saving.register_keras_serializable("keras_gen")
class VariationalDequantization(Configured, keras.layers.Layer):
    """A flow for the noise, given the data: a tighter bound on the likelihood.

    u = sigmoid(g(e; x)) with e ~ N(0, I); the model learns
    E[log p(((L-1) x + u) / L) - log q(u|x)], a bound on the mass of x in which noise
    need no longer look uniform.

    Args:
        layers: A list of `BijectiveLayer`s from noise of the data's shape to noise of
            that shape, conditioned on the data: their networks' second input.
        shape: Tuple, the data's shape.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> image = (4, 4, 1)
    >>> net = networks.conv_conditioner(image, 2, 4, context_shape=image)
    >>> noise = [bijectors.AffineCoupling(net, "checkerboard")]
    >>> dequantization = VariationalDequantization(noise, image)
    >>> u, log_q = dequantization.draw(tf.zeros((3, *image)), (0, 1))
    >>> u.shape, log_q.shape
    (TensorShape([3, 4, 4, 1]), TensorShape([3]))

    Reference: [Ho et al., 2019](https://arxiv.org/abs/1902.00275)
    """

    def __init__(self, layers, shape, **kwargs):
        super().__init__(**kwargs)
        self.chain = Chain([Logit(len(shape), margin=0.0), *layers], shape)
        self.built = True

    def draw(self, x, seed, training=False):
        """Returns u and log q(u|x)."""
        noise = tf.random.stateless_normal(tf.shape(x), seed, dtype=x.dtype)
        squares = noise**2 + math.log(2.0 * math.pi)
        log_q = -0.5 * tf.reduce_sum(squares, axis=list(range(1, len(x.shape))))
        u, log_det = self.chain.forward_and_log_det(noise, x, training)
        return u, log_q - log_det


def variational_noise(shape, depth=2, width=16):
    """Returns a `VariationalDequantization` for images: couplings that see the data.

    Uniform noise costs a Gaussian model a quarter of a bit for each pixel that it knows
    for certain; noise that has learned to look Gaussian costs nothing.

    Args:
        shape: (height, width, channels) of the data.
        depth: How many couplings; each changes every other pixel. Defaults to `2`.
        width: Channels of their networks. Defaults to `16`.
    """

    def coupling(reverse):
        network = networks.conv_conditioner(
            shape, 2 * shape[-1], width, context_shape=shape
        )
        return AffineCoupling(network, "checkerboard", reverse)

    couplings = [coupling(index % 2 == 1) for index in range(depth)]
    return VariationalDequantization(couplings, shape)
