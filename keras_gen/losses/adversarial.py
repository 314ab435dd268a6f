"""Adversarial losses as functions of logits, for both players."""

import dataclasses

from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.losses.mean import batch_mean
from keras_gen.losses.replicas import global_mean
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(Strategy):
    """What discriminator and generator minimize, given the discriminator's logits.

    Logits of any shape, patches included, are averaged. Both methods return a scalar.
    They are given weights (batch,) only where examples have weights.

    Attributes:
        needs_real: Whether the generator's loss takes logits of real data too.
        boundary: The logit above which data are taken for real; `None` where logits
            are only meaningful relative to others.
        probability: Whether the logits' sigmoid is the probability of real data.
    """

    needs_real = False
    boundary = None
    probability = False

    def discriminator(self, real, fake, real_weight=None, fake_weight=None):
        """Returns the discriminator's loss from its logits on real and fake data."""
        raise NotImplementedError

    def generator(self, fake, real=None, fake_weight=None):
        """Returns the generator's loss from the discriminator's logits on fakes."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Minimax(AdversarialLoss):
    """The game of the original paper, zero-sum.

    D: -E[log s(real)] - E[log(1 - s(fake))]; G: E[log(1 - s(fake))], s the sigmoid.
    The generator's gradient vanishes where the discriminator is confident; use
    `NonSaturating` to train.

    Args:
        smoothing: Float in [0, 1). How much less than one the target for real data is,
            the fakes' staying at zero: one-sided label smoothing, which keeps the
            discriminator from being overconfident. Defaults to `0.0`.

    Example:

    >>> float(Minimax().generator(ops.zeros(4)))  # log(1/2)
    -0.6931471824645996

    Reference: [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661),
    [Salimans et al., 2016](https://arxiv.org/abs/1606.03498) (smoothing)
    """

    smoothing: float = 0.0

    boundary = 0.0
    probability = True

    def __post_init__(self):
        """Checks the arguments."""
        good = 0 <= self.smoothing < 1
        require_argument(good, "smoothing", "in [0, 1)", self.smoothing)

    def discriminator(self, real, fake, real_weight=None, fake_weight=None):
        """Returns the cross-entropy of telling real from fake."""
        loss = batch_mean(ops.softplus(-real), real_weight)
        loss += batch_mean(ops.softplus(fake), fake_weight)
        if not self.smoothing:
            return loss
        return loss + self.smoothing * batch_mean(real, real_weight)

    def generator(self, fake, real=None, fake_weight=None):
        """Returns the negative of the discriminator's part on fakes."""
        return -batch_mean(ops.softplus(fake), fake_weight)


@dataclasses.dataclass(frozen=True)
class NonSaturating(Minimax):
    """The loss with which the original paper trains.

    D as in `Minimax`; G: -E[log s(fake)], whose gradient is large where the
    discriminator is confident that the fakes are fake.

    Args:
        smoothing: As for `Minimax`. Defaults to `0.0`.

    Example:

    >>> float(NonSaturating().generator(ops.zeros(4)))  # log 2
    0.6931471824645996

    Reference: [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661)
    """

    def generator(self, fake, real=None, fake_weight=None):
        """Returns the cross-entropy of fakes taken for real."""
        return batch_mean(ops.softplus(-fake), fake_weight)


@dataclasses.dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """Least squares toward one target for real and another for fake.

    D: E[(real - b)^2] / 2 + E[(fake - a)^2] / 2; G: E[(fake - b)^2] / 2, with b
    `real_target` and a `fake_target`. Fakes on the right side of the boundary are still
    pulled toward it, so gradients do not vanish.

    Args:
        real_target: Float. A little less than one smooths the label. Defaults to `1.0`.
        fake_target: Float. Defaults to `0.0`.

    Example:

    >>> float(LeastSquares().generator(ops.zeros(4)))
    0.5

    Reference: [Mao et al., 2017](https://arxiv.org/abs/1611.04076)
    """

    real_target: float = 1.0
    fake_target: float = 0.0

    @property
    def boundary(self):
        """The logit above which data are taken for real."""
        return 0.5 * (self.real_target + self.fake_target)

    def discriminator(self, real, fake, real_weight=None, fake_weight=None):
        """Returns the squared distances from the two targets."""
        of_real = batch_mean(ops.square(real - self.real_target), real_weight)
        of_fake = batch_mean(ops.square(fake - self.fake_target), fake_weight)
        return 0.5 * (of_real + of_fake)

    def generator(self, fake, real=None, fake_weight=None):
        """Returns the squared distance of fakes from the real data's target."""
        return 0.5 * batch_mean(ops.square(fake - self.real_target), fake_weight)


@dataclasses.dataclass(frozen=True)
class Wasserstein(AdversarialLoss):
    """The dual of the earth mover's distance.

    D: E[fake] - E[real] + drift E[real^2]; G: -E[fake]. Without drift, minus the
    discriminator's loss estimates the distance, provided that something keeps the
    discriminator Lipschitz: a `GradientPenalty`, clipping or spectral normalization.

    Args:
        drift: Non-negative float, the weight in D of E[real^2], which keeps the scores,
            of which only differences matter, near zero. Defaults to `0.0`.

    Example:

    >>> float(Wasserstein().discriminator(ops.ones(4), ops.zeros(4)))
    -1.0

    Reference: [Arjovsky et al., 2017](https://arxiv.org/abs/1701.07875)
    """

    drift: float = 0.0

    def __post_init__(self):
        """Checks the argument."""
        require_argument(self.drift >= 0, "drift", "non-negative", self.drift)

    def discriminator(self, real, fake, real_weight=None, fake_weight=None):
        """Returns minus the estimated distance, and the drift."""
        distance = batch_mean(fake, fake_weight) - batch_mean(real, real_weight)
        if not self.drift:
            return distance
        return distance + self.drift * batch_mean(ops.square(real), real_weight)

    def generator(self, fake, real=None, fake_weight=None):
        """Returns minus the mean score of fakes."""
        return -batch_mean(fake, fake_weight)


@dataclasses.dataclass(frozen=True)
class Hinge(AdversarialLoss):
    """The hinge loss: only what is inside the margin counts.

    D: E[max(0, 1 - real)] + E[max(0, 1 + fake)]; G: -E[fake].

    Example:

    >>> float(Hinge().discriminator(ops.zeros(4), ops.zeros(4)))
    2.0

    Reference: [Lim and Ye, 2017](https://arxiv.org/abs/1705.02894)
    """

    boundary = 0.0

    def discriminator(self, real, fake, real_weight=None, fake_weight=None):
        """Returns the two margins' violations."""
        of_real = batch_mean(ops.relu(1.0 - real), real_weight)
        return of_real + batch_mean(ops.relu(1.0 + fake), fake_weight)

    def generator(self, fake, real=None, fake_weight=None):
        """Returns minus the mean score of fakes."""
        return -batch_mean(fake, fake_weight)


@dataclasses.dataclass(frozen=True)
class RelativisticAverage(AdversarialLoss):
    """Another loss of how much more real data look than fakes do on average.

    D: loss.discriminator(real - E[fake], fake - E[real]); G: the same with the roles
    exchanged, loss.discriminator(fake - E[real], real - E[fake]). The generator also
    makes real data look less real, as the balance of the two asks for, and both players
    have gradients from both kinds of data. Means are over all replicas. They couple the
    batch: weights of examples have no meaning here.

    Args:
        loss: `NonSaturating()` for RaSGAN, `Hinge()` for RaHingeGAN, and for RaLSGAN
            `LeastSquares(1.0, -1.0)`. Defaults to `NonSaturating()`.

    Example:

    >>> loss = RelativisticAverage()
    >>> float(loss.generator(ops.ones(4), ops.ones(4)))  # 2 log 2
    1.3862943649291992

    Reference: [Jolicoeur-Martineau, 2019](https://arxiv.org/abs/1807.00734)
    """

    loss: AdversarialLoss = NonSaturating()

    needs_real = True
    couples_batch = True

    def discriminator(self, real, fake):
        """Returns the loss of real data looking more real than fakes."""
        return self.loss.discriminator(*_relative(real, fake))

    def generator(self, fake, real=None):
        """Returns the loss of fakes looking more real than real data."""
        return self.loss.discriminator(*_relative(fake, real))


def _relative(first, second):
    """Returns both minus the other's mean over the batch of all replicas."""
    means = [ops.mean(global_mean(logits)) for logits in (second, first)]
    return first - means[0], second - means[1]
