"""Metrics: samples, latents or a model's densities to a number.

A `SampleMetric` compares generated with real examples; its `function` does the same for
two arrays. An `Evaluation` computes several of them from one extraction of features.
"""

from keras_gen.metrics.classifier import (
    ClassificationAccuracy,
    Classifier,
    classification_accuracy,
)
from keras_gen.metrics.coverage import PrecisionRecall, precision_recall
from keras_gen.metrics.disentanglement import (
    clustering_error,
    disentanglement_completeness_informativeness,
    factor_vae_score,
    mutual_information_gap,
    separated_attribute_predictability,
)
from keras_gen.metrics.diversity import Diversity, ModesCovered, mode_score
from keras_gen.metrics.estimate import Estimate
from keras_gen.metrics.evaluation import Evaluation, batched, draw_samples
from keras_gen.metrics.extractor import Extractor, NetworkFeatures, Pixels
from keras_gen.metrics.inception import Inception, InceptionScore, inception_score
from keras_gen.metrics.information import (
    active_units,
    kl_per_dimension,
    mutual_information,
)
from keras_gen.metrics.kernel import (
    KernelDistance,
    MaximumMeanDiscrepancy,
    kernel_distance,
)
from keras_gen.metrics.likelihood import (
    BitsPerDim,
    GenerativeClassifier,
    calibration_error,
    choose_sigma,
    parzen_log_likelihood,
)
from keras_gen.metrics.neighbors import (
    Memorization,
    TwoSampleTest,
    memorization,
    nearest,
)
from keras_gen.metrics.outliers import OutlierScores, auroc, compressed_log_prob
from keras_gen.metrics.sample import SampleMetric
from keras_gen.metrics.similarity import PSNR, SSIM, Sharpness, sharpness
from keras_gen.metrics.wasserstein import (
    FrechetDistance,
    SlicedWasserstein,
    frechet_distance,
)

__all__ = [
    "PSNR",
    "SSIM",
    "BitsPerDim",
    "ClassificationAccuracy",
    "Classifier",
    "Diversity",
    "Estimate",
    "Evaluation",
    "Extractor",
    "FrechetDistance",
    "GenerativeClassifier",
    "Inception",
    "InceptionScore",
    "KernelDistance",
    "MaximumMeanDiscrepancy",
    "Memorization",
    "ModesCovered",
    "NetworkFeatures",
    "OutlierScores",
    "Pixels",
    "PrecisionRecall",
    "SampleMetric",
    "Sharpness",
    "SlicedWasserstein",
    "TwoSampleTest",
    "active_units",
    "auroc",
    "batched",
    "calibration_error",
    "choose_sigma",
    "classification_accuracy",
    "clustering_error",
    "compressed_log_prob",
    "disentanglement_completeness_informativeness",
    "draw_samples",
    "factor_vae_score",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "kl_per_dimension",
    "memorization",
    "mode_score",
    "mutual_information",
    "mutual_information_gap",
    "nearest",
    "parzen_log_likelihood",
    "precision_recall",
    "separated_attribute_predictability",
    "sharpness",
]
