"""Penalties on a discriminator's gradient."""

import dataclasses

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.losses.mean import batch_mean
from keras_gen.losses.replicas import global_mean
from keras_gen.strategy import Strategy

_PLACES = ("interpolations", "real", "fake", "perturbed")


@dataclasses.dataclass(frozen=True)
class GradientPenalty(Strategy):
    """Pulls the norm of the discriminator's gradient in its input to a target.

    weight * E[(|dD/dx| - target)^2], where x is

    - "interpolations": x = a real + (1 - a) fake, a ~ U(0, 1) for each example, with
      target 1: WGAN-GP;
    - "real" or "fake", with target 0: R1 and R2. (Mescheder's gamma is 2 weight.)
    - "perturbed": x = real + spread s n, n ~ N(0, I), s the standard deviation of all
      numbers in the batch, with target 1: DRAGAN.

    With `one_sided`, norms below the target cost nothing.

    It makes the discriminator smooth at the price of a second backward pass. Do not
    use it with batch normalization in the discriminator, which couples examples. The
    gradient of the norm is zero, not NaN, where the gradient itself is zero.

    Args:
        weight: Non-negative float. Defaults to `10.0`.
        target: Float, the norm that costs nothing. Defaults to `1.0`.
        at: One of `"interpolations"`, `"real"`, `"fake"`, `"perturbed"`. Defaults to
            `"interpolations"`.
        one_sided: Boolean. Defaults to `False`.
        spread: How far real data are perturbed, in their standard deviation. Defaults
            to `0.5`.

    Example:

    >>> w = tf.constant([[3.0], [4.0]])
    >>> x = tf.ones((5, 2))
    >>> penalty = GradientPenalty(weight=1.0)
    >>> float(penalty(lambda x: x @ w, x, 0 * x, seed=tf.constant([0, 1])))
    16.0

    Reference: [Gulrajani et al., 2017](https://arxiv.org/abs/1704.00028),
    [Mescheder et al., 2018](https://arxiv.org/abs/1801.04406) (R1, R2),
    [Kodali et al., 2017](https://arxiv.org/abs/1705.07215) (perturbed)
    """

    weight: float = 10.0
    target: float = 1.0
    at: str = "interpolations"
    one_sided: bool = False
    spread: float = 0.5

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.weight >= 0, "weight", "non-negative", self.weight)
        require_argument(self.at in _PLACES, "at", f"one of {_PLACES}", repr(self.at))

    def __call__(
        self, discriminator, real, fake, seed, real_weight=None, fake_weight=None
    ):
        """Returns the weighted penalty, a scalar.

        Args:
            discriminator: A function from a batch to logits.
            real: A batch of real data.
            fake: A batch of fakes of the same shape.
            seed: A stateless seed of shape (2,), from which the places are drawn.
            real_weight: Weights (batch,) of real data, which count for places between
                them and fakes, too. Defaults to `None`.
            fake_weight: Weights of fakes. Defaults to `None`.
        """
        x = self._places(real, fake, seed)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            logits = discriminator(x)
        gradient = tf.cast(tape.gradient(logits, x), "float32")
        norm = _safe_norm(tf.reshape(gradient, (tf.shape(gradient)[0], -1)))
        beyond = norm - self.target
        beyond = tf.nn.relu(beyond) if self.one_sided else beyond
        weight = fake_weight if self.at == "fake" else real_weight
        return self.weight * batch_mean(tf.square(beyond), weight)

    def _places(self, real, fake, seed):
        if self.at == "real":
            return tf.identity(real)
        if self.at == "fake":
            return tf.identity(fake)
        if self.at == "perturbed":
            noise = tf.random.stateless_normal(tf.shape(real), seed, dtype=real.dtype)
            return real + self.spread * _deviation(real) * noise
        ones = tf.ones_like(tf.shape(real)[1:])
        alpha = tf.random.stateless_uniform(
            tf.concat([tf.shape(real)[:1], ones], axis=0), seed
        )
        alpha = tf.cast(alpha, real.dtype)
        return alpha * real + (1.0 - alpha) * fake


def _deviation(x):
    """Returns the standard deviation of all numbers in the batch of all replicas."""
    rows = tf.reshape(x, (tf.shape(x)[0], -1))
    mean = tf.reduce_mean(global_mean(rows))
    return tf.sqrt(tf.reduce_mean(global_mean(tf.square(rows - mean))))


def _safe_norm(rows):
    """Returns each row's norm, whose gradient is zero at the origin."""
    squares = tf.reduce_sum(tf.square(rows), axis=1)
    positive = squares > 0
    root = tf.sqrt(tf.where(positive, squares, 1.0))
    return tf.where(positive, root, 0.0)
