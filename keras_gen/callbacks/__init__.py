"""Keras callbacks, and writers of sample pictures."""

from keras_gen.callbacks.checkpoint import Checkpoint, Position
from keras_gen.callbacks.collapse import CollapseMonitor
from keras_gen.callbacks.density import write_density
from keras_gen.callbacks.ema import SwapEMAWeights
from keras_gen.callbacks.evaluation import EvaluateSamples
from keras_gen.callbacks.health import GANHealth
from keras_gen.callbacks.samples import SampleGrid, grid, write_grid

__all__ = [
    "Checkpoint",
    "CollapseMonitor",
    "EvaluateSamples",
    "GANHealth",
    "Position",
    "SampleGrid",
    "SwapEMAWeights",
    "grid",
    "write_density",
    "write_grid",
]
