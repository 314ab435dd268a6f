"""Layers: a tensor to a tensor, with weights; each usable in any Keras project."""

from keras_gen.layers.configured import Configured
from keras_gen.layers.masked import MaskedConv2D
from keras_gen.layers.random import Dropout, GaussianNoise, RandomLayer, Sampling

__all__ = [
    "Configured",
    "Dropout",
    "GaussianNoise",
    "MaskedConv2D",
    "RandomLayer",
    "Sampling",
]
