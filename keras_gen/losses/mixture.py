"""Likelihoods of pixels that can have any shape: many levels, several peaks."""

import dataclasses
import functools

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.losses.likelihood import Likelihood, log1mexp
from keras_gen.losses.quantile import inverse_cdf

# The narrowest component lies within a level; beyond the widest, far beyond all data,
# scales would overflow.
_LOG_SCALES = -7.0, 30.0


@dataclasses.dataclass(frozen=True)
class Categorical(Likelihood):
    """Each value is one of a few levels, every level with a logit of its own.

    p(x = k / (L - 1)) = exp(o_k) / sum_j exp(o_j). It can say anything of a value, and
    must learn that neighboring levels are alike. The outputs of a pixel of C colors
    are L blocks of C: channel c belongs to color c mod C.

    Args:
        levels: Integer L, from 0 to 1. Defaults to `256`.

    Example:

    >>> float(Categorical(4).log_prob(tf.zeros((1, 4)), tf.ones((1, 1)))[0])
    -1.3862943649291992

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """

    levels: int = 256

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.levels > 1, "levels", "at least 2", self.levels)

    @property
    def numbers(self):
        """How many numbers a network gives for each value: the levels."""
        return self.levels

    def _logits(self, outputs):
        """Returns logits with the levels last: (..., C, L)."""
        outputs = tf.cast(outputs, "float32")
        channels = outputs.shape[-1] // self.levels
        if channels == 1:
            return outputs[..., None, :]
        shape = tf.concat([tf.shape(outputs)[:-1], [self.levels, channels]], axis=0)
        return tf.linalg.matrix_transpose(tf.reshape(outputs, shape))

    def log_probs(self, outputs, x):
        """Returns the log-mass of each value; values between levels are rounded."""
        labels = tf.cast(tf.round(x * (self.levels - 1)), "int32")
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=labels, logits=self._logits(outputs)
        )

    def mean(self, outputs):
        """Returns the expected data."""
        levels = tf.linspace(0.0, 1.0, self.levels)
        return tf.linalg.matvec(tf.nn.softmax(self._logits(outputs)), levels)

    def distribution(self, outputs):
        """Returns independent distributions of an example's values, in [0, 1]."""
        import tensorflow_probability as tfp

        logits = self._logits(outputs)
        each = tfp.distributions.FiniteDiscrete(
            tf.linspace(0.0, 1.0, self.levels), logits=logits, atol=0.1 / self.levels
        )
        return tfp.distributions.Independent(each, len(logits.shape) - 2)

    def quantile(self, outputs, noise, temperature=1.0):
        """Returns the level at which the distribution function exceeds the noise."""
        index = inverse_cdf(self._logits(outputs), noise, temperature)
        return tf.cast(index, "float32") / (self.levels - 1)


