"""Bijectors: Keras layers that own their weights and return a `tfb.Bijector`."""

from keras_gen.bijectors.autoregressive import (
    Invert,
    MaskedAutoregressive,
    SplineAutoregressive,
)
from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.bijectors.bypass import ContextScale, EarlyOutput
from keras_gen.bijectors.chain import Chain
from keras_gen.bijectors.coupling import (
    AdditiveCoupling,
    AffineCoupling,
    SplineCoupling,
)
from keras_gen.bijectors.elementwise import Equalize, Logit
from keras_gen.bijectors.linear import InvertibleConv
from keras_gen.bijectors.multiscale import MultiScale
from keras_gen.bijectors.normalize import ActNorm, BatchNorm, Scale
from keras_gen.bijectors.planar import Planar, Radial
from keras_gen.bijectors.reshape import Flatten, Permutation, Squeeze

__all__ = [
    "ActNorm",
    "AdditiveCoupling",
    "AffineCoupling",
    "BatchNorm",
    "BijectiveLayer",
    "EarlyOutput",
    "Chain",
    "ContextScale",
    "Equalize",
    "Flatten",
    "Invert",
    "InvertibleConv",
    "Logit",
    "MaskedAutoregressive",
    "MultiScale",
    "Permutation",
    "Planar",
    "Radial",
    "Scale",
    "SplineAutoregressive",
    "SplineCoupling",
    "Squeeze",
]
