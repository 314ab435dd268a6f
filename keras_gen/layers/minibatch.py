"""Layers that let a discriminator compare the examples of a batch.

The file needs Keras alone.
"""

import keras
from keras import ops


class _Grouped(keras.layers.Layer):
    """A layer whose examples see the others of their group, which lie side by side."""

    def __init__(self, group_size=None, **kwargs):
        super().__init__(**kwargs)
        if group_size is not None and group_size < 2:
            raise ValueError(
                "Argument `group_size` must be at least 2, or None. "
                f"Received: group_size={group_size}"
            )
        self.group_size = group_size

    def _groups(self, x):
        """Returns (groups, group size, ...); a batch that has no such groups is one."""
        n = ops.shape(x)[0]
        if self.group_size is None:
            return ops.expand_dims(x, 0)
        size = ops.where(n % self.group_size == 0, self.group_size, n)
        return ops.reshape(x, (-1, size, *x.shape[1:]))

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "group_size": self.group_size}


@keras.saving.register_keras_serializable("keras_gen")
class MinibatchStandardDeviation(_Grouped):
    """Appends a channel with the mean standard deviation within a group of examples.

    s = mean over all values of sqrt(variance over the group + 1e-8), one number for a
    group, repeated at every place

    A generator that always makes the same image is detected immediately. Batch
    normalization already lets examples see each other; use one or the other.

    A group never reaches across replicas. With `group_size` a divisor of each
    replica's batch, the result does not depend on how many replicas there are.

    Args:
        group_size: How many neighboring examples are compared; `None` compares all. A
            batch that it does not divide is one group. Defaults to `4`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> y = MinibatchStandardDeviation()(keras.ops.ones((8, 4, 4, 3)))
    >>> y.shape, round(float(y[0, 0, 0, -1]), 6)
    (TensorShape([8, 4, 4, 4]), 0.0001)

    Reference: [Karras et al., 2018](https://arxiv.org/abs/1710.10196)
    """

    def __init__(self, group_size=4, **kwargs):
        super().__init__(group_size, **kwargs)

    def call(self, inputs):
        """Appends the channel."""
        x = self._groups(ops.cast(inputs, "float32"))
        spread = ops.sqrt(ops.var(x, axis=1, keepdims=True) + 1e-8)
        number = ops.mean(spread, axis=tuple(range(2, len(x.shape))), keepdims=True)
        plane = ops.broadcast_to(number, ops.shape(x[..., :1]))
        plane = ops.reshape(plane, ops.shape(inputs[..., :1]))
        return ops.concatenate([inputs, ops.cast(plane, inputs.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape with one more channel."""
        return (*input_shape[:-1], input_shape[-1] + 1)


@keras.saving.register_keras_serializable("keras_gen")
class MinibatchDiscrimination(_Grouped):
    """Appends to each example's features how close the others of its group are.

    M_i = T x_i, a matrix of `features` rows of `dimensions` numbers;
    o_ib = sum over the others j of exp(-|M_ib - M_jb|_1)

    The discriminator sees when samples are all alike, and the generator is driven
    apart, at a cost that is quadratic in the group.

    A group never reaches across replicas. With `group_size` a divisor of each
    replica's batch, the result does not depend on how many replicas there are.

    Args:
        features: How many numbers are appended. Defaults to `50`.
        dimensions: Numbers in each comparison. Defaults to `5`.
        group_size: How many neighboring examples are compared; `None` compares all. A
            batch that it does not divide is one group. Defaults to `None`.
        kernel_initializer: Defaults to `"glorot_uniform"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> MinibatchDiscrimination(3)(keras.ops.ones((8, 4))).shape
    TensorShape([8, 7])

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """

    def __init__(
        self,
        features=50,
        dimensions=5,
        group_size=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(group_size, **kwargs)
        self.features = features
        self.dimensions = dimensions
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Makes the tensor T."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.features * self.dimensions),
            initializer=self.kernel_initializer,
        )

    def call(self, inputs):
        """Appends the closenesses."""
        rows = ops.matmul(inputs, ops.cast(self.kernel, inputs.dtype))
        rows = ops.reshape(rows, (-1, self.features, self.dimensions))
        rows = self._groups(ops.cast(rows, "float32"))
        gaps = ops.abs(ops.expand_dims(rows, 1) - ops.expand_dims(rows, 2))
        near = ops.sum(ops.exp(-ops.sum(gaps, axis=-1)), axis=2) - 1.0  # not itself
        near = ops.reshape(near, (-1, self.features))
        return ops.concatenate([inputs, ops.cast(near, inputs.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape with `features` more channels."""
        return (*input_shape[:-1], input_shape[-1] + self.features)

    def get_config(self):
        """Returns the layer's configuration."""
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {
            **super().get_config(),
            "features": self.features,
            "dimensions": self.dimensions,
            "kernel_initializer": initializer,
        }
