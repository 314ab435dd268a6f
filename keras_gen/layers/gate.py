"""Activations that look at two halves of the channels, or give two.

The file needs Keras and `configured.py`.
"""

import keras
from keras import ops

from keras_gen.layers.configured import Configured


@keras.saving.register_keras_serializable("keras_gen")
class Gate(Configured, keras.layers.Layer):
    """One half of the channels opens and closes the other: y = f(a) s(b), [a, b] = x.

    f is tanh, or nothing; s the sigmoid.

    Args:
        activation: What is done to the first half. Defaults to `"tanh"`; `None`:
            nothing.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> y = Gate(None)(keras.ops.array([[3.0, 0.0]]))
    >>> keras.ops.convert_to_numpy(y)
    array([[1.5]], dtype=float32)

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1606.05328)
    """

    def __init__(self, activation="tanh", **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def call(self, x):
        """Multiplies the halves."""
        value, gate = ops.split(x, 2, axis=-1)
        return ops.multiply(self.activation(value), ops.sigmoid(gate))

    def compute_output_shape(self, input_shape):
        """Returns the input's shape with half of the channels."""
        return (*input_shape[:-1], input_shape[-1] // 2)


@keras.saving.register_keras_serializable("keras_gen")
class ConcatELU(Configured, keras.layers.Layer):
    """An activation that keeps both signs: y = [elu(x), elu(-x)], twice the channels.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> y = ConcatELU()(keras.ops.array([[2.0, 0.0]]))
    >>> keras.ops.convert_to_numpy(y).round(3)
    array([[ 2.   ,  0.   , -0.865, -0.   ]], dtype=float32)

    Reference: [Salimans et al., 2017](https://arxiv.org/abs/1701.05517)
    """

    def call(self, x):
        """Applies the function to x and to -x."""
        return ops.elu(ops.concatenate([x, ops.negative(x)], axis=-1))

    def compute_output_shape(self, input_shape):
        """Returns the input's shape with twice the channels."""
        return (*input_shape[:-1], 2 * input_shape[-1])
