"""Maps that warp space along one direction, or around one point."""

import math

import keras
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer

# The smallest slope along the direction that is bent: at zero, no inverse is left.
_LEAST = 1e-3


def _positive(raw):
    """Returns a number of at least `_LEAST`, one where the raw number is zero."""
    return _LEAST + tf.nn.softplus(raw + math.log(math.expm1(1.0 - _LEAST)))


class _RootInverse(BijectiveLayer):
    """The base of maps whose inverse is the root of one increasing function.

    Args:
        dims: Integer, the size of a vector.
        numbers: How many parameters there are.
        context_shape: Tuple, the shape of a vector that moves the parameters.
        deviation: Float, the standard deviation of the initial parameters.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, dims, numbers, context_shape, deviation=0.1, **kwargs):
        super().__init__(event_ndims=1, **kwargs)
        self.dims = dims
        initializer = keras.initializers.RandomNormal(stddev=deviation)
        self.parameters = self.add_own_weight("parameters", (numbers,), initializer)
        self.of_context = None
        self.takes_context = context_shape is not None
        if self.takes_context:
            self.of_context = keras.layers.Dense(
                numbers, kernel_initializer="zeros", use_bias=False, dtype="float32"
            )
            self.of_context.build((None, *context_shape))
        self.built = True

    def _parameters(self, x, context):
        """Returns the raw parameters (batch, numbers)."""
        raw = tf.cast(self.parameters.value, x.dtype)[None]
        if self.of_context is not None:
            self.require_context(context)
            raw += tf.cast(self.of_context(context), x.dtype)
        return tf.repeat(raw, tf.shape(x)[0] // tf.shape(raw)[0], axis=0)


def _root(function, target, low, high, steps=60):
    """Returns t with function(t) = target; the gradient comes by one Newton step.

    Args:
        function: An increasing function of (batch, 1) to its value and slope.
        target: Tensor (batch, 1).
        low: Where the function is below the target.
        high: Where it is above.
        steps: How often the interval is halved.
    """
    low, high = tf.stop_gradient(low), tf.stop_gradient(high)

    def halve(i, low, high):
        middle = 0.5 * (low + high)
        above = function(middle)[0] > target
        low, high = tf.where(above, low, middle), tf.where(above, middle, high)
        return i + 1, low, high

    _, low, high = tf.while_loop(
        lambda i, *_: i < steps, halve, (0, low, high), maximum_iterations=steps
    )
    t = tf.stop_gradient(0.5 * (low + high))
    value, slope = function(t)
    return t - (value - target) / tf.stop_gradient(slope)


@keras.saving.register_keras_serializable("keras_gen")
class Planar(_RootInverse):
    """Stretches space along one direction, near one plane.

    z = x + u tanh(w.x + b), log|det dz/dx| = log(1 + (1 - tanh^2(w.x + b)) w.u), with u
    moved so that w.u > -1, where the map is invertible. The way back is the root of one
    increasing function, found by halving.

    Args:
        dims: Integer, the size of a vector.
        context_shape: Tuple, the shape of a vector that moves w, u and b. Defaults to
            `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> z, log_det = Planar(2).inverse_and_log_det(tf.ones((3, 2)))
    >>> z.shape, log_det.shape
    (TensorShape([3, 2]), TensorShape([3]))

    Reference: [Rezende and Mohamed, 2015](https://arxiv.org/abs/1505.05770)
    """

    def __init__(self, dims, context_shape=None, **kwargs):
        super().__init__(dims, 2 * dims + 1, context_shape, 0.3, **kwargs)

    def _own(self, x, context):
        raw = self._parameters(x, context)
        w, u, b = tf.split(raw, [self.dims, self.dims, 1], axis=-1)
        product = tf.reduce_sum(w * u, axis=-1, keepdims=True)
        square = tf.maximum(tf.reduce_sum(w**2, axis=-1, keepdims=True), 1e-12)
        # Above -1, and near the product where that is large.
        inside = _positive(product) - 1.0
        return w, u + (inside - product) * w / square, b, inside

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z by the formula."""
        w, u, b, inside = self._own(x, context)
        bend = tf.tanh(tf.reduce_sum(w * x, axis=-1, keepdims=True) + b)
        log_det = tf.math.log1p((1.0 - bend**2) * inside)
        return x + u * bend, log_det[:, 0]

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x: w.x is the root, the rest follows."""
        w, u, b, inside = self._own(z, context)

        def function(t):
            bend = tf.tanh(t + b)
            return t + inside * bend, 1.0 + inside * (1.0 - bend**2)

        target = tf.reduce_sum(w * z, axis=-1, keepdims=True)
        reach = tf.abs(inside) + 1e-3
        t = _root(function, target, target - reach, target + reach)
        bend = tf.tanh(t + b)
        log_det = tf.math.log1p((1.0 - bend**2) * inside)
        return z - u * bend, -log_det[:, 0]


@keras.saving.register_keras_serializable("keras_gen")
class Radial(_RootInverse):
    """Stretches space around one point.

    z = x + beta (x - c) / (a + r), r = |x - c|, with a > 0 and beta > -a, where the map
    is invertible. log|det dz/dx| = (d - 1) log(1 + beta / (a + r)) +
    log(1 + beta a / (a + r)^2). The way back is the root of one increasing function.

    Args:
        dims: Integer, the size of a vector.
        context_shape: Tuple, the shape of a vector that moves c, a and beta. Defaults
            to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> z, log_det = Radial(2).inverse_and_log_det(tf.ones((3, 2)))
    >>> z.shape, log_det.shape
    (TensorShape([3, 2]), TensorShape([3]))

    Reference: [Rezende and Mohamed, 2015](https://arxiv.org/abs/1505.05770)
    """

    def __init__(self, dims, context_shape=None, **kwargs):
        super().__init__(dims, dims + 2, context_shape, 0.3, **kwargs)

    def _own(self, x, context):
        raw = self._parameters(x, context)
        center, a, beta = tf.split(raw, [self.dims, 1, 1], axis=-1)
        a = tf.nn.softplus(a) + 1e-3
        return center, a, _positive(beta) - a

    def _log_det(self, r, a, beta):
        far = 1.0 / (a + r)
        stretch = (self.dims - 1) * tf.math.log1p(beta * far)
        return (stretch + tf.math.log1p(beta * a * far**2))[:, 0]

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z by the formula."""
        center, a, beta = self._own(x, context)
        r = _norm(x - center)
        return x + beta * (x - center) / (a + r), self._log_det(r, a, beta)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x: the distance is the root, the direction stays."""
        center, a, beta = self._own(z, context)
        distance = _norm(z - center)

        def function(r):
            return r + beta * r / (a + r), 1.0 + beta * a / (a + r) ** 2

        high = distance + tf.abs(beta) + 1e-3
        r = _root(function, distance, tf.zeros_like(distance), high)
        x = center + (z - center) / (1.0 + beta / (a + r))
        return x, -self._log_det(r, a, beta)


def _norm(x):
    """Returns the length, with a finite gradient at zero."""
    return tf.sqrt(tf.reduce_sum(x**2, axis=-1, keepdims=True) + 1e-20)
