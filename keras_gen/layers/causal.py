"""Layers over time that see only what comes earlier.

The file needs Keras alone.
"""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gen")
class CausalConv1D(keras.layers.Conv1D):
    """A convolution over time whose output at t sees no later input.

    y_t = b + sum_k W_k x_(t - k r), k = 0 ... size - 1 in type B and k = 1 ... size,
    the dilation r applied after the first step back, in type A

    Type B includes the present, type A excludes it: one layer of type A and then
    layers of type B make all conditionals p(x_t | x_1, ..., x_(t-1)) in one pass. What
    lies before the first step is zero. Unlike a recurrent layer it computes all steps
    at once, and sees no further than its taps.

    Args:
        filters: How many channels the output has.
        kernel_size: How many steps it sees.
        mask: `"A"` without the present, `"B"` with it. Defaults to `"B"`.
        **kwargs: Arguments of `keras.layers.Conv1D`. Padding, strides and the place of
            the channels are fixed.

    Example:

    >>> layer = CausalConv1D(1, 2, "A", kernel_initializer="ones")
    >>> y = layer(keras.ops.reshape(keras.ops.arange(1.0, 5.0), (1, 4, 1)))
    >>> keras.ops.convert_to_numpy(y[0, :, 0])
    array([0., 1., 3., 5.], dtype=float32)

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1609.03499)
    """

    def __init__(self, filters, kernel_size, mask="B", **kwargs):
        kwargs = {**_FIXED, **kwargs}
        for name, only in _FIXED.items():
            if kwargs[name] not in (only, (only,)):
                raise ValueError(
                    f"Argument `{name}` must be {only!r}. "
                    f"Received: {name}={kwargs[name]!r}"
                )
        if mask not in ("A", "B"):
            raise ValueError(
                f'Argument `mask` must be "A" or "B". Received: mask={mask!r}'
            )
        super().__init__(filters, kernel_size, **kwargs)
        self.mask = mask

    def call(self, inputs):
        """Convolves what has come so far."""
        if self.mask == "A":
            inputs = ops.pad(inputs[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return super().call(inputs)

    def get_config(self):
        """Returns the layer's configuration."""
        return {**super().get_config(), "mask": self.mask}


@keras.saving.register_keras_serializable("keras_gen")
class CausalSelfAttention(keras.layers.Layer):
    """Attention of each step to itself and to earlier steps.

    y_i = W sum_(j <= i) softmax_j(q_i . k_j / sqrt(d)) v_j in each of several heads,
    with queries and keys rotated by angles proportional to their position

    With rotary positions, q_i . k_j depends on the distance i - j alone: there is no
    maximum length, although distances that did not occur in training may generalize
    badly. The cost of a step is proportional to the number of earlier steps. `step`
    computes one output from the keys and values that earlier calls left in a cache.

    Args:
        heads: The number of attention heads.
        head_size: Even integer, the size of queries, keys and values in each of them.
        base: Float, the base of the wavelengths of the rotations. Defaults to
            `10000.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = CausalSelfAttention(heads=2, head_size=4)
    >>> x = keras.random.normal((1, 5, 8))
    >>> whole, cache = layer(x), layer.cache(1, 5)
    >>> for t in range(5):
    ...     y, cache = layer.step(x[:, t], cache, t)
    >>> bool(keras.ops.all(keras.ops.abs(y - whole[:, -1]) < 1e-5))
    True

    Reference: [Su et al., 2021](https://arxiv.org/abs/2104.09864)
    """

    def __init__(self, heads, head_size, base=10000.0, **kwargs):
        super().__init__(**kwargs)
        for name, value in {"heads": heads, "head_size": head_size}.items():
            if value < 1:
                raise ValueError(
                    f"Argument `{name}` must be positive. Received: {name}={value}"
                )
        if head_size % 2:
            raise ValueError(
                f"Argument `head_size` must be even. Received: head_size={head_size}"
            )
        self.heads = heads
        self.head_size = head_size
        self.base = base

    def build(self, input_shape):
        """Makes the projections to queries, keys and values, and back."""
        inner = self.heads * self.head_size
        policy = {"dtype": self.dtype_policy}
        self.project = keras.layers.Dense(3 * inner, use_bias=False, **policy)
        self.mix = keras.layers.Dense(input_shape[-1], **policy)
        self.project.build(input_shape)
        self.mix.build((*input_shape[:-1], inner))

    def call(self, x):
        """Attends at every step of (batch, steps, channels)."""
        places = ops.arange(ops.shape(x)[1])
        queries, keys, values = self._project(x, places)
        seen = places[None] <= places[:, None]
        return self._attend(queries, keys, values, seen)

    def cache(self, batch_size, capacity):
        """Returns an empty cache: keys and values of `capacity` steps.

        Args:
            batch_size: How many sequences there are.
            capacity: How many steps there will be.
        """
        shape = (batch_size, self.heads, capacity, self.head_size)
        return [ops.zeros(shape, self.compute_dtype) for _ in range(2)]

    def step(self, x, cache, position):
        """Returns the output of one step (batch, channels), and the cache after it.

        Args:
            x: The input of this step, (batch, channels).
            cache: What the step before returned, or an empty cache.
            position: Integer, the step's number from zero.
        """
        if not self.built:
            self.build((None, None, x.shape[-1]))
        queries, *new = self._project(x[:, None], ops.reshape(position, (1,)))
        places = ops.arange(cache[0].shape[2])
        here = ops.equal(places, position)[:, None]
        cache = [ops.where(here, n, old) for n, old in zip(new, cache, strict=True)]
        seen = (places <= position)[None]
        return self._attend(queries, *cache, seen)[:, 0], cache

    def _project(self, x, places):
        """Returns queries, keys and values, (batch, heads, steps, size) each."""
        shape = (-1, ops.shape(x)[1], 3, self.heads, self.head_size)
        parts = ops.reshape(self.project(x), shape)
        parts = ops.transpose(parts, (2, 0, 3, 1, 4))
        return self._turn(parts[0], places), self._turn(parts[1], places), parts[2]

    def _turn(self, x, places):
        """Returns pairs of channels rotated by an angle for each position."""
        half = self.head_size // 2
        speeds = ops.exp(
            ops.arange(half, dtype="float32") * -math.log(self.base) / half
        )
        angles = ops.cast(places, "float32")[:, None] * speeds
        cos, sin = ops.cos(angles), ops.sin(angles)
        a, b = ops.split(ops.cast(x, "float32"), 2, axis=-1)
        turned = ops.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
        return ops.cast(turned, self.compute_dtype)

    def _attend(self, queries, keys, values, seen):
        scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2))
        scores = ops.cast(scores, "float32") / math.sqrt(self.head_size)
        weights = ops.softmax(ops.where(seen, scores, -1e9), axis=-1)
        y = ops.matmul(ops.cast(weights, self.compute_dtype), values)
        y = ops.transpose(y, (0, 2, 1, 3))
        shape = (-1, ops.shape(y)[1], self.heads * self.head_size)
        return self.mix(ops.reshape(y, shape))

    def get_config(self):
        """Returns the layer's configuration."""
        config = {"heads": self.heads, "head_size": self.head_size, "base": self.base}
        return {**super().get_config(), **config}


_FIXED = {"padding": "causal", "strides": 1, "data_format": "channels_last"}
