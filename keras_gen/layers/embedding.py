"""Codes and times to vectors."""

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


@keras.saving.register_keras_serializable("keras_gen")
class SinusoidalEmbedding(Configured, keras.layers.Layer):
    """Sines and cosines of a number, at frequencies from fast to slow.

    y = (cos(w_k t), sin(w_k t)), w_k = scale * period^(-k / n) for k = 0 to n - 1, n
    half of the size

    A network that is told a time or a noise level this way can tell close ones apart
    and far ones, too, which it cannot from the number itself. In float32 whatever the
    policy.

    Args:
        size: How many numbers it gives, even.
        scale: Float, by which t is multiplied. For times in [0, 1], `1000.0` gives what
            a count of a thousand steps would. Defaults to `1.0`.
        period: Float above 1, the slowest frequency is about its inverse. Defaults to
            `10000.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> y = SinusoidalEmbedding(4)(keras.ops.array([0.0, np.pi]))
    >>> keras.ops.convert_to_numpy(y).round(3) + 0.0
    array([[ 1.   ,  1.   ,  0.   ,  0.   ],
           [-1.   ,  1.   ,  0.   ,  0.031]], dtype=float32)

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)
    """

    def __init__(self, size, scale=1.0, period=10000.0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if size < 2 or size % 2:
            raise ValueError(
                f"Argument `size` must be even and positive. Received: size={size}"
            )
        self.size = size
        self.scale = scale
        self.period = period

    def call(self, t):
        """Returns cosines and sines of (...) numbers as (..., size)."""
        half = self.size // 2
        rates = [self.scale * self.period ** (-k / half) for k in range(half)]
        angles = ops.expand_dims(t, -1) * ops.convert_to_tensor(rates, "float32")
        return ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape with one axis more."""
        return (*input_shape, self.size)
