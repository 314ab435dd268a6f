"""Metrics: a trained model to a number."""

from keras_gen.metrics.bits import BitsPerDim

__all__ = ["BitsPerDim"]
