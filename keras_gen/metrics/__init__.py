"""Metrics: a trained model to a number."""

from keras_gen.metrics.accuracy import ClassificationAccuracy, classification_accuracy
from keras_gen.metrics.annealing import (
    Annealed,
    GeometricPath,
    anneal,
    annealed_importance_sampling,
    annealing_schedule,
    hamiltonian_transition,
)
from keras_gen.metrics.bayes import GenerativeClassifier, calibration_error
from keras_gen.metrics.bits import BitsPerDim
from keras_gen.metrics.cache import cache_folder, fingerprint
from keras_gen.metrics.classifier import Classifier
from keras_gen.metrics.cluster import clustering_error
from keras_gen.metrics.comparison import Comparison, Rows
from keras_gen.metrics.coverage import PrecisionRecall, precision_recall
from keras_gen.metrics.estimate import Estimate
from keras_gen.metrics.evaluation import Evaluation, draw_samples
from keras_gen.metrics.extractor import Extractor, Features, NetworkFeatures, Pixels
from keras_gen.metrics.frechet import FrechetDistance, FrechetEstimate, frechet_distance
from keras_gen.metrics.inception import InceptionScore, inception_score
from keras_gen.metrics.inception_network import Inception
from keras_gen.metrics.kernel import (
    KernelDistance,
    MaximumMeanDiscrepancy,
    kernel_distance,
    maximum_mean_discrepancy,
    median_distance,
)
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
from keras_gen.metrics.mean import MeanWithError
from keras_gen.metrics.modes import ModeScore, class_divergence, mode_score
from keras_gen.metrics.moments import DealtMoments, Moments
from keras_gen.metrics.neighbours import (
    Memorisation,
    TwoSampleTest,
    memorisation,
    two_sample_test,
)
from keras_gen.metrics.outliers import AUROC, OutlierScores, auroc, compressed_log_prob
from keras_gen.metrics.parzen import choose_sigma, parzen_log_likelihood
from keras_gen.metrics.reference import reference_features
from keras_gen.metrics.search import nearest
from keras_gen.metrics.similarity import PSNR, SSIM, Sharpness, psnr, sharpness, ssim
from keras_gen.metrics.sliced import SlicedWasserstein, sliced_wasserstein
from keras_gen.metrics.variety import Diversity, ModesCovered, diversity, modes_covered

__all__ = [
    "AUROC",
    "Annealed",
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
    "GeometricPath",
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
    "anneal",
    "annealed_importance_sampling",
    "annealing_schedule",
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
    "hamiltonian_transition",
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
