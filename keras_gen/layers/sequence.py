"""Layers over sequences that can also go one step at a time."""

import math

import keras
from keras import ops

from keras_gen.layers.causal import CausalSelfAttention
from keras_gen.layers.configured import Configured
from keras_gen.layers.random import Dropout


@keras.saving.register_keras_serializable("keras_gen")
class Recurrent(Configured, keras.layers.Layer):
    """Keras's LSTM or GRU over whole sequences, or for one step.

    Args:
        kind: `"lstm"` or `"gru"`.
        width: How many units there are.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = Recurrent("gru", 3)
    >>> layer(keras.ops.ones((2, 5, 4))).shape
    TensorShape([2, 5, 3])
    """

    def __init__(self, kind, width, **kwargs):
        super().__init__(**kwargs)
        make = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[kind]
        self.states = {"lstm": 2, "gru": 1}[kind]
        self.width = width
        self.rnn = make(width, return_sequences=True, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the weights."""
        self.rnn.build(input_shape)

    def call(self, x, initial=None, training=False):
        """Returns the outputs of all steps, from zero states or from given ones."""
        # A graph that is exported must not hold kernels of a GPU's library.
        self.rnn.use_cudnn = "auto" if training else False
        return self.rnn(x, initial_state=initial)

    def start(self, batch_size, capacity):
        """Returns the states before the first step."""
        zeros = ops.zeros((batch_size, self.width), self.compute_dtype)
        return [zeros] * self.states

    def step(self, x, state, position):
        """Returns the output of one step and the states after it."""
        return self.rnn.cell(x, state)


@keras.saving.register_keras_serializable("keras_gen")
class TransformerBlock(Configured, keras.layers.Layer):
    """Causal attention and a dense layer of four times the width, each added.

    x + attention(norm(x)), and then x + dense(norm(x)).

    Args:
        width: How many channels there are.
        heads: How many attentions stand side by side; twice as many divide the width.
        dropout: Float in [0, 1), of what is added. Defaults to `0.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> TransformerBlock(8, heads=2)(keras.ops.ones((2, 5, 8))).shape
    TensorShape([2, 5, 8])

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)
    """

    def __init__(self, width, heads, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        if heads < 1 or width % (2 * heads):
            raise ValueError(
                f"Argument `heads` must be positive, and twice as many divide "
                f"width={width}. Received: heads={heads}"
            )
        policy = {"dtype": self.dtype_policy}
        self.norms = [keras.layers.LayerNormalization(**policy) for _ in range(2)]
        self.attention = CausalSelfAttention(heads, width // heads, **policy)
        self.widen = keras.layers.Dense(4 * width, "gelu", **policy)
        self.narrow = keras.layers.Dense(width, **policy)
        self.dropouts = [Dropout(dropout, **policy) for _ in range(2)]

    def build(self, input_shape):
        """Makes the weights."""
        for layer in (*self.norms, self.attention, self.widen):
            layer.build(input_shape)
        self.narrow.build((*input_shape[:-1], 4 * input_shape[-1]))

    def call(self, x, training=False):
        """Returns the outputs of all steps."""
        y = self.attention(self.norms[0](x))
        return self._dense(x + self.dropouts[0](y, training=training), training)

    def start(self, batch_size, capacity):
        """Returns an empty cache."""
        return self.attention.cache(batch_size, capacity)

    def step(self, x, state, position):
        """Returns the output of one step and the cache after it."""
        y, state = self.attention.step(self.norms[0](x), state, position)
        return self._dense(x + y, False), state

    def _dense(self, x, training):
        y = self.narrow(self.widen(self.norms[1](x)))
        return x + self.dropouts[1](y, training=training)


@keras.saving.register_keras_serializable("keras_gen")
class CrossAttention(Configured, keras.layers.Layer):
    """Lets each step look where it needs to in another sequence.

    y = tanh(W [x; c]), c = sum_s softmax_s(x . key_s / sqrt(d)) value_s: Luong's
    attention, scaled. What is masked gets no weight.

    Args:
        width: How many channels x, keys and values have.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> x, memory = keras.ops.ones((2, 3, 4)), keras.ops.ones((2, 5, 4))
    >>> mask = keras.ops.ones((2, 5), "bool")
    >>> CrossAttention(4)(x, memory, memory, mask).shape
    TensorShape([2, 3, 4])

    Reference: [Luong et al., 2015](https://arxiv.org/abs/1508.04025)
    """

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.mix = keras.layers.Dense(width, "tanh", dtype=self.dtype_policy)
        self.mix.build((None, None, 2 * width))

    def call(self, x, keys, values, mask):
        """Returns x of shape (batch, steps, width), with what it found."""
        scores = ops.cast(ops.matmul(x, ops.swapaxes(keys, 1, 2)), "float32")
        scores = ops.where(mask[:, None], scores / math.sqrt(self.width), -1e9)
        weights = ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)
        found = ops.matmul(weights, values)
        return self.mix(ops.concatenate([x, found], axis=-1))
