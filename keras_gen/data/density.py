"""Two-dimensional densities in closed form: the truth that a model can be held to."""

import functools
import math

import numpy as np
import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_int
from keras_gen.data.memory import in_memory
from keras_gen.data.source import Source, finish

DENSITIES = ("moons", "rings", "grid25", "ring8", "checkerboard")


class Density2D:
    """An equal mixture of isotropic 2-D Gaussians.

    log p(x) = log mean_k N(x; means_k, sigma^2 I)

    A few far means give separate modes; many close ones draw a curve. Density,
    samples and entropy are all known, so that a trained flow can be held to its
    entropy in nats and a GAN to the modes it should have found.

    - `moons`: two interleaving half circles, sigma 0.1.
    - `rings`: circles of radius 1, 2 and 3, mass by length, sigma 0.08.
    - `grid25`: 25 modes on a 5 x 5 grid with spacing 2, sigma 0.05.
    - `ring8`: 8 modes on the unit circle, sigma 0.01.
    - `checkerboard`: uniform on the 32 black squares of a board on [-4, 4]^2.

    Args:
        means: The centers of the Gaussians, of shape (K, 2).
        sigma: Their standard deviation.
        name: What to call it. Defaults to `"density"`.
        modes: Whether the means are modes rather than points on a curve. Defaults
            to `True`.

    Attributes:
        name: What it is called.
        sigma: The standard deviation, `None` for the checkerboard.
        centers: The modes, of shape (K, 2), or `None` where there are none.
        bounds: `((x0, x1), (y0, y1))`, a window that shows nearly all the mass.

    Example:

    >>> density = keras_gen.data.Density2D.named("grid25")
    >>> x = density.sample(1000, seed=1)
    >>> estimate = -float(keras.ops.mean(density.log_prob(x)))
    >>> abs(estimate - density.entropy) < 0.2
    True
    """

    def __init__(self, means, sigma, name="density", *, modes=True):
        """Makes a mixture; `named` gives the known ones."""
        means = np.asarray(means, "float64")
        self.name = name
        self.sigma = sigma
        self.centers = means if modes else None
        low, high = means.min(axis=0), means.max(axis=0)
        margin = 5 * sigma + 0.05 * (high - low)
        low, high = low - margin, high + margin
        self.bounds = tuple(
            (float(a), float(b)) for a, b in zip(low, high, strict=True)
        )
        self._means = means

    @staticmethod
    def named(name):
        """Returns the density called `name`, one of `DENSITIES`."""
        if name not in _MAKERS:
            raise ValueError(
                f"Argument `name` must be one of {', '.join(DENSITIES)}. "
                f"Received: name={name!r}"
            )
        return _MAKERS[name]()

    def log_prob(self, x):
        """Returns the log density in nats of points of shape (..., 2)."""
        x = ops.convert_to_tensor(x, "float32")[..., None, :]
        means = ops.convert_to_tensor(self._means, "float32")
        energy = ops.sum(ops.square((x - means) / self.sigma), axis=-1) / 2
        return ops.logsumexp(-energy, axis=-1) - self._log_normalizer()

    def sample(self, n, seed):
        """Draws n points, the same ones whenever the seed is the same.

        Args:
            n: How many points.
            seed: An integer, or a pair of them as TensorFlow's stateless draws take.

        Returns:
            A float32 tensor of shape (n, 2).
        """
        which, where = _split(seed)
        index = tf.random.stateless_uniform(
            (n,), which, 0, len(self._means), tf.int32, "philox"
        )
        noise = tf.random.stateless_normal((n, 2), where, alg="philox")
        means = tf.constant(self._means, tf.float32)
        return tf.gather(means, index) + self.sigma * noise

    @functools.cached_property
    def entropy(self):
        """The entropy in nats: the loss of a perfect model.

        Gauss-Hermite quadrature about every mean, in double precision.
        """
        nodes, weights = np.polynomial.hermite_e.hermegauss(10)
        grid = self.sigma * np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
        weights = np.outer(weights, weights).ravel() / (2 * math.pi)
        terms = [weights @ self._exact_log_prob(mean + grid) for mean in self._means]
        return -float(np.mean(terms))

    def _exact_log_prob(self, x):
        steps = (x[:, None] - self._means) / self.sigma
        energy = np.sum(np.square(steps), axis=-1) / 2
        least = energy.min(axis=1)
        total = np.exp(least[:, None] - energy).sum(axis=1)
        return np.log(total) - least - self._log_normalizer()

    def _log_normalizer(self):
        return math.log(len(self._means)) + math.log(2 * math.pi * self.sigma**2)


