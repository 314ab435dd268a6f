"""Layers whose kernels have a direction and a length, apart.

The file needs Keras and `kernel.py` alone.
"""

import keras
from keras import ops

from keras_gen.layers.kernel import TRANSPOSED, KernelWrapper


@keras.saving.register_keras_serializable("keras_gen")
class WeightNormalization(KernelWrapper):
    """Calls a layer with kernels whose lengths are weights of their own.

    y = layer(x) with g V / |V| in place of W, |V| the length of what one output sees

    V is the layer's own kernel and g one number for each output, at first |V|, which
    leaves the layer as it was. The gradient in V is orthogonal to V: it turns, and the
    longer it has become the less it turns, as if the learning rate fell by itself.
    With `train_scale=False` outputs keep their size: a network cannot drown the noise
    between its layers by larger outputs. No example depends on others of its batch.

    `fit_to` sets g and the bias from data, as the authors start; for all layers of a
    network, see `networks.fit_weight_normalization`. Lengths are computed in the
    kernel's own precision whatever the policy.

    Args:
        layer: A layer with a `kernel`, such as `Dense`, `Conv1D` to `Conv3D` and their
            transposes, channels last.
        train_scale: Boolean. Whether g is trained. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Wrapper`.

    Example:

    >>> layer = WeightNormalization(keras.layers.Dense(2, use_bias=False))
    >>> layer.build((None, 2))
    >>> _ = layer.kernel.assign([[3.0, 0.0], [4.0, 0.5]])
    >>> _ = layer.scale.assign([1.0, 2.0])
    >>> keras.ops.convert_to_numpy(layer(keras.ops.eye(2))).round(3)
    array([[0.6, 0. ],
           [0.8, 2. ]], dtype=float32)

    Reference: [Salimans and Kingma, 2016](https://arxiv.org/abs/1602.07868)
    """

    def __init__(self, layer, train_scale=True, **kwargs):
        super().__init__(layer, **kwargs)
        self.train_scale = train_scale
        self.fits_next = False

    def build(self, input_shape):
        """Builds the layer, and the lengths, which are the kernel's."""
        super().build(input_shape)
        if not hasattr(self.layer, "kernel"):
            raise ValueError(
                f"Argument `layer` must have a `kernel`. Received: layer={self.layer}"
            )
        self.scale = self.add_weight(
            name="scale",
            shape=(self.kernel.shape[self._outputs],),
            initializer=lambda shape, dtype: ops.sqrt(ops.reshape(self._squares(), -1)),
            trainable=self.train_scale,
            dtype=self.kernel.dtype,
        )

    def normalized_kernel(self):
        """Returns g V / |V|, zero where V is."""
        squares = self._squares()
        some = squares > 0
        inverse = ops.rsqrt(ops.where(some, squares, ops.ones_like(squares)))
        scale = ops.reshape(self.scale.value, squares.shape)
        return self.kernel.value * ops.where(some, scale * inverse, 0.0)

    def fit_to(self, inputs):
        """Sets scale and bias so that each output has mean 0 and variance 1 on data.

        The statistics are of the outputs before the layer's own activation. An output
        that is constant is centered only.

        Args:
            inputs: What the layer is given, a few hundred examples.
        """
        activation = getattr(self.layer, "activation", None)
        self.layer.activation = None
        outputs = ops.cast(
            self.call_with(self.normalized_kernel(), inputs), self.kernel.dtype
        )
        self.layer.activation = activation
        axes = tuple(range(len(outputs.shape) - 1))
        mean, variance = ops.moments(outputs, axes)
        some = variance > 1e-8
        factor = ops.rsqrt(ops.where(some, variance, ops.ones_like(variance)))
        self.scale.assign(self.scale * factor)
        if self.layer.bias is not None:
            self.layer.bias.assign((self.layer.bias - mean) * factor)

    def call(self, inputs):
        """Calls the layer with the normalized kernel."""
        if self.fits_next:
            self.fit_to(inputs)
        return self.call_with(self.normalized_kernel(), inputs)

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "train_scale": self.train_scale}

    @property
    def _outputs(self):
        """The kernel's axis along which the outputs lie."""
        return -2 if isinstance(self.layer, TRANSPOSED) else -1

    def _squares(self):
        """Returns |V|^2, one for each output, of a shape that broadcasts."""
        kernel = self.kernel.value
        rank = len(kernel.shape)
        axes = tuple(a for a in range(rank) if a != rank + self._outputs)
        return ops.sum(ops.square(kernel), axis=axes, keepdims=True)
