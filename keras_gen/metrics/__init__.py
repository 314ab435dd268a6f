"""Metrics: a trained model to a number."""

from keras_gen.metrics.cache import cache_folder, fingerprint
from keras_gen.metrics.classifier import (
    ClassificationAccuracy,
    Classifier,
    classification_accuracy,
)
from keras_gen.metrics.coverage import PrecisionRecall, precision_recall
from keras_gen.metrics.disentanglement import (
    DCIScore,
    FactorVAEScore,
    GapScore,
    clustering_error,
    disentanglement_completeness_informativeness,
    factor_vae_score,
    mutual_information_gap,
    separated_attribute_predictability,
)
from keras_gen.metrics.diversity import (
    Diversity,
    ModeScore,
    ModesCovered,
    class_divergence,
    diversity,
    mode_score,
    modes_covered,
)
from keras_gen.metrics.estimate import Estimate, MeanWithError
from keras_gen.metrics.evaluation import Evaluation, draw_samples
from keras_gen.metrics.extractor import (
    Extractor,
    Features,
    NetworkFeatures,
    Pixels,
    reference_features,
)
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
    maximum_mean_discrepancy,
    median_distance,
)
from keras_gen.metrics.likelihood import (
    BitsPerDim,
    GenerativeClassifier,
    calibration_error,
    choose_sigma,
    parzen_log_likelihood,
)
from keras_gen.metrics.neighbors import (
    Memorisation,
    TwoSampleTest,
    memorisation,
    nearest,
    two_sample_test,
)
from keras_gen.metrics.outliers import AUROC, OutlierScores, auroc, compressed_log_prob
from keras_gen.metrics.sample import Comparison, Rows
from keras_gen.metrics.similarity import PSNR, SSIM, Sharpness, psnr, sharpness, ssim
from keras_gen.metrics.wasserstein import (
    DealtMoments,
    FrechetDistance,
    FrechetEstimate,
    Moments,
    SlicedWasserstein,
    frechet_distance,
    sliced_wasserstein,
)

__all__ = [
    "AUROC",
    "BitsPerDim",
    "ClassificationAccuracy",
    "Classifier",
    "Comparison",
    "DCIScore",
    "DealtMoments",
    "Diversity",
    "Estimate",
    "Evaluation",
    "Extractor",
    "FactorVAEScore",
    "Features",
    "FrechetDistance",
    "FrechetEstimate",
    "GapScore",
    "GenerativeClassifier",
    "Inception",
    "InceptionScore",
    "KernelDistance",
    "MaximumMeanDiscrepancy",
    "MeanWithError",
    "Memorisation",
    "ModeScore",
    "ModesCovered",
    "Moments",
    "NetworkFeatures",
    "OutlierScores",
    "PSNR",
    "Pixels",
    "PrecisionRecall",
    "Rows",
    "SSIM",
    "Sharpness",
    "SlicedWasserstein",
    "TwoSampleTest",
    "active_units",
    "auroc",
    "cache_folder",
    "calibration_error",
    "choose_sigma",
    "class_divergence",
    "classification_accuracy",
    "clustering_error",
    "compressed_log_prob",
    "disentanglement_completeness_informativeness",
    "diversity",
    "draw_samples",
    "factor_vae_score",
    "fingerprint",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "kl_per_dimension",
    "maximum_mean_discrepancy",
    "median_distance",
    "memorisation",
    "mode_score",
    "modes_covered",
    "mutual_information",
    "mutual_information_gap",
    "nearest",
    "parzen_log_likelihood",
    "precision_recall",
    "psnr",
    "reference_features",
    "separated_attribute_predictability",
    "sharpness",
    "sliced_wasserstein",
    "ssim",
    "two_sample_test",
]
