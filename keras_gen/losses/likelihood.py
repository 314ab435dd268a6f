"""Likelihoods of data given a decoder's output."""

import dataclasses
import functools
import math

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.losses.quantile import COLDEST
from keras_gen.strategy import Strategy

_SCALES = ("learned", "per_value")


@dataclasses.dataclass(frozen=True)
class Likelihood(Strategy):
    """What a decoder's output says of the data, every value independent of the others.

    `outputs` has `numbers` channels for each channel of the data, the first ones being
    logits or means. One that is `learned` has a log-scale that belongs to the model,
    which appends it to the outputs.
    """

    @property
    def numbers(self):
        """How many numbers the decoder gives for each value."""
        return 1

    @property
    def learned(self):
        """Whether the model holds one log-scale for all values."""
        return False

    @property
    def initial_log_scale(self):
        """Where a learned log-scale starts: a scale of 0.5."""
        return math.log(0.5)

    def log_prob(self, outputs, x):
        """Returns the log-likelihood of each example, in nats."""
        log_probs = self.log_probs(tf.cast(outputs, "float32"), tf.cast(x, "float32"))
        return tf.reduce_sum(log_probs, axis=tf.range(1, tf.rank(log_probs)))

    def log_probs(self, outputs, x):
        """Returns the log-likelihood of each value."""
        raise NotImplementedError

    def mean(self, outputs):
        """Returns the expected data."""
        raise NotImplementedError

    def distribution(self, outputs):
        """Returns the distribution of an example, from TensorFlow Probability."""
        raise NotImplementedError

    def draw(self, outputs, seed):
        """Returns data drawn with a stateless seed of shape (2,)."""
        x = self.distribution(outputs).sample(seed=tf.cast(seed, "int32"))
        return tf.cast(x, "float32")

    # What an autoregressive model asks for.

    @property
    def channels_are_sequential(self):
        """Whether a pixel's colors come from as many evaluations of a network."""
        return True

    @property
    def has_quantile(self):
        """Whether values can be drawn from uniform noise, a pixel after the other."""
        return type(self).quantile is not Likelihood.quantile

    def outputs(self, channels):
        """Returns how many outputs a pixel of so many colors needs."""
        return self.numbers * channels

    def num_uniforms(self, channels):
        """Returns how many uniform numbers draw a pixel."""
        return channels

    def quantile(self, outputs, noise, temperature=1.0):
        """Returns draws from uniform noise, by the inverse distribution function.

        Args:
            outputs: (..., outputs of a pixel).
            noise: (..., noises of a pixel), in [0, 1).
            temperature: The factor of the spread. Defaults to `1.0`.
        """
        raise NotImplementedError(
            f"`{type(self).__name__}` cannot draw a pixel after the other. Use "
            "`Bernoulli`, `Categorical` or `LogisticMixture`."
        )


@dataclasses.dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Each value is one with probability sigmoid(output).

    log p(x) = sum_i x_i log s_i + (1 - x_i) log(1 - s_i), in nats, computed from the
    logits. Values between 0 and 1 are accepted as expectations of binary ones, as is
    customary; the result is then a cross-entropy, no likelihood.

    Example:

    >>> float(Bernoulli().log_prob(tf.zeros((1, 2)), tf.ones((1, 2)))[0])
    -1.3862943649291992
    """

    levels = 2  # a constant, no field

    def log_probs(self, outputs, x):
        """Returns the log-mass of each value."""
        return -tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=outputs)

    def mean(self, outputs):
        """Returns the expected data."""
        return tf.sigmoid(tf.cast(outputs, "float32"))

    def distribution(self, outputs):
        """Returns independent Bernoulli distributions of an example's values."""
        import tensorflow_probability as tfp

        # As integers, which is TFP's default, fractions in NumPy arrays become zeros.
        logits = tf.cast(outputs, "float32")
        each = tfp.distributions.Bernoulli(logits, dtype="float32")
        return _independent(each, outputs)

    def quantile(self, outputs, noise, temperature=1.0):
        """Returns one where the noise is below the probability of one."""
        odds = tf.sigmoid(outputs / tf.maximum(temperature, COLDEST))
        return tf.cast(noise < odds, "float32")


