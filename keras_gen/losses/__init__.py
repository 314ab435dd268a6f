"""Losses: tensors to a scalar, as small serialisable objects."""

from keras_gen.losses.adversarial import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    Wasserstein,
)
from keras_gen.losses.auxiliary import Auxiliary, ClassLoss, CodeLoss, LabelLoss
from keras_gen.losses.balance import HoldBack
from keras_gen.losses.divergence import (
    KL,
    CapacityKL,
    Divergence,
    FreeBits,
    TotalCorrelation,
    gaussian_kl,
    gaussian_log_prob,
)
from keras_gen.losses.likelihood import (
    Bernoulli,
    DiscretisedLogistic,
    Gaussian,
    Likelihood,
)
from keras_gen.losses.matching import (
    class_mean_matching,
    mean_matching,
    pair_matching,
)
from keras_gen.losses.mean import Mean, batch_mean, weighted_mean
from keras_gen.losses.mixture import Categorical, LogisticMixture
from keras_gen.losses.penalties import GradientPenalty
from keras_gen.losses.schedule import CyclicalSchedule, LinearSchedule, Schedule
from keras_gen.strategy import Strategy

__all__ = [
    "KL",
    "AdversarialLoss",
    "Auxiliary",
    "Bernoulli",
    "CapacityKL",
    "Categorical",
    "ClassLoss",
    "CodeLoss",
    "CyclicalSchedule",
    "DiscretisedLogistic",
    "Divergence",
    "FreeBits",
    "Gaussian",
    "GradientPenalty",
    "Hinge",
    "HoldBack",
    "LabelLoss",
    "LeastSquares",
    "Likelihood",
    "LinearSchedule",
    "LogisticMixture",
    "Mean",
    "Minimax",
    "NonSaturating",
    "RelativisticAverage",
    "Schedule",
    "Strategy",
    "TotalCorrelation",
    "Wasserstein",
    "batch_mean",
    "class_mean_matching",
    "gaussian_kl",
    "gaussian_log_prob",
    "mean_matching",
    "pair_matching",
    "weighted_mean",
]
