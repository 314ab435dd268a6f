"""Metrics: a trained model to a number."""

from keras_gen.metrics.bayes import GenerativeClassifier, calibration_error
from keras_gen.metrics.bits import BitsPerDim
from keras_gen.metrics.cluster import clustering_error
from keras_gen.metrics.latent import (
    DCIScore,
    FactorVAEScore,
    GapScore,
    active_units,
    disentanglement_completeness_informativeness,
    factor_vae_score,
    kl_per_dimension,
    mutual_information,
    mutual_information_gap,
    separated_attribute_predictability,
)
from keras_gen.metrics.modes import ModeScore, class_divergence, mode_score

__all__ = [
    "BitsPerDim",
    "DCIScore",
    "FactorVAEScore",
    "GapScore",
    "GenerativeClassifier",
    "ModeScore",
    "active_units",
    "clustering_error",
    "calibration_error",
    "class_divergence",
    "disentanglement_completeness_informativeness",
    "factor_vae_score",
    "kl_per_dimension",
    "mode_score",
    "mutual_information",
    "mutual_information_gap",
    "separated_attribute_predictability",
]
