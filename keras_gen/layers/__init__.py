"""Layers: a tensor to a tensor, with weights; each usable in any Keras project."""

from keras_gen.layers.clip import Clip
from keras_gen.layers.conditional import ConditionalBatchNormalization, Projection
from keras_gen.layers.configured import Configured
from keras_gen.layers.masked import MaskedConv2D
from keras_gen.layers.minibatch import (
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
)
from keras_gen.layers.progressive import (
    EqualizedLearningRate,
    Fade,
    PixelNormalization,
)
from keras_gen.layers.random import Dropout, GaussianNoise, RandomLayer, Sampling
from keras_gen.layers.spectral import SpectralNormalization

__all__ = [
    "Clip",
    "ConditionalBatchNormalization",
    "Configured",
    "Dropout",
    "EqualizedLearningRate",
    "Fade",
    "GaussianNoise",
    "MaskedConv2D",
    "MinibatchDiscrimination",
    "MinibatchStandardDeviation",
    "PixelNormalization",
    "Projection",
    "RandomLayer",
    "Sampling",
    "SpectralNormalization",
]
