"""Which code a generator makes an image from: found by gradients."""

import math

import tensorflow as tf


class Inverter:
    """Finds codes whose decoded data are near to given data, by gradient descent.

    From several starts each, Adam lowers

        mean (x - decode(z))^2 + feature_weight mean (f(x) - f(decode(z)))^2
        + prior_weight mean z^2,

    means over an example's values, and the best end of each example is kept. One
    compiled loop runs all starts of all examples.

    Args:
        decode: A function (codes, contexts) to data, that gradients pass through.
        features: A function from data to vectors, f. Defaults to `None`: there are
            none.

    Example:

    >>> double = Inverter(lambda z, context: 2.0 * z)
    >>> z, error = double(tf.fill((3, 2), 4.0), tf.zeros((1, 3, 2)), steps=300)
    >>> bool(tf.reduce_all(abs(z - 2.0) < 1e-2)), error.shape
    (True, TensorShape([3]))

    Reference: [Zhu et al., 2016](https://arxiv.org/abs/1609.03552)
    """

    def __init__(self, decode, features=None):
        self.decode, self.features = decode, features
        self._run = tf.function(self._descend, autograph=False, reduce_retracing=True)

    def __call__(
        self,
        x,
        starts,
        context=None,
        steps=200,
        learning_rate=0.1,
        feature_weight=0.0,
        prior_weight=0.0,
    ):
        """Returns a code for each example, and what is left of the distance.

        Args:
            x: A batch of data.
            starts: Codes from which to start, (starts, batch, ...).
            context: What each example is conditioned on. Defaults to `None`.
            steps: How many updates. Defaults to `200`.
            learning_rate: At first; it falls to zero by a cosine. Defaults to `0.1`.
            feature_weight: Non-negative float. Defaults to `0.0`.
            prior_weight: Non-negative float. Defaults to `0.0`.
        """
        options = learning_rate, feature_weight, prior_weight
        options = [tf.cast(option, "float32") for option in options]
        return self._run(x, starts, context, tf.cast(steps, "int32"), *options)

    def _descend(self, x, starts, context, steps, rate, feature_weight, prior_weight):
        count, n = tf.shape(starts)[0], tf.shape(x)[0]
        z = tf.reshape(starts, tf.concat([[-1], tf.shape(starts)[2:]], axis=0))
        z = tf.ensure_shape(z, (None, *starts.shape[2:]))
        given = (x,) if context is None else (x, context)
        x, *context = tf.nest.map_structure(
            lambda part: _merge(tf.repeat(part[None], count, axis=0)), given
        )
        context = context[0] if context else None
        seen = None if self.features is None else self.features(x)

        def distance(z):
            made = self.decode(z, context)
            total = _mean(tf.square(made - x)) + prior_weight * _mean(tf.square(z))
            if seen is None:
                return total
            apart = _mean(tf.square(self.features(made) - seen))
            return total + feature_weight * apart

        def update(step, z, first, second):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(z)
                total = tf.reduce_sum(distance(z))
            slope, t = tape.gradient(total, z), tf.cast(step + 1, "float32")
            first = 0.9 * first + 0.1 * slope
            second = 0.99 * second + 0.01 * tf.square(slope)
            move = first / (1.0 - 0.9**t)
            move /= tf.sqrt(second / (1.0 - 0.99**t)) + 1e-8
            part = (t - 1.0) / tf.cast(steps, "float32")
            size = 0.5 * rate * (1.0 + tf.cos(math.pi * part))
            return step + 1, z - size * move, first, second

        zeros = tf.zeros_like(z)
        _, z, _, _ = tf.while_loop(
            lambda step, *_: step < steps,
            update,
            (tf.constant(0), z, zeros, zeros),
            parallel_iterations=1,
        )
        errors = tf.reshape(distance(z), (count, n))
        best = tf.argmin(errors, axis=0, output_type="int32")
        rows = tf.range(n)
        chosen = tf.gather(z, best * n + rows)
        return chosen, tf.gather_nd(errors, tf.stack([best, rows], axis=1))


def _merge(x):
    """Returns (starts, batch, ...) as (starts * batch, ...)."""
    return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))


def _mean(x):
    return tf.reduce_mean(tf.reshape(x, (tf.shape(x)[0], -1)), axis=1)
