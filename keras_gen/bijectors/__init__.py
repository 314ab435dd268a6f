"""Bijectors: Keras layers that own their weights and return a `tfb.Bijector`."""

from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.bijectors.coupling import AffineCoupling
from keras_gen.bijectors.elementwise import Logit
from keras_gen.bijectors.reshape import Squeeze

__all__ = ["AffineCoupling", "BijectiveLayer", "Logit", "Squeeze"]
