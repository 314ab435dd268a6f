"""Elementwise maps of couplings and autoregressive layers, given their parameters.

A transform is a monotone function of each number by itself. `numbers` says how many raw
parameters it takes for each; networks give them as blocks side by side in the last
axis. Raw parameters of zero give the identity. Everything stays finite, whatever the
raw parameters are.
"""

import math

import tensorflow as tf

from keras_gen.arguments import require_argument


class Shift:
    """x = z + t: volumes stay as they are."""

    numbers = 1

    def forward(self, z, raw):
        """Returns x and log dx/dz."""
        return z + raw, None

    def inverse(self, x, raw):
        """Returns z and log dz/dx."""
        return x - raw, None


class ScaleAndShift:
    """x = z exp(s) + t with s = limit tanh(raw / limit).

    Args:
        limit: Positive float, the largest log-scale.
    """

    numbers = 2

    def __init__(self, limit):
        require_argument(limit > 0, "limit", "positive", limit)
        self.limit = limit

    def _parameters(self, raw):
        scale, shift = tf.split(raw, 2, axis=-1)
        return self.limit * tf.tanh(scale / self.limit), shift

    def forward(self, z, raw):
        """Returns x and log dx/dz."""
        log_scale, shift = self._parameters(raw)
        return z * tf.exp(log_scale) + shift, log_scale

    def inverse(self, x, raw):
        """Returns z and log dz/dx."""
        log_scale, shift = self._parameters(raw)
        return (x - shift) * tf.exp(-log_scale), -log_scale


class RationalQuadratic:
    """A monotone spline of rational quadratic pieces on [-bound, bound]; beyond, x = z.

    Widths and heights of the bins are softmaxes and the slopes at the inner knots
    softplus, each with a floor; the slope at both ends is one, so that the curve meets
    the straight tails smoothly. The closed form goes from x to z, where training needs
    it; the way back solves a quadratic.

    Args:
        bins: Integer, at least 2.
        bound: Positive float.
        least_size: The smallest width and height of a bin, as a share of what all of
            them have on average: no curve is so steep that single precision cannot
            invert it.
        least_slope: The smallest slope at a knot; the largest is its reciprocal.
    """

    def __init__(self, bins, bound, least_size=0.1, least_slope=1e-2):
        require_argument(bins >= 2, "bins", "at least 2", bins)
        require_argument(bound > 0, "bound", "positive", bound)
        self.bins, self.bound = bins, bound
        self.least_size, self.least_slope = least_size / bins, least_slope
        self.numbers = 3 * bins - 1

    def _knots(self, raw):
        """Returns the places of the knots (..., bins + 1, d) from (..., bins, d)."""
        free = 1.0 - self.least_size * self.bins
        # No `tf.nn.softmax`: XLA does not know how it turns axes in a loop's gradient.
        top = tf.stop_gradient(tf.reduce_max(raw, axis=-2, keepdims=True))
        weight = tf.exp(raw - top)
        share = weight / tf.reduce_sum(weight, axis=-2, keepdims=True)
        share = self.least_size + free * share
        inner = 2.0 * tf.cumsum(share, axis=-2)[..., :-1, :] - 1.0
        end = tf.ones_like(inner[..., :1, :])
        return self.bound * tf.concat([-end, inner, end], axis=-2)

    def _slopes(self, raw):
        one = math.log(math.expm1(1.0 - self.least_slope))
        inner = self.least_slope + tf.nn.softplus(raw + one)
        inner = tf.minimum(inner, 1.0 / self.least_slope)
        end = tf.ones_like(raw[..., :1, :])
        return tf.concat([end, inner, end], axis=-2)

    def _bins(self, raw, values, along):
        """Returns the bin of each value: its two corners, and the slopes there.

        Args:
            raw: The raw parameters.
            values: What is looked up, within the bound.
            along: 0 where the values are x, 1 where they are z.
        """
        shape = tf.concat(
            [tf.shape(values)[:-1], [self.numbers, values.shape[-1]]], axis=0
        )
        raw = tf.reshape(raw, shape)
        parts = tf.split(raw, [self.bins, self.bins, self.bins - 1], axis=-2)
        x, z, slopes = self._knots(parts[0]), self._knots(parts[1]), parts[2]
        slopes = self._slopes(slopes)
        inner = (x, z)[along][..., 1:-1, :]
        above = tf.cast(values[..., None, :] >= inner, values.dtype)
        one = tf.ones_like(above[..., :1, :])
        above = tf.concat([one, above], axis=-2)
        chosen = above - tf.concat([above[..., 1:, :], 0.0 * one], axis=-2)

        def ends(knots):
            return [
                tf.reduce_sum(chosen * part, axis=-2)
                for part in (knots[..., :-1, :], knots[..., 1:, :])
            ]

        return ends(x), ends(z), ends(slopes)

    @staticmethod
    def _log_slope(t, secant, first, last):
        """Returns log dz/dx at the part t of a bin."""
        mixed = t * (1.0 - t)
        top = last * t**2 + 2.0 * secant * mixed + first * (1.0 - t) ** 2
        bottom = secant + (first + last - 2.0 * secant) * mixed
        return 2.0 * tf.math.log(secant) + tf.math.log(top) - 2.0 * tf.math.log(bottom)

    def inverse(self, x, raw):
        """Returns z and log dz/dx."""
        inside = tf.abs(x) < self.bound
        within = tf.clip_by_value(x, -self.bound, self.bound)
        (x0, x1), (z0, z1), (first, last) = self._bins(raw, within, 0)
        secant = (z1 - z0) / (x1 - x0)
        t = (within - x0) / (x1 - x0)
        mixed = t * (1.0 - t)
        bottom = secant + (first + last - 2.0 * secant) * mixed
        z = z0 + (z1 - z0) * (secant * t**2 + first * mixed) / bottom
        log_slope = self._log_slope(t, secant, first, last)
        return tf.where(inside, z, x), tf.where(inside, log_slope, 0.0)

    def forward(self, z, raw):
        """Returns x and log dx/dz."""
        inside = tf.abs(z) < self.bound
        within = tf.clip_by_value(z, -self.bound, self.bound)
        (x0, x1), (z0, z1), (first, last) = self._bins(raw, within, 1)
        secant = (z1 - z0) / (x1 - x0)
        rise = (within - z0) / (z1 - z0)
        bend = first + last - 2.0 * secant
        b = first - rise * bend
        a = secant - b
        c = -secant * rise
        # Positive up to rounding; the floor keeps the square root's slope finite.
        root = tf.sqrt(tf.maximum(b**2 - 4.0 * a * c, 1e-12))
        # Of the solution's two forms the one that adds numbers of the same sign.
        top = tf.where(b < 0.0, root - b, -2.0 * c)
        bottom = tf.where(b < 0.0, 2.0 * a, root + b)
        t = tf.clip_by_value(top / bottom, 0.0, 1.0)
        x = x0 + t * (x1 - x0)
        log_slope = -self._log_slope(t, secant, first, last)
        return tf.where(inside, x, z), tf.where(inside, log_slope, 0.0)
