"""Normalizing flows: exact likelihood through a chain of bijectors."""

import math

import keras
import tensorflow as tf
from keras import ops

from keras_gen import networks
from keras_gen.bijectors import AffineCoupling, Logit, Squeeze
from keras_gen.models.base import Density, Encoding, GenerativeModel


@keras.saving.register_keras_serializable("keras_gen")
class Flow(Density, Encoding, GenerativeModel):
    """A density that is a simple one, bent by invertible maps.

    log p(x) = log N(z; 0, I) + log|det dz/dx|, z = f_n(... f_1(x)). The loss is
    -E[log p(y)], in nats, where y is x itself, or for data of L levels
    y = ((L - 1) x + u) / L with u ~ U(0, 1): dequantised.

    Likelihoods, codes and samples are exact; every map must keep the dimension, which
    costs memory and time.

    Args:
        layers_to_latent: List of `BijectiveLayer`s, from the data's side to the codes'.
        shape: Tuple, the data's shape without the batch.
        levels: Integer, how many values a pixel can have (256 for 8 bits), or `None`
            for continuous data. Defaults to `None`.
        **kwargs: `seed`, and the arguments of `keras.Model`.

    Example:

    >>> couplings = [
    ...     bijectors.AffineCoupling(networks.mlp((2,), 4), reverse=i % 2 == 1)
    ...     for i in range(4)
    ... ]
    >>> flow = Flow(couplings, (2,))
    >>> flow.log_prob(tf.zeros((3, 2))).shape
    TensorShape([3])

    Reference: [Rezende and Mohamed, 2015](https://arxiv.org/abs/1505.05770)
    """

    def __init__(self, layers_to_latent, shape, levels=None, **kwargs):
        super().__init__(**kwargs)
        if levels is not None and levels < 2:
            raise ValueError(
                "Argument `levels` must be at least 2 or None. "
                f"Received: levels={levels}"
            )
        self.bijective_layers = list(layers_to_latent)
        self.data_shape = tuple(shape)
        self.levels = levels
        latent_shape = self.data_shape
        for layer in self.bijective_layers:
            latent_shape = layer.latent_shape(latent_shape)
        self.latent_shape = latent_shape
        self.build_for(self.data_shape)

    def term_names(self):
        """Names what is logged beside the negative log-likelihood."""
        return ("bits_per_dim",)

    def bijector(self, context=None, training=False):
        """Returns the whole map from codes to data as a `tfb.Bijector`."""
        import tensorflow_probability as tfp

        return tfp.bijectors.Chain(
            [layer.bijector(context, training) for layer in self.bijective_layers]
        )

    def distribution(self, context=None, training=False):
        """Returns p(y) as a `tfd.TransformedDistribution`."""
        import tensorflow_probability as tfp

        return tfp.distributions.TransformedDistribution(
            self.prior, self.bijector(context, training)
        )

    def objective(self, x, context=None, training=False):
        """Returns the negative log-likelihood of dequantised data."""
        y = self._dequantise(x, self._uniform(x, self.next_seed(training)))
        nats = -tf.reduce_mean(self._log_density(y, context, training))
        return {"loss": nats, "bits_per_dim": self._to_bits(nats)}

    def log_prob(self, x, context=None):
        """Returns log p(y) in nats, with u = 1/2 where data have levels."""
        x = ops.convert_to_tensor(x, "float32")
        return self._log_density(self._dequantise(x, 0.5), context)

    def bits_per_dim(self, x, context=None, seed=None):
        """Returns bits per dimension of each example, u drawn with `seed`."""
        x = ops.convert_to_tensor(x, "float32")
        u = self._uniform(x, self.seed_for_sampling(seed))
        return self._to_bits(-self._log_density(self._dequantise(x, u), context))

    def encode(self, x, context=None):
        """Returns the code of each example, exactly."""
        x = ops.convert_to_tensor(x, "float32")
        return self._to_codes(self._dequantise(x, 0.5), context)[0]

    def decode(self, z, context=None):
        """Returns the data of each code, exactly."""
        y = ops.convert_to_tensor(z, "float32")
        for layer in reversed(self.bijective_layers):
            y, _ = layer.forward_and_log_det(y, context)
        if self.levels is None:
            return tf.clip_by_value(y, 0.0, 1.0) if len(self.data_shape) == 3 else y
        return tf.clip_by_value((self.levels * y - 0.5) / (self.levels - 1), 0.0, 1.0)

    def sample(self, n, *, context=None, seed=None, temperature=1.0):
        """Returns n samples, rounded to the levels that data have."""
        x = super().sample(n, context=context, seed=seed, temperature=temperature)
        if self.levels is None:
            return x
        return tf.round(x * (self.levels - 1)) / (self.levels - 1)

    def call(self, x, training=False):
        """Returns the log-density of each example."""
        return self.log_prob(x)

    def _to_codes(self, y, context=None, training=False):
        log_det = tf.zeros(tf.shape(y)[:1], y.dtype)
        for layer in self.bijective_layers:
            y, own = layer.inverse_and_log_det(y, context, training)
            log_det += own
        return y, log_det

    def _log_density(self, y, context=None, training=False):
        z, log_det = self._to_codes(y, context, training)
        axes = list(range(1, 1 + len(self.latent_shape)))
        squares = tf.reduce_sum(tf.square(z), axis=axes)
        constant = math.prod(self.latent_shape) * math.log(2.0 * math.pi)
        return log_det - 0.5 * (squares + constant)

    def _dequantise(self, x, u):
        if self.levels is None:
            return x
        return ((self.levels - 1) * x + u) / self.levels

    def _uniform(self, x, seed):
        if self.levels is None:
            return 0.0
        return tf.random.stateless_uniform(tf.shape(x), seed)

    def _to_bits(self, nats):
        dimensions = math.prod(self.data_shape)
        bits = nats / (dimensions * math.log(2.0))
        return bits if self.levels is None else bits + math.log2(self.levels)


