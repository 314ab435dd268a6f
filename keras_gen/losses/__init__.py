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
from keras_gen.losses.auxiliary import (
    AdversarialBatch,
    Auxiliary,
    ClassLoss,
    CodeLoss,
    DiscriminatorOutput,
    FeatureMatching,
    LabelLoss,
    Term,
)
from keras_gen.losses.balance import (
    AccuracyBalance,
    GeneratorFirst,
    Pretraining,
    UpdateRule,
)
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
    DiscretizedLogistic,
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
from keras_gen.losses.reconstruction import Perceptual, Reconstruction
from keras_gen.losses.schedule import CyclicalSchedule, LinearSchedule, Schedule
from keras_gen.losses.units import (
    BernoulliUnits,
    CategoricalUnits,
    GaussianUnits,
    Units,
)
from keras_gen.losses.view import View
from keras_gen.strategy import Strategy

__all__ = [
    "GeneratorFirst",
    "KL",
    "AccuracyBalance",
    "AdversarialBatch",
    "AdversarialLoss",
    "Auxiliary",
    "Bernoulli",
    "BernoulliUnits",
    "CapacityKL",
    "Categorical",
    "CategoricalUnits",
    "ClassLoss",
    "CodeLoss",
    "CyclicalSchedule",
    "DiscriminatorOutput",
    "DiscretizedLogistic",
    "Divergence",
    "FeatureMatching",
    "FreeBits",
    "Gaussian",
    "GaussianUnits",
    "GradientPenalty",
    "Hinge",
    "LabelLoss",
    "LeastSquares",
    "Likelihood",
    "LinearSchedule",
    "LogisticMixture",
    "Mean",
    "Minimax",
    "NonSaturating",
    "Pretraining",
    "RelativisticAverage",
    "Schedule",
    "Strategy",
    "Term",
    "TotalCorrelation",
    "Units",
    "UpdateRule",
    "View",
    "Wasserstein",
    "batch_mean",
    "class_mean_matching",
    "gaussian_kl",
    "gaussian_log_prob",
    "mean_matching",
    "pair_matching",
    "weighted_mean",
    "Perceptual",
    "Reconstruction",
]
