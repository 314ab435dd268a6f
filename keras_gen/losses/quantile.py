"""Draws from logits by uniform noise: the inverse of the distribution function."""

import tensorflow as tf

COLDEST = 1e-6  # stands for a temperature of zero: the likeliest is drawn


def inverse_cdf(logits, noise, temperature=1.0):
    """Returns the indices at which the distribution reaches the noise, int32.

    None of them has the mass zero, however the sums are rounded.

    Args:
        logits: Float tensor (..., choices).
        noise: Uniform numbers in [0, 1), (...).
        temperature: What logits are divided by; zero draws the likeliest. Defaults to
            `1.0`.
    """
    highest = tf.reduce_max(logits, axis=-1, keepdims=True)
    odds = tf.exp((logits - highest) / tf.maximum(temperature, COLDEST))
    below = tf.cumsum(odds, axis=-1)
    reached = below <= noise[..., None] * below[..., -1:]
    # Rounding may leave the last sum, times a number next to one, at itself.
    choices = tf.range(tf.shape(odds)[-1])
    last = tf.reduce_max(tf.where(odds > 0, choices, 0), axis=-1)
    return tf.minimum(tf.reduce_sum(tf.cast(reached, "int32"), axis=-1), last)
