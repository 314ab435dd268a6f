"""Layers that depend on a context.

The file needs Keras alone.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gen")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Batch normalization whose scale and shift depend on a context.

    y = (1 + A c) * normalized(x) + B c, with A and B starting at zero; for one-hot
    vectors c that is a scale and a shift of its own for each class

    The class reaches every layer of a generator, and not its input alone.

    Args:
        momentum: As for `keras.layers.BatchNormalization`. Defaults to `0.9`.
        epsilon: As there. Defaults to `1e-5`.
        synchronized: Whether statistics are of all replicas. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = ConditionalBatchNormalization()
    >>> layer([keras.ops.ones((5, 4, 4, 3)), keras.ops.ones((5, 10))]).shape
    TensorShape([5, 4, 4, 3])

    Reference: [Dumoulin et al., 2017](https://arxiv.org/abs/1610.07629)
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, synchronized=True, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon
        self.synchronized = synchronized
        self.norm = keras.layers.BatchNormalization(
            momentum=momentum,
            epsilon=epsilon,
            center=False,
            scale=False,
            synchronized=synchronized,
        )

    def build(self, input_shape):
        """Makes the statistics and both matrices."""
        data, context = input_shape
        self.norm.build(data)
        shape = (context[-1], data[-1])
        self.scale = self.add_weight(name="scale", shape=shape, initializer="zeros")
        self.shift = self.add_weight(name="shift", shape=shape, initializer="zeros")

    def call(self, inputs, training=False):
        """Normalizes data, the first input, as the context, the second, says."""
        x, context = inputs
        x = self.norm(x, training=training)
        places = (1,) * (len(x.shape) - 2)
        context = ops.cast(context, x.dtype)

        def spread(weight):
            rows = ops.matmul(context, ops.cast(weight, x.dtype))
            return ops.reshape(rows, (-1, *places, x.shape[-1]))

        return x * (1.0 + spread(self.scale)) + spread(self.shift)

    def compute_output_shape(self, input_shape):
        """Returns the data's shape."""
        return input_shape[0]

    def get_config(self):
        """Returns the layer's configuration."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
        }


@keras.saving.register_keras_serializable("keras_gen")
class FiLM(keras.layers.Layer):
    """Scales and shifts the channels of features as a context says.

    y = (1 + A c + a) x + B c + b, at every place

    Called on [x, context], a vector for each example. All of A and B start at Glorot's
    size, so that the context makes a difference from the start.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = FiLM()
    >>> layer([keras.ops.ones((5, 4, 4, 3)), keras.ops.ones((5, 10))]).shape
    TensorShape([5, 4, 4, 3])

    Reference: [Perez et al., 2018](https://arxiv.org/abs/1709.07871)
    """

    def build(self, input_shape):
        """Makes the matrices, side by side, and the vectors."""
        data, context = input_shape
        numbers = 2 * data[-1]
        self.kernel = self.add_weight(name="kernel", shape=(context[-1], numbers))
        self.bias = self.add_weight(name="bias", shape=(numbers,), initializer="zeros")

    def call(self, inputs):
        """Returns the scaled and shifted features."""
        x, context = inputs
        rows = ops.matmul(ops.cast(context, self.compute_dtype), self.kernel)
        rows = ops.cast(rows + self.bias, x.dtype)
        rows = ops.reshape(rows, (-1, *[1] * (len(x.shape) - 2), rows.shape[-1]))
        scale, shift = ops.split(rows, 2, axis=-1)
        return x * (1.0 + scale) + shift

    def compute_output_shape(self, input_shape):
        """Returns the features' shape."""
        return input_shape[0]


@keras.saving.register_keras_serializable("keras_gen")
class Planes(keras.layers.Layer):
    """Shows a vector at every place of an image, as further channels.

    y[i, place] = (x[i, place], v[i])

    Called on [x, vector], for sequences, images and volumes of any size; the sides need
    not be known. Convolutions that follow see the vector wherever they are.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> image, vector = keras.ops.zeros((5, 4, 6, 3)), keras.ops.ones((5, 2))
    >>> Planes()([image, vector]).shape
    TensorShape([5, 4, 6, 5])

    Reference: [Zhu et al., 2017](https://arxiv.org/abs/1711.11586)
    """

    def call(self, inputs):
        """Appends the vector to each place."""
        x, vector = inputs
        sides = ops.shape(x)[1:-1]
        planes = ops.reshape(vector, (-1, *[1] * len(sides), vector.shape[-1]))
        planes = ops.tile(ops.cast(planes, x.dtype), (1, *sides, 1))
        return ops.concatenate([x, planes], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns the data's shape with the vector's numbers as further channels."""
        data, vector = input_shape
        return (*data[:-1], data[-1] + vector[-1])


@keras.saving.register_keras_serializable("keras_gen")
class Projection(keras.layers.Layer):
    """Adds to logits how well features match a context.

    y = logit + (V c) . features, with features summed over places

    The form that the log-ratio of p(x|c) and q(x|c) has for classes that are linear in
    the features: a discriminator that is given the class this way compares, rather than
    searching for what a concatenated class may mean.

    Args:
        initializer: Of V. Defaults to `"glorot_uniform"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> logit, features, context = (keras.ops.ones((5, n)) for n in (1, 8, 10))
    >>> Projection()([logit, features, context]).shape
    TensorShape([5, 1])

    Reference: [Miyato and Koyama, 2018](https://arxiv.org/abs/1802.05637)
    """

    def __init__(self, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        """Makes the matrix V."""
        _, features, context = input_shape
        self.kernel = self.add_weight(
            name="kernel",
            shape=(context[-1], features[-1]),
            initializer=self.initializer,
        )

    def call(self, inputs):
        """Adds the products to the logits."""
        logit, features, context = inputs
        places = tuple(range(1, len(features.shape) - 1))
        features = ops.sum(features, axis=places) if places else features
        rows = ops.matmul(
            ops.cast(context, features.dtype), ops.cast(self.kernel, features.dtype)
        )
        match = ops.sum(rows * features, axis=-1, keepdims=True)
        return logit + ops.cast(match, logit.dtype)

    def compute_output_shape(self, input_shape):
        """Returns the logits' shape."""
        return input_shape[0]

    def get_config(self):
        """Returns the layer's configuration."""
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "initializer": initializer}
