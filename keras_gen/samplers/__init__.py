"""Samplers: how a trained model is drawn from, where that is more than one call."""

from keras_gen.samplers.beam import beam_search
from keras_gen.samplers.ordered import OrderSampler
from keras_gen.samplers.raster import RasterSampler
from keras_gen.samplers.tokens import draw_tokens

__all__ = ["OrderSampler", "RasterSampler", "beam_search", "draw_tokens"]
