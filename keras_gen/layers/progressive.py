"""Layers of networks that grow while they train.

The file needs Keras and `kernel.py` alone.
"""

import math

import keras
from keras import ops

from keras_gen.layers.kernel import TRANSPOSED

_PLAIN = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


@keras.saving.register_keras_serializable("keras_gen")
class EqualizedLearningRate(keras.layers.Wrapper):
    """Calls a layer with its kernel scaled by He's constant, at every call.

    y = layer(x) with c W in place of W, c = gain / sqrt(fan in), W ~ N(0, 1) at first

    All kernels are then of one size, and an optimizer that normalizes its steps, as
    Adam does, moves all of them at one speed, whatever their fan-in. The input is
    scaled instead of the kernel, which is the same.

    Args:
        layer: A dense or convolutional layer, or the transpose of one, that has not
            been built. Its kernel is drawn from N(0, 1).
        gain: Float. Defaults to `None`: sqrt(2), He's for rectified outputs.
        **kwargs: Arguments of `keras.layers.Wrapper`.

    Example:

    >>> layer = EqualizedLearningRate(keras.layers.Dense(2), gain=1.0)
    >>> layer.build((None, 16))
    >>> layer.scale
    0.25

    Reference: [Karras et al., 2018](https://arxiv.org/abs/1710.10196)
    """

    def __init__(self, layer, gain=None, **kwargs):
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})
        if not isinstance(layer, _PLAIN + TRANSPOSED) or layer.built:
            raise ValueError(
                "Argument `layer` must be dense or convolutional, and not built yet. "
                f"Received: layer={layer}"
            )
        layer.kernel_initializer = keras.initializers.RandomNormal(stddev=1.0)
        self.gain = math.sqrt(2.0) if gain is None else gain

    def build(self, input_shape):
        """Builds the layer and finds its kernel's fan-in."""
        super().build(input_shape)
        *places, first, second = self.layer.kernel.shape
        inputs = second if isinstance(self.layer, TRANSPOSED) else first
        self.scale = self.gain / math.sqrt(math.prod(places) * inputs)

    def call(self, inputs):
        """Calls the layer on the scaled input."""
        return self.layer(inputs * ops.cast(self.scale, inputs.dtype))

    def compute_output_shape(self, input_shape):
        """Returns the layer's output shape."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "gain": self.gain}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the object that `get_config` described, its layer not yet built."""
        layer = {k: v for k, v in config["layer"].items() if k != "build_config"}
        return super().from_config({**config, "layer": layer}, custom_objects)


@keras.saving.register_keras_serializable("keras_gen")
class PixelNormalization(keras.layers.Layer):
    """Scales the channels of each place to a mean square of one.

    y = x / sqrt(mean over channels of x^2 + epsilon), in float32

    It has no weights and looks at one place of one example only. In a generator it
    keeps magnitudes from escalating in the race with the discriminator.

    Args:
        epsilon: Float. Defaults to `1e-8`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> PixelNormalization()(keras.ops.array([[3.0, 3.0], [1.0, -1.0]])).numpy()
    array([[ 1.,  1.],
           [ 1., -1.]], dtype=float32)

    Reference: [Karras et al., 2018](https://arxiv.org/abs/1710.10196)
    """

    def __init__(self, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        """Returns the scaled input."""
        x = ops.cast(inputs, "float32")
        x = x * ops.rsqrt(ops.mean(ops.square(x), -1, keepdims=True) + self.epsilon)
        return ops.cast(x, inputs.dtype)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("keras_gen")
class Fade(keras.layers.Layer):
    """Passes from one tensor to another: (1 - amount) old + amount new.

    Called on [old, new, amount], `amount` of shape (batch, 1).

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> old, new = keras.ops.zeros((1, 2)), keras.ops.ones((1, 2))
    >>> Fade()([old, new, keras.ops.array([[0.25]])]).numpy()
    array([[0.25, 0.25]], dtype=float32)
    """

    def call(self, inputs):
        """Returns the mixture."""
        old, new, amount = inputs
        amount = ops.reshape(amount, (-1, *[1] * (len(new.shape) - 1)))
        amount = ops.cast(amount, new.dtype)
        return (1.0 - amount) * old + amount * new

    def compute_output_shape(self, input_shape):
        """Returns the new tensor's shape."""
        return input_shape[1]
