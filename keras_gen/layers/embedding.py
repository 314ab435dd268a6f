"""Codes to vectors, at every place of a grid."""

import keras
from keras import ops

from keras_gen.layers.configured import Configured


@keras.saving.register_keras_serializable("keras_gen")
class CodeEmbedding(Configured, keras.layers.Layer):
    """A learned vector for each code: (..., channels) to (..., channels * dim).

    Unlike `keras.layers.Embedding`, it keeps the number of axes, so that convolutions
    can follow: the vectors of a place's channels are concatenated.

    Args:
        vocabulary: How many codes there are, from 0.
        dim: Length of a vector.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> CodeEmbedding(512, 16)(keras.ops.zeros((2, 8, 8, 1), "int32")).shape
    TensorShape([2, 8, 8, 16])
    """

    def __init__(self, vocabulary, dim, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.dim = dim

    def build(self, input_shape):
        """Makes the table, whose vectors have unit variance."""
        self.table = self.add_weight(
            name="table",
            shape=(self.vocabulary, self.dim),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        super().build(input_shape)

    def call(self, codes):
        """Returns the vectors."""
        vectors = ops.take(self.table, ops.cast(codes, "int32"), axis=0)
        shape = self.compute_output_shape(codes.shape)
        return ops.reshape(vectors, (*ops.shape(codes)[:-1], shape[-1]))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the vectors."""
        return (*input_shape[:-1], input_shape[-1] * self.dim)
