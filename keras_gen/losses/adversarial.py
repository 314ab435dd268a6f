"""Adversarial losses as functions of logits, for both players."""

import dataclasses

from keras import ops

from keras_gen.losses.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(Strategy):
    """What discriminator and generator minimise, given the discriminator's logits.

    Logits of any shape, patches included, are averaged. Both methods return a scalar.
    """

    def discriminator(self, real, fake):
        """Returns the discriminator's loss from its logits on real and fake data."""
        raise NotImplementedError

    def generator(self, fake):
        """Returns the generator's loss from the discriminator's logits on fakes."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Minimax(AdversarialLoss):
    """The game of the original paper, zero-sum.

    D: -E[log s(real)] - E[log(1 - s(fake))]; G: E[log(1 - s(fake))], s the sigmoid.
    The generator's gradient vanishes where the discriminator is sure of itself; use
    `NonSaturating` to train.

    Example:

    >>> float(Minimax().generator(ops.zeros(4)))  # log(1/2)
    -0.6931471824645996

    Reference: [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661)
    """

    def discriminator(self, real, fake):
        """Returns the cross-entropy of telling real from fake."""
        return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))

    def generator(self, fake):
        """Returns the negative of the discriminator's part on fakes."""
        return -ops.mean(ops.softplus(fake))


@dataclasses.dataclass(frozen=True)
class NonSaturating(Minimax):
    """The loss with which the original paper trains.

    D as in `Minimax`; G: -E[log s(fake)], whose gradient is large where the
    discriminator is sure that the fakes are fake.

    Example:

    >>> float(NonSaturating().generator(ops.zeros(4)))  # log 2
    0.6931471824645996

    Reference: [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661)
    """

    def generator(self, fake):
        """Returns the cross-entropy of fakes taken for real."""
        return ops.mean(ops.softplus(-fake))


@dataclasses.dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """Least squares towards one for real and zero for fake.

    D: E[(real - 1)^2] / 2 + E[fake^2] / 2; G: E[(fake - 1)^2] / 2. Fakes on the right
    side of the boundary are still pulled towards it, so gradients do not vanish.

    Example:

    >>> float(LeastSquares().generator(ops.zeros(4)))
    0.5

    Reference: [Mao et al., 2017](https://arxiv.org/abs/1611.04076)
    """

    def discriminator(self, real, fake):
        """Returns the squared distances from one and from zero."""
        return 0.5 * (ops.mean(ops.square(real - 1.0)) + ops.mean(ops.square(fake)))

    def generator(self, fake):
        """Returns the squared distance of fakes from one."""
        return 0.5 * ops.mean(ops.square(fake - 1.0))


@dataclasses.dataclass(frozen=True)
class Wasserstein(AdversarialLoss):
    """The dual of the earth mover's distance.

    D: E[fake] - E[real]; G: -E[fake]. Minus the discriminator's loss estimates the
    distance, provided that something keeps the discriminator Lipschitz: a
    `GradientPenalty`, clipping or spectral normalisation.

    Example:

    >>> float(Wasserstein().discriminator(ops.ones(4), ops.zeros(4)))
    -1.0

    Reference: [Arjovsky et al., 2017](https://arxiv.org/abs/1701.07875)
    """

    def discriminator(self, real, fake):
        """Returns minus the estimated distance."""
        return ops.mean(fake) - ops.mean(real)

    def generator(self, fake):
        """Returns minus the mean score of fakes."""
        return -ops.mean(fake)


@dataclasses.dataclass(frozen=True)
class Hinge(AdversarialLoss):
    """The hinge loss: only what is inside of the margin counts.

    D: E[max(0, 1 - real)] + E[max(0, 1 + fake)]; G: -E[fake].

    Example:

    >>> float(Hinge().discriminator(ops.zeros(4), ops.zeros(4)))
    2.0

    Reference: [Lim and Ye, 2017](https://arxiv.org/abs/1705.02894)
    """

    def discriminator(self, real, fake):
        """Returns the two margins' violations."""
        return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))

    def generator(self, fake):
        """Returns minus the mean score of fakes."""
        return -ops.mean(fake)