@dataclasses.dataclass(frozen=True)
class LogisticMixture(Likelihood):
    """A mixture of logistic distributions, cut at the levels; colors as a chain.

    p(x) = sum_k w_k prod_c [s((x_c + h - m_kc) / b_kc) - s((x_c - h - m_kc) / b_kc)]
    with s the sigmoid and h half the distance of two levels; the lowest and the highest
    level take the tails. The means of a pixel's colors follow each other in one
    component: m_g = o_g + tanh(a) x_r, m_b = o_b + tanh(b) x_r + tanh(c) x_g, so that
    one evaluation of a network draws all colors.

    Neighboring levels are alike from the start, and there are 3 numbers for each
    component of a gray pixel instead of 256 logits. A pixel that is always exactly
    black needs a narrow component, whose scale goes down to e^-7, and up to e^30.

    A pixel's outputs are w's logits (K), then means and log-scales of each color (K
    and K), in units of half the range about its center, then K for each pair of
    colors.

    Args:
        components: Integer K. Defaults to `10`.
        levels: Integer L, from 0 to 1. Defaults to `256`.

    Example:

    >>> mixture = LogisticMixture(2, levels=2)
    >>> float(mixture.log_prob(tf.zeros((1, 1, 1, 6)), tf.ones((1, 1, 1, 1)))[0])
    -0.6931471824645996

    Reference: [Salimans et al., 2017](https://arxiv.org/abs/1701.05517)
    """

    components: int = 10
    levels: int = 256

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.components > 0, "components", "positive", self.components)
        require_argument(self.levels > 1, "levels", "at least 2", self.levels)

    @property
    def channels_are_sequential(self):
        """All colors of a pixel come from one evaluation."""
        return False

    def outputs(self, channels):
        """Returns how many outputs a pixel of so many colors needs."""
        return self.components * (1 + 2 * channels + channels * (channels - 1) // 2)

    def num_uniforms(self, channels):
        """Two for each color: one chooses the component."""
        return 2 * channels

    def log_probs(self, outputs, x):
        """Returns the log-mass of each pixel, all colors together."""
        channels = x.shape[-1]
        weights, means, log_scales, chain = self._split(outputs, channels)
        x = 2.0 * x - 1.0
        total = tf.nn.log_softmax(weights)
        for c in range(channels):
            earlier = [x[..., d, None] for d in range(c)]
            mean = _follow(means[c], chain, c, earlier)
            total += self._log_mass(x[..., c, None], mean, log_scales[c])
        return tf.reduce_logsumexp(total, axis=-1)

    def _split(self, outputs, channels):
        """Returns logits, means and log-scales of the colors, and the chain."""
        parts = tf.split(
            tf.cast(outputs, "float32"), self.outputs(channels) // self.components, -1
        )
        weights, rest = parts[0], parts[1:]
        log_scales = [
            tf.minimum(tf.maximum(part, _LOG_SCALES[0]), _LOG_SCALES[1])
            for part in rest[1 : 2 * channels : 2]
        ]
        chain = [tf.tanh(part) for part in rest[2 * channels :]]
        return weights, rest[0 : 2 * channels : 2], log_scales, chain

    def _log_mass(self, x, mean, log_scale):
        half = 1.0 / (self.levels - 1)
        inverse = tf.exp(-log_scale)
        upper, lower = (x + half - mean) * inverse, (x - half - mean) * inverse
        # log(s(u) - s(l)) = log s(u) + log s(-l) + log(1 - exp(l - u)), never NaN.
        above, below = tf.math.log_sigmoid(upper), tf.math.log_sigmoid(-lower)
        inside = above + below + log1mexp(2.0 * half * inverse)
        edge = tf.where(x < half - 1.0, above, inside)
        return tf.where(x > 1.0 - half, below, edge)

    def quantile(self, outputs, noise, temperature=1.0, given=None, known=None):
        """Returns a pixel, each color given those before it.

        Args:
            outputs: As for `Likelihood`.
            noise: As for `Likelihood`: for each color, what chooses a component by
                what is known of the pixel by then, and what draws the color from it.
            temperature: As for `Likelihood`. Defaults to `1.0`.
            given: Colors that are kept where `known` is true. Defaults to `None`.
            known: Booleans. Defaults to `None`.
        """
        channels = noise.shape[-1] // 2
        weights, means, log_scales, chain = self._split(outputs, channels)
        weights, colors = tf.nn.log_softmax(weights), []
        for c in range(channels):
            earlier = [2.0 * x[..., None] - 1.0 for x in colors]
            mean = _follow(means[c], chain, c, earlier)
            chosen = inverse_cdf(weights, noise[..., 2 * c], temperature)
            x = self._draw(
                chosen, mean, log_scales[c], noise[..., 2 * c + 1], temperature
            )
            if known is not None:
                x = tf.where(known[..., c], given[..., c], x)
            seen = 2.0 * x[..., None] - 1.0
            weights += self._log_mass(seen, mean, log_scales[c])
            colors.append(x)
        return tf.stack(colors, axis=-1)

    def _draw(self, chosen, mean, log_scale, u, temperature):
        """Returns a level of one component, in [0, 1]."""
        chosen = tf.one_hot(chosen, self.components)
        mean, log_scale = (
            tf.reduce_sum(t * chosen, axis=-1) for t in (mean, log_scale)
        )
        u = tf.clip_by_value(u, 1e-7, 1.0 - 1e-7)
        logistic = tf.math.log(u) - tf.math.log1p(-u)
        y = mean + temperature * tf.exp(log_scale) * logistic
        top = float(self.levels - 1)
        level = tf.clip_by_value(tf.round((y + 1.0) / 2.0 * top), 0.0, top)
        return level / top

    def mean(self, outputs):
        """Raises: the mean of a color would need those before it."""
        raise NotImplementedError("`LogisticMixture` has no mean: draw.")


def _follow(mean, chain, color, earlier):
    """Returns a color's mean, moved by the colors before it."""
    first = color * (color - 1) // 2
    pairs = zip(chain[first:], earlier, strict=False)
    return functools.reduce(lambda m, pair: m + pair[0] * pair[1], pairs, mean)
