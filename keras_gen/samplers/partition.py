"""The normalizer of a density, bracketed by annealing from both ends."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.samplers.annealing import AISResult, annealing_schedule, run_ais
from keras_gen.samplers.gibbs import block_gibbs


@dataclasses.dataclass(frozen=True)
class PartitionBracket:
    """Estimates of log Z by annealing to a density and away from it.

    Attributes:
        forward: The `AISResult` of Z, by chains that end at the density.
        backward: That of 1 / Z, by chains that start there.
    """

    forward: AISResult
    backward: AISResult

    @property
    def lower(self):
        """The forward estimate: in expectation at most log Z."""
        return float(self.forward.value)

    @property
    def upper(self):
        """The backward estimate: in expectation at least log Z, where its chains
        start from exact samples.
        """
        return -float(self.backward.value)

    @property
    def width(self):
        """The distance of both: how far off either of them may be."""
        return self.upper - self.lower

    @property
    def deviation(self):
        """The standard deviation of log w over the forward chains."""
        return float(np.std(self.forward.log_weights))


def bracket_log_partition(
    path, steps=1000, chains=100, start=None, settle=100, schedule="linear", seed=0
):
    """Returns log Z of the end of a path as a `PartitionBracket`.

    Forward chains start with independent draws at t = 0. Backward chains start with
    samples at t = 1: from `start`, or else from where the forward chains ended, drawn
    in proportion to their weights, in both cases after updates at t = 1. These are no
    exact samples where the chains mix slowly, and the upper bound is then too low: as
    much too low as modes are missing from the start. Start from data to see modes that
    annealing misses.

    Args:
        path: A `BipartitePath`, or an object with its `start`, `log_base`, `increment`
            and `transition`.
        steps: How many temperatures after the first. Defaults to `1000`.
        chains: How many chains, of either direction. Defaults to `100`.
        start: A state of chains near t = 1, such as `path.state(data)`. Defaults to
            `None`: the forward chains' ends.
        settle: How many updates at t = 1 come before the way back. Defaults to `100`.
        schedule: The `kind` of `annealing_schedule`. Defaults to `"linear"`.
        seed: Integer. Defaults to `0`.

    Example:

    >>> path = samplers.BipartitePath(
    ...     losses.BernoulliUnits(), tf.eye(2), tf.zeros(2), tf.zeros(2)
    ... )
    >>> found = samplers.bracket_log_partition(path, steps=50, settle=5)
    >>> exact = 2 * np.log(3 + np.e)  # each pair of units has four states
    >>> bool(abs(found.lower - exact) < 0.1), bool(abs(found.width) < 0.2)
    (True, True)

    Reference: [Grosse et al., 2015](https://arxiv.org/abs/1511.02543)
    """
    steps, chains = require_int("steps", steps, 1), require_int("chains", chains, 1)
    temperatures = annealing_schedule(steps, schedule)
    seeds = [tf.constant([seed, i], "int64") for i in range(4)]

    @functools.partial(tf.function, autograph=False)
    def forward():
        ends = path.start(chains, seeds[0])
        return run_ais(path, path.transition, ends, temperatures, seeds[1])

    @functools.partial(tf.function, autograph=False)
    def backward(state):
        def update(state, index, seed):
            return path.transition(state, index, 1.0, seed)

        state = block_gibbs(update, state, settle, seeds[2])
        return run_ais(path, path.transition, state, temperatures[::-1], seeds[3])[0]

    there, ends = forward()
    if start is None:
        start = _resampled(ends, there.numpy(), seed)
    base = float(path.log_base)
    return PartitionBracket(
        AISResult(there.numpy() + base), AISResult(backward(start).numpy() - base)
    )


def _resampled(states, log_weights, seed):
    """Returns as many states, drawn in proportion to their weights."""
    odds = np.exp(log_weights - log_weights.max())
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(odds), len(odds), p=odds / odds.sum())
    return tf.nest.map_structure(lambda x: tf.gather(x, chosen), states)
