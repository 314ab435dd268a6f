"""Training: one step for all models, on any device, that can be resumed exactly."""

from keras_gen.training.step import TrainingStep

__all__ = ["TrainingStep"]