class _Checkerboard(Density2D):
    """Uniform on the squares of [-4, 4]^2 where floor(x) + floor(y) is even."""

    name = "checkerboard"
    sigma = None
    centers = None
    bounds = ((-4.5, 4.5), (-4.5, 4.5))
    entropy = math.log(32)

    def __init__(self):
        # Nothing to set: the board has no means.
        pass

    def log_prob(self, x):
        x = ops.convert_to_tensor(x, "float32")
        on_board = ops.all((x >= -4) & (x < 4), axis=-1)
        black = ops.equal(ops.mod(ops.sum(ops.floor(x), axis=-1), 2), 0)
        return ops.where(on_board & black, -math.log(32), -math.inf)

    def sample(self, n, seed):
        which, where = _split(seed)
        square = tf.random.stateless_uniform((n,), which, 0, 32, tf.int32, "philox")
        column, row = square // 4, square % 4
        corner = tf.stack([column - 4, 2 * row + column % 2 - 4], axis=-1)
        inside = tf.random.stateless_uniform((n, 2), where, alg="philox")
        return tf.cast(corner, tf.float32) + inside


def _split(seed):
    seed = tf.cast(seed, tf.int64)
    pair = tf.stack([seed, tf.zeros_like(seed)]) if seed.shape.rank == 0 else seed
    return tf.unstack(tf.random.split(pair, 2, alg="philox"))


def _moons():
    t = np.linspace(0, np.pi, 128)
    outer = np.stack([np.cos(t), np.sin(t)], axis=-1)
    return Density2D(
        np.concatenate([outer, [1.0, 0.5] - outer]), 0.1, "moons", modes=False
    )


def _circle(points, radius=1.0):
    t = np.arange(points) * (2 * np.pi / points)
    return radius * np.stack([np.cos(t), np.sin(t)], axis=-1)


def _rings():
    # 80 points for each unit of radius: closer than sigma, hence smooth.
    circles = [_circle(80 * radius, radius) for radius in (1, 2, 3)]
    return Density2D(np.concatenate(circles), 0.08, "rings", modes=False)


def _grid25():
    axis = np.arange(-4.0, 5.0, 2.0)
    means = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return Density2D(means, 0.05, "grid25")


_MAKERS = {
    "moons": _moons,
    "rings": _rings,
    "grid25": _grid25,
    "ring8": lambda: Density2D(_circle(8), 0.01, "ring8"),
    "checkerboard": _Checkerboard,
}


class DensitySource(Source):
    """Points drawn from a density: every training step draws new ones.

    `once` and `arrays` give a fixed sample, so that an evaluation can be repeated.

    Args:
        density: A `Density2D`.
        stream: Which of the independent streams of points; a split has its own.
        examples: How many points count as one pass. Defaults to 25,600.
    """

    def __init__(self, density, stream=0, examples=25_600):
        """Makes a source; `keras_gen.data.load` gives the known densities."""
        self.density = density
        self._stream = stream
        read = in_memory(self._fixed(examples))
        super().__init__(read, examples, (2,), name=density.name)

    def batches(self, batch_size, *, seed=0, start=0, labels=False):
        """Returns an endless dataset of new points, a function of (seed, step)."""
        self.steps_per_epoch(batch_size)
        self._check(labels)
        require_int("seed", seed)
        require_int("start", start, least=0)

        def draw(step):
            pair = tf.constant([seed, self._stream], tf.int64)
            pair = tf.random.fold_in(pair, step, alg="philox")
            return self.density.sample(batch_size, pair)

        steps = tf.data.Dataset.counter(start)
        return finish(steps.map(draw, num_parallel_calls=tf.data.AUTOTUNE))

    def arrays(self, n=None, *, labels=False):
        """Returns n points of the fixed sample; n may exceed `examples`."""
        self._check(labels)
        return self._fixed(self.examples if n is None else require_int("n", n, least=1))

    def _fixed(self, n):
        with tf.device("CPU:0"):
            return self.density.sample(n, (self._stream, 25_600)).numpy()
