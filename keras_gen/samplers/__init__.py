"""Samplers: how a trained model is drawn from, where that is more than one call."""

from keras_gen.samplers.annealing import (
    AISResult,
    GeometricPath,
    annealed_importance_sampling,
    annealing_schedule,
    hamiltonian_transition,
    run_ais,
)
from keras_gen.samplers.beam import beam_search
from keras_gen.samplers.gibbs import BipartitePath, block_gibbs, parallel_tempering
from keras_gen.samplers.inversion import Inverter
from keras_gen.samplers.ordered import OrderSampler
from keras_gen.samplers.partition import PartitionBracket, bracket_log_partition
from keras_gen.samplers.raster import RasterSampler
from keras_gen.samplers.tiling import Tiles, side_multiple, tiled
from keras_gen.samplers.tokens import draw_tokens

__all__ = [
    "side_multiple",
    "Tiles",
    "tiled",
    "AISResult",
    "BipartitePath",
    "GeometricPath",
    "Inverter",
    "OrderSampler",
    "PartitionBracket",
    "RasterSampler",
    "annealed_importance_sampling",
    "annealing_schedule",
    "beam_search",
    "block_gibbs",
    "bracket_log_partition",
    "draw_tokens",
    "hamiltonian_transition",
    "parallel_tempering",
    "run_ais",
]