@keras.saving.register_keras_serializable("keras_gen")
class RealNVP(Flow):
    """A flow of affine couplings that take turns.

    Vectors: `depth` couplings with alternating halves. Images: a logit, then couplings
    with checkerboard masks, a squeeze, and couplings with channel masks.

    Args:
        shape: Tuple: (d,) for vectors, (height, width, channels) with even sides for
            images.
        depth: How many couplings, for images at each of the two scales. Defaults to
            `8`.
        width: Units or channels of the couplings' hidden layers. Defaults to `128`.
            For points of the plane, many narrow couplings (32 of width 16) are best.
        levels: Integer or `None`, as for `Flow`. Defaults to `None` for vectors; give
            it for images.
        **kwargs: `seed`, and the arguments of `keras.Model`.

    Example:

    >>> flow = RealNVP((2,), depth=4, width=32)
    >>> flow.compile("adam")
    >>> _ = flow.fit(data.load("moons").arrays(256), batch_size=64, verbose=0)
    >>> flow.sample(4, seed=0).shape
    TensorShape([4, 2])

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """

    def __init__(self, shape, depth=8, width=128, levels=None, **kwargs):
        if depth < 2:
            raise ValueError(
                "Argument `depth` must be at least 2, or half of the data never "
                f"changes. Received: depth={depth}"
            )
        shape = tuple(shape)
        image = len(shape) == 3
        layers = _for_images if image else _for_vectors
        super().__init__(layers(shape, depth, width), shape, levels, **kwargs)


def _for_vectors(shape, depth, width):
    def network():
        return networks.mlp(
            shape,
            (2 * shape[0],),
            (width, width),
            # Few inputs: spread the kinks of the ReLUs, or all start at the origin.
            bias_initializer=keras.initializers.RandomUniform(-1.0, 1.0),
            output_initializer="zeros",
        )

    return [
        AffineCoupling(network(), mask="half", reverse=index % 2 == 1)
        for index in range(depth)
    ]


def _for_images(shape, depth, width):
    squeeze = Squeeze()
    fine = _couplings(shape, depth, width, "checkerboard")
    coarse = _couplings(squeeze.latent_shape(shape), depth, width, "channel")
    return [Logit(), *fine, squeeze, *coarse]


def _couplings(shape, depth, width, mask):
    return [
        AffineCoupling(
            networks.conv_conditioner(shape, 2 * shape[-1], width),
            mask=mask,
            reverse=index % 2 == 1,
        )
        for index in range(depth)
    ]
