"""Simple priors: fixed, learned, mixtures, conditional."""

import math

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.layers import Configured


class Prior(Configured, keras.layers.Layer):
    """A density of codes whose weights, if any, are learned with the flow.

    A subclass implements `distribution(context)` and `draw(n, seed, temperature,
    context)`.

    Args:
        shape: Tuple, the shape of one code.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    takes_context = False
    reparameterized = True  # whether gradients reach all weights through draws

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self.autocast = False
        self.shape = tuple(shape)
        self.built = True

    def distribution(self, context=None):
        """Returns p(z) with the current weights, from TensorFlow Probability."""
        raise NotImplementedError

    def log_prob(self, z, context=None):
        """Returns the log-density of each code."""
        return self.distribution(context).log_prob(z)

    def draw(self, n, seed, temperature=1.0, context=None):
        """Returns n codes, with standard deviations multiplied by the temperature.

        Args:
            n: How many.
            seed: A stateless seed of shape (2,).
            temperature: Float. Defaults to `1.0`.
            context: One for each code. Defaults to `None`.
        """
        raise NotImplementedError

    def call(self, z, context=None):
        """Returns the log-density of each code."""
        return self.log_prob(z, context)

    def _independent(self, distribution):
        import tensorflow_probability as tfp

        return tfp.distributions.Independent(distribution, len(self.shape))

    def _size(self, n):
        return tf.concat([[n], self.shape], axis=0)

    def _sum(self, values):
        return tf.reduce_sum(values, axis=list(range(-len(self.shape), 0)))


@keras.saving.register_keras_serializable("keras_gen")
class StandardNormal(Prior):
    """N(0, I).

    Args:
        shape: Tuple, the shape of one code.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> float(StandardNormal((2,)).log_prob(tf.zeros((1, 2)))[0])  # -log(2 pi)
    -1.837877...
    """

    def distribution(self, context=None):
        """Returns N(0, I)."""
        import tensorflow_probability as tfp

        zeros = tf.zeros(self.shape)
        return self._independent(tfp.distributions.Normal(zeros, 1.0))

    def log_prob(self, z, context=None):
        """Returns the log-density of each code."""
        squares = self._sum(tf.square(z))
        constant = math.prod(self.shape) * math.log(2.0 * math.pi)
        return -0.5 * (squares + constant)

    def draw(self, n, seed, temperature=1.0, context=None):
        """Returns n codes."""
        return temperature * tf.random.stateless_normal(self._size(n), seed)


@keras.saving.register_keras_serializable("keras_gen")
class StandardLogistic(Prior):
    """Independent logistic densities: tails that forgive more than a Gaussian's.

    log p(z) = sum -softplus(z) - softplus(-z).

    Args:
        shape: Tuple, the shape of one code.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> float(StandardLogistic((1,)).log_prob(tf.zeros((1, 1)))[0])  # log(1/4)
    -1.386294...

    Reference: [Dinh et al., 2015](https://arxiv.org/abs/1410.8516)
    """

    def distribution(self, context=None):
        """Returns the product of logistic densities."""
        import tensorflow_probability as tfp

        zeros = tf.zeros(self.shape)
        return self._independent(tfp.distributions.Logistic(zeros, 1.0))

    def log_prob(self, z, context=None):
        """Returns the log-density of each code."""
        return -self._sum(tf.nn.softplus(z) + tf.nn.softplus(-z))

    def draw(self, n, seed, temperature=1.0, context=None):
        """Returns n codes."""
        tiny = 1e-7  # neither end has a finite code
        u = tf.random.stateless_uniform(self._size(n), seed, tiny, 1.0 - tiny)
        return temperature * (tf.math.log(u) - tf.math.log1p(-u))


@keras.saving.register_keras_serializable("keras_gen")
class LearnedNormal(Prior):
    """A Gaussian with learned means and standard deviations, for each context if any.

    log p(z|c) = sum log N(z_i; mean_i(c), exp(s_i(c))). Both are linear in the context:
    one-hot labels have a Gaussian each. s = limit tanh(raw / limit).

    Args:
        shape: Tuple, the shape of one code.
        context_shape: Tuple, the shape of a context. Defaults to `None`: one for all.
        limit: Positive float, the bound of the log standard deviations. Defaults to
            `5.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> LearnedNormal((2,), (3,)).draw(4, (0, 1), context=tf.eye(4, 3)).shape
    TensorShape([4, 2])

    Reference: [Kingma and Dhariwal, 2018](https://arxiv.org/abs/1807.03039)
    """

    def __init__(self, shape, context_shape=None, limit=5.0, **kwargs):
        super().__init__(shape, **kwargs)
        self.limit = limit
        self.takes_context = context_shape is not None
        count = 2 * math.prod(self.shape)
        own = {"initializer": "zeros", "autocast": False}
        self.parameters = self.add_weight((count,), name="parameters", **own)
        self.of_context = None
        if self.takes_context:
            rows = (math.prod(context_shape), count)
            self.of_context = self.add_weight(rows, name="of_context", **own)

    def _parameters(self, context):
        """Returns means and log standard deviations (batch or 1, ...)."""
        raw = self.parameters.value[None]
        if self.takes_context:
            if context is None:
                raise ValueError("A conditional prior needs `context`.")
            flat = tf.reshape(context, (-1, self.of_context.shape[0]))
            raw += flat @ self.of_context.value
        mean, scale = tf.split(tf.reshape(raw, (-1, 2, *self.shape)), 2, axis=1)
        return mean[:, 0], self.limit * tf.tanh(scale[:, 0] / self.limit)

    def distribution(self, context=None):
        """Returns the Gaussian, one for each context."""
        import tensorflow_probability as tfp

        mean, scale = self._parameters(context)
        if not self.takes_context:
            mean, scale = mean[0], scale[0]
        return self._independent(tfp.distributions.Normal(mean, tf.exp(scale)))

    def log_prob(self, z, context=None):
        """Returns the log-density of each code."""
        mean, scale = self._parameters(context)
        squares = tf.square((z - mean) * tf.exp(-scale))
        return -self._sum(0.5 * squares + scale + 0.5 * math.log(2.0 * math.pi))

    def draw(self, n, seed, temperature=1.0, context=None):
        """Returns n codes."""
        mean, scale = self._parameters(context)
        noise = tf.random.stateless_normal(self._size(n), seed)
        return mean + temperature * tf.exp(scale) * noise


@keras.saving.register_keras_serializable("keras_gen")
class NormalMixture(Prior):
    """A learned mixture of Gaussians: clusters need not be torn apart by the flow.

    log p(z) = log sum_k w_k prod_i N(z_i; mean_ki, exp(s_ki)). Which component a draw
    comes from has no gradient: it cannot learn from a `target`.

    Args:
        shape: Tuple, the shape of one code.
        components: Integer. Defaults to `10`.
        spread: Float, the standard deviation of the initial means. Defaults to `1.0`.
        limit: Positive float, the bound of the log standard deviations. Defaults to
            `5.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> NormalMixture((2,), 3).log_prob(tf.zeros((5, 2))).shape
    TensorShape([5])

    Reference: [Izmailov et al., 2020](https://arxiv.org/abs/1912.13025)
    """

    reparameterized = False

    def __init__(self, shape, components=10, spread=1.0, limit=5.0, **kwargs):
        super().__init__(shape, **kwargs)
        require_argument(components >= 1, "components", "positive", components)
        self.components, self.limit = components, limit
        size = (components, math.prod(self.shape))
        normal = keras.initializers.RandomNormal(stddev=spread)
        own = {"autocast": False}
        self.means = self.add_weight(size, normal, name="means", **own)
        self.scales = self.add_weight(size, "zeros", name="scales", **own)
        self.logits = self.add_weight((components,), "zeros", name="logits", **own)

    def _log_deviations(self):
        return self.limit * tf.tanh(self.scales.value / self.limit)

    def distribution(self, context=None):
        """Returns the mixture."""
        import tensorflow_probability as tfp

        size = (self.components, *self.shape)
        parts = tfp.distributions.Normal(
            tf.reshape(self.means.value, size),
            tf.exp(tf.reshape(self._log_deviations(), size)),
        )
        return tfp.distributions.MixtureSameFamily(
            tfp.distributions.Categorical(logits=self.logits.value),
            self._independent(parts),
        )

    def log_prob(self, z, context=None):
        """Returns the log-density of each code."""
        scale = self._log_deviations()
        flat = tf.reshape(z, (-1, 1, scale.shape[-1]))
        squares = tf.square((flat - self.means.value) * tf.exp(-scale))
        terms = 0.5 * squares + scale + 0.5 * math.log(2.0 * math.pi)
        weights = tf.nn.log_softmax(self.logits.value)
        return tf.reduce_logsumexp(weights - tf.reduce_sum(terms, axis=-1), axis=-1)

    def draw(self, n, seed, temperature=1.0, context=None):
        """Returns n codes."""
        seeds = tf.random.experimental.stateless_split(seed, 2)
        logits = self.logits.value[None]
        chosen = tf.random.stateless_categorical(logits, n, seeds[0])[0]
        noise = tf.random.stateless_normal(self._size(n), seeds[1])
        size = tf.concat([[n], self.shape], axis=0)
        mean = tf.reshape(tf.gather(self.means.value, chosen), size)
        scale = tf.reshape(tf.gather(self._log_deviations(), chosen), size)
        return mean + temperature * tf.exp(scale) * noise