@dataclasses.dataclass(frozen=True)
class _WithScale(Likelihood):
    """A mean and a scale for each value; the scale given, learned, or predicted."""

    scale: float | str = 0.1

    def __post_init__(self):
        """Checks the arguments."""
        good = self.scale in _SCALES if isinstance(self.scale, str) else self.scale > 0
        require_argument(good, "scale", f"positive or one of {_SCALES}", self.scale)

    @property
    def numbers(self):
        """How many numbers the decoder gives for each value."""
        return 2 if self.scale == "per_value" else 1

    @property
    def learned(self):
        """Whether the model holds one log-scale for all values."""
        return self.scale == "learned"

    def _mean_and_log_scale(self, outputs):
        outputs = tf.cast(outputs, "float32")
        if not isinstance(self.scale, str):
            return outputs, tf.constant(math.log(self.scale))
        if self.learned:  # one more channel, appended by the model
            mean, log_scale = outputs[..., :-1], outputs[..., -1:]
        else:
            mean, log_scale = tf.split(outputs, 2, axis=-1)
        return mean, _bounded(log_scale, self._widest)

    @property
    def _widest(self):
        """The largest scale that is learned; its inverse is the smallest."""
        return 1e3

    def mean(self, outputs):
        """Returns the expected data; images are kept in [0, 1]."""
        mean, _ = self._mean_and_log_scale(outputs)
        return tf.clip_by_value(mean, 0.0, 1.0) if len(mean.shape) == 4 else mean


@dataclasses.dataclass(frozen=True)
class Gaussian(_WithScale):
    """Each value is normal about the output: x ~ N(m, s^2).

    log p(x) = -sum_i ((x_i - m_i) / s)^2 / 2 + log(s sqrt(2 pi)). The scale weighs
    reconstruction against divergence: with 1 and data in [0, 1] the divergence wins
    and samples blur. Learned, it finds the balance itself; predicted for each value it
    follows the data closest, and can overfit values that never change. Means are in
    the data's range, [0, 1] for images; learned scales are kept above 1e-3.

    Args:
        scale: Positive float; "learned", one number that the model trains; or
            "per_value", for a decoder with twice the data's channels, means and then
            log-scales. Defaults to `0.1`.

    Example:

    >>> float(Gaussian(1.0).log_prob(tf.zeros((1, 2)), tf.zeros((1, 2)))[0])
    -1.8378770351409912

    Reference: [Rybkin et al., 2021](https://arxiv.org/abs/2006.13202)
    """

    def log_probs(self, outputs, x):
        """Returns the log-density of each value."""
        mean, log_scale = self._mean_and_log_scale(outputs)
        error = (x - mean) * tf.exp(-log_scale)
        return -0.5 * tf.square(error) - log_scale - 0.5 * math.log(2.0 * math.pi)

    def distribution(self, outputs):
        """Returns independent normal distributions of an example's values."""
        import tensorflow_probability as tfp

        mean, log_scale = self._mean_and_log_scale(outputs)
        scale = tf.broadcast_to(tf.exp(log_scale), tf.shape(mean))
        return _independent(tfp.distributions.Normal(mean, scale), mean)


