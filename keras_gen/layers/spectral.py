"""Layers whose kernels have a spectral norm of one.

The file needs Keras and `kernel.py` alone.
"""

import keras
from keras import ops

from keras_gen.layers.kernel import TRANSPOSED, KernelWrapper

_DEPTHWISE = keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D


@keras.saving.register_keras_serializable("keras_gen")
class SpectralNormalization(KernelWrapper):
    """Calls a layer with its kernel divided by the kernel's largest singular value.

    y = layer(x) with W / sigma(W) in place of W, sigma(W) = u^T W v

    W is the kernel as a matrix from all that one output sees to the outputs; u and v
    are its leading singular vectors, which one power iteration in each training call
    follows while W changes. The layer is then Lipschitz, with a constant of one for
    dense layers, at the cost of two products of W with a vector. A depthwise kernel is
    that of an ordinary convolution whose channels do not mix, zeros included.

    This is a reparameterization: W itself is trained and is never overwritten, and the
    gradient passes through sigma, with u and v held constant, which is its exact value
    where they are singular vectors. (Keras's own layer of this name writes the
    normalized kernel over W, which loses W's scale and the gradient through sigma.)
    sigma is computed in the kernel's own precision whatever the policy.

    Args:
        layer: A layer with a `kernel` or with `embeddings`, such as `Dense`, `Conv1D`
            to `Conv3D`, their transposes, depthwise convolutions, and `Embedding`.
        power_iterations: Positive integer, for each training call. Defaults to `1`.
        **kwargs: Arguments of `keras.layers.Wrapper`.

    Example:

    >>> layer = SpectralNormalization(keras.layers.Dense(2, use_bias=False))
    >>> layer.build((None, 2))
    >>> _ = layer.kernel.assign([[3.0, 0.0], [0.0, 1.0]])
    >>> for _ in range(20):
    ...     y = layer(keras.ops.eye(2), training=True)
    >>> keras.ops.convert_to_numpy(y).round(3)
    array([[1.   , 0.   ],
           [0.   , 0.333]], dtype=float32)

    Reference: [Miyato et al., 2018](https://arxiv.org/abs/1802.05957)
    """

    def __init__(self, layer, power_iterations=1, **kwargs):
        super().__init__(layer, **kwargs)
        if power_iterations < 1:
            raise ValueError(
                "Argument `power_iterations` must be positive. "
                f"Received: power_iterations={power_iterations}"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape):
        """Builds the layer, and the vector that follows the leading output."""
        super().build(input_shape)
        self.vector = self.add_weight(
            name="vector",
            shape=(self._matrix(self.kernel.value).shape[1],),
            initializer=self._leading,
            trainable=False,
            dtype=self.kernel.dtype,
        )

    @property
    def kernel(self):
        """The weight that is normalized; the layer keeps it as it is trained."""
        for name in ("kernel", "embeddings"):
            if hasattr(self.layer, name):
                return getattr(self.layer, name)
        raise ValueError(
            "Argument `layer` must have a `kernel` or `embeddings`. "
            f"Received: layer={self.layer}"
        )

    def sigma(self, training=False):
        """Returns the kernel's estimated spectral norm, as a function of the kernel.

        Args:
            training: Whether the estimate is improved, and kept. Defaults to `False`.
        """
        matrix = self._matrix(self.kernel.value)
        constant, u = ops.stop_gradient(matrix), self.vector.value
        v = _direction(ops.matmul(constant, u))
        if training:
            for step in range(self.power_iterations):
                v = _direction(ops.matmul(constant, u)) if step else v
                u = _direction(ops.matmul(v, constant), u)
            self.vector.assign(u)
        return ops.dot(v, ops.matmul(matrix, u))

    def find_vector(self):
        """Looks for the leading output anew, after the kernel was set from outside."""
        self.vector.assign(self._leading(self.vector.shape, self.vector.dtype))

    def call(self, inputs, training=False):
        """Calls the layer with the normalized kernel."""
        sigma = self.sigma(training)
        sigma = ops.where(sigma > 0, sigma, ops.ones_like(sigma))
        return self.call_with(self.kernel.value / sigma, inputs)

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "power_iterations": self.power_iterations}

    def _matrix(self, kernel):
        """Returns the kernel as a matrix from what an output sees to the outputs."""
        if isinstance(self.layer, TRANSPOSED):
            *places, outputs, inputs = range(len(kernel.shape))
            kernel = ops.transpose(kernel, (*places, inputs, outputs))
        if isinstance(self.layer, _DEPTHWISE):
            *places, inputs, each = kernel.shape
            apart = ops.eye(inputs, dtype=kernel.dtype)[:, :, None]
            kernel = ops.expand_dims(kernel, -2) * apart
            kernel = ops.reshape(kernel, (*places, inputs, inputs * each))
        return ops.reshape(kernel, (-1, kernel.shape[-1]))

    def _leading(self, shape, dtype):
        """Returns the leading singular vector of the outputs, roughly."""
        u = _direction(keras.random.normal(shape, dtype=dtype))
        matrix = ops.stop_gradient(self._matrix(self.kernel.value))
        for _ in range(20):
            u = _direction(ops.matmul(ops.matmul(matrix, u), matrix), u)
        return u


def _direction(vector, otherwise=0.0):
    """Returns a vector of length one, or something else where there is none."""
    length = ops.sqrt(ops.sum(ops.square(vector)))
    some = length > 0
    return ops.where(some, vector / ops.where(some, length, 1.0), otherwise)
