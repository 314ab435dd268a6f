"""Layers: a tensor to a tensor, with weights; each usable in any Keras project."""

from keras_gen.layers.causal import CausalConv1D, CausalSelfAttention
from keras_gen.layers.clip import Clip
from keras_gen.layers.conditional import (
    ConditionalBatchNormalization,
    FiLM,
    Planes,
    Projection,
)
from keras_gen.layers.configured import Configured
from keras_gen.layers.embedding import CodeEmbedding, SinusoidalEmbedding
from keras_gen.layers.gate import ConcatELU, Gate
from keras_gen.layers.instance import (
    AdaptiveInstanceNormalization,
    InstanceNormalization,
)
from keras_gen.layers.masked import MaskedConv2D, MaskedDense
from keras_gen.layers.mel import LogMel
from keras_gen.layers.minibatch import (
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
)
from keras_gen.layers.padding import ReflectionPadding
from keras_gen.layers.progressive import (
    EqualizedLearningRate,
    Fade,
    PixelNormalization,
)
from keras_gen.layers.random import (
    Dropout,
    GaussianNoise,
    RandomAffine,
    RandomLayer,
    Sampling,
    seeded,
)
from keras_gen.layers.sequence import (
    CrossAttention,
    Recurrent,
    TransformerBlock,
)
from keras_gen.layers.shifted import (
    DownConv2D,
    DownRightConv2D,
    ShiftDown,
    ShiftRight,
    Upscale,
)
from keras_gen.layers.skew import skew, unskew
from keras_gen.layers.spatial_lstm import DiagonalBiLSTM, RowLSTM
from keras_gen.layers.spectral import SpectralNormalization
from keras_gen.layers.subpixel import ICNR, BicubicUpSampling, SubPixel
from keras_gen.layers.tokens import TokenDecoder, TokenEncoder
from keras_gen.layers.weight import WeightNormalization

__all__ = [
    "AdaptiveInstanceNormalization",
    "InstanceNormalization",
    "seeded",
    "ICNR",
    "BicubicUpSampling",
    "CausalConv1D",
    "CausalSelfAttention",
    "Clip",
    "CodeEmbedding",
    "ConcatELU",
    "ConditionalBatchNormalization",
    "Configured",
    "CrossAttention",
    "DiagonalBiLSTM",
    "DownConv2D",
    "DownRightConv2D",
    "Dropout",
    "EqualizedLearningRate",
    "Fade",
    "FiLM",
    "Gate",
    "GaussianNoise",
    "LogMel",
    "MaskedConv2D",
    "MaskedDense",
    "MinibatchDiscrimination",
    "MinibatchStandardDeviation",
    "PixelNormalization",
    "Planes",
    "Projection",
    "RandomAffine",
    "RandomLayer",
    "Recurrent",
    "ReflectionPadding",
    "RowLSTM",
    "Sampling",
    "ShiftDown",
    "ShiftRight",
    "SinusoidalEmbedding",
    "SpectralNormalization",
    "SubPixel",
    "TokenDecoder",
    "TokenEncoder",
    "TransformerBlock",
    "Upscale",
    "WeightNormalization",
    "skew",
    "unskew",
]