@dataclasses.dataclass(frozen=True)
class DiscretizedLogistic(_WithScale):
    """Data of a few levels: the mass that a logistic distribution puts on each.

    p(x) = s((x + h - m) / c) - s((x - h - m) / c) with s the sigmoid and h half the
    distance of two levels; the lowest and the highest level take the tails, so that
    the levels' masses sum to one. The ELBO is then the log-mass of 8-bit images, and
    bits per dimension compare with any exact likelihood of them.

    Args:
        scale: c: positive float, "learned" or "per_value", as for `Gaussian`; learned
            ones go down to a tenth of a level. Defaults to `"learned"`.
        levels: How many levels from 0 to 1. Defaults to `256`.

    Example:

    >>> outputs, x = tf.zeros((1, 1)), tf.zeros((1, 1))
    >>> two = DiscretizedLogistic(scale=1.0, levels=2)
    >>> float(two.log_prob(outputs, x)[0])  # log sigmoid(1/2)
    -0.4740769863128662

    Reference: [Salimans et al., 2017](https://arxiv.org/abs/1701.05517)
    """

    scale: float | str = "learned"
    levels: int = 256

    def __post_init__(self):
        """Checks the arguments."""
        super().__post_init__()
        require_argument(self.levels > 1, "levels", "at least 2", self.levels)

    @property
    def _widest(self):
        """Lets scales go down to a tenth of a level: nearly all mass on one."""
        return max(1e3, 10.0 * (self.levels - 1))

    def mean(self, outputs):
        """Returns the expected data, to half a level where the scale is below one.

        It is c (log(1 + e^(m / c)) - log(1 + e^((m - 1) / c))), the expectation of
        the logistic variable moved into [0, 1].
        """
        mean, log_scale = self._mean_and_log_scale(outputs)
        scale = tf.exp(log_scale)
        area = tf.nn.softplus(mean / scale) - tf.nn.softplus((mean - 1.0) / scale)
        return tf.clip_by_value(scale * area, 0.0, 1.0)

    def log_probs(self, outputs, x):
        """Returns the log-mass of each value."""
        mean, log_scale = self._mean_and_log_scale(outputs)
        half = 0.5 / (self.levels - 1)
        inverse = tf.exp(-log_scale)
        upper = (x + half - mean) * inverse
        lower = (x - half - mean) * inverse
        # log(s(u) - s(l)) = log s(u) + log s(-l) + log(1 - exp(l - u)), never NaN.
        inside = tf.math.log_sigmoid(upper) + tf.math.log_sigmoid(-lower)
        inside += log1mexp(2.0 * half * inverse)
        tail = tf.where(x < half, tf.math.log_sigmoid(upper), inside)
        return tf.where(x > 1.0 - half, tf.math.log_sigmoid(-lower), tail)

    def distribution(self, outputs):
        """Returns independent distributions of values on the levels, in [0, 1]."""
        import tensorflow_probability as tfp

        mean, log_scale = self._mean_and_log_scale(outputs)
        top = float(self.levels - 1)
        scale = tf.broadcast_to(tf.exp(log_scale), tf.shape(mean))
        # Quantized, level k has the mass of (k - 1, k]: shifted, that of k -+ 1/2.
        shifted = tfp.distributions.Logistic(mean * top - 0.5, scale * top)
        each = tfp.distributions.QuantizedDistribution(shifted, low=0.0, high=top)
        unit = _unit_interval_class()(top)
        return tfp.distributions.TransformedDistribution(_independent(each, mean), unit)


@functools.cache
def _unit_interval_class():
    """Defines the map of levels to [0, 1], under which masses do not stretch."""
    import tensorflow_probability as tfp

    class UnitInterval(tfp.bijectors.Bijector):
        def __init__(self, top):
            super().__init__(forward_min_event_ndims=0, name="unit_interval")
            self._top = top

        def _forward(self, level):
            return level / self._top

        def _inverse(self, x):
            return tf.round(x * self._top)

        def _forward_log_det_jacobian(self, level):
            return tf.zeros_like(level)

    return UnitInterval


def _bounded(log_scale, widest):
    """Keeps a scale between its largest value and the inverse of that, smoothly."""
    bound = math.log(widest)
    return bound * tf.tanh(log_scale / bound)


def log1mexp(y):
    """Returns log(1 - exp(-y)) for positive y."""
    small = y < math.log(2.0)
    near = tf.math.log(-tf.math.expm1(-tf.where(small, y, 1.0)))
    far = tf.math.log1p(-tf.exp(-tf.where(small, 1.0, y)))
    return tf.where(small, near, far)


def _independent(distribution, outputs):
    import tensorflow_probability as tfp

    return tfp.distributions.Independent(distribution, len(outputs.shape) - 1)


def on_levels(x, levels):
    """Returns whether all data are k / (levels - 1) for whole k, a boolean tensor.

    Args:
        x: Data.
        levels: How many there are.

    Example:

    >>> bool(on_levels([0.0, 0.5, 1.0], 3)), bool(on_levels([0.0, 0.5, 1.0], 2))
    (True, False)
    """
    scaled = tf.cast(x, "float32") * (levels - 1)
    near = tf.abs(scaled - tf.round(scaled)) < 1e-2
    inside = (scaled > -0.5) & (scaled < levels - 0.5)
    return tf.reduce_all(near & inside)
