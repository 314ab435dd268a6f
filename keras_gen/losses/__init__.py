"""Losses: tensors to a scalar, as small serialisable objects."""

from keras_gen.losses.adversarial import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
)
from keras_gen.losses.divergence import gaussian_kl
from keras_gen.losses.likelihood import Bernoulli, Gaussian
from keras_gen.losses.penalties import GradientPenalty
from keras_gen.losses.strategy import Strategy

__all__ = [
    "AdversarialLoss",
    "Bernoulli",
    "Gaussian",
    "GradientPenalty",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Strategy",
    "Wasserstein",
    "gaussian_kl",
]
