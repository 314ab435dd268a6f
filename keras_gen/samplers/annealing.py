"""Annealed importance sampling: likelihoods of models that only have bounds."""

import dataclasses
import math

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

from keras_gen.arguments import require_argument, require_one_of

_KINDS = ("sigmoidal", "linear", "geometric")


@dataclasses.dataclass(frozen=True)
class AISResult:
    """The weights of annealed importance sampling's chains.

    Attributes:
        log_weights: Array (chains, ...), logarithms of unbiased estimates of Z.
        acceptance: The share of proposals that was accepted; NaN for transitions that
            accept all.
    """

    log_weights: np.ndarray
    acceptance: float = math.nan

    @property
    def value(self):
        """The logarithm of the mean weight: log Z, in expectation at most (Jensen)."""
        return logsumexp(self.log_weights, axis=0) - math.log(len(self.log_weights))

    @property
    def effective_sample_size(self):
        """How many equal weights have this variance: (sum w)^2 / sum w^2."""
        both = (
            logsumexp(self.log_weights, axis=0),
            logsumexp(2.0 * self.log_weights, axis=0),
        )
        return np.exp(2.0 * both[0] - both[1])

    @property
    def standard_error(self):
        """That of the value over other chains; too small where few chains dominate."""
        chains = len(self.log_weights)
        if chains == 1:
            return np.full(self.log_weights.shape[1:], math.nan)
        # Rounding puts equal weights below zero.
        spread = np.maximum(1.0 / self.effective_sample_size - 1.0 / chains, 0.0)
        return np.sqrt(spread * (chains / (chains - 1.0)))


class GeometricPath:
    """The geometric path between a normalized density and an unnormalized one.

    log f_t(s) = (1 - t) log base(s) + t log target(s)

    Neither needs to be normalized. Any object with the same two methods can stand in
    for it: that of a restricted Boltzmann machine, say, sums out the hidden units.

    Args:
        log_base: A function from states to log-densities, whose normalizer is known
            and from which the first states are drawn.
        log_target: Another one, whose normalizer is to be estimated.

    Example:

    >>> path = GeometricPath(lambda s: -s, lambda s: -3.0 * s)
    >>> path.log_prob(2.0, 0.5), path.increment(2.0, 0.0, 0.5)
    (-4.0, -2.0)
    """

    def __init__(self, log_base, log_target):
        self.log_base, self.log_target = log_base, log_target

    def log_prob(self, state, temperature):
        """Returns log f_t of states, up to a constant.

        Args:
            state: The densities' argument.
            temperature: t, from 0, the base, to 1, the target.
        """
        base, target = self.log_base(state), self.log_target(state)
        return (1.0 - temperature) * base + temperature * target

    def increment(self, state, before, after):
        """Returns log f_after(s) - log f_before(s), without rounding by cancellation.

        Args:
            state: The densities' argument.
            before: One temperature.
            after: The next.
        """
        return (after - before) * (self.log_target(state) - self.log_base(state))


def annealing_schedule(steps, kind="sigmoidal", sharpness=4.0):
    """Returns temperatures from 0 to 1, (steps + 1,).

    Args:
        steps: The number of transitions.
        kind: `"sigmoidal"`, dense at both ends, where the weights' variance grows most;
            `"linear"`; or `"geometric"`, dense near the base: 0, and a geometric
            sequence from 1e-4 to 1. Defaults to `"sigmoidal"`.
        sharpness: The sigmoid's slope. Defaults to `4.0`.

    Example:

    >>> annealing_schedule(4, "linear")
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])

    Reference: [Wu et al., 2017](https://arxiv.org/abs/1611.04273)
    """
    require_argument(steps > 0, "steps", "positive", steps)
    require_one_of("kind", kind, _KINDS)
    if kind == "linear":
        return np.linspace(0.0, 1.0, steps + 1)
    if kind == "geometric":
        return np.concatenate([[0.0], np.geomspace(1.0, 1e-4, steps)[::-1]])
    curve = np.tanh(0.5 * sharpness * np.linspace(-1.0, 1.0, steps + 1))
    return (curve - curve[0]) / (curve[-1] - curve[0])


def run_ais(path, transition, state, temperatures, seed=0):
    """Moves states from the base to the target; returns log-weights and states.

    log w = sum_t log f_t(s_t) - log f_(t-1)(s_t), s_(t+1) ~ transition at t of s_t

    The mean of w over chains is an unbiased estimate of Z_target / Z_base for any
    transitions that leave f_t invariant: Gibbs sampling for a Boltzmann machine,
    Hamiltonian Monte Carlo for a decoder. It can run inside a `tf.function`.

    TensorFlow Probability's `sample_annealed_importance_chain` has a linear schedule
    only and one step size for all temperatures, hence this one.

    Args:
        path: A `GeometricPath`, or an object with its two methods.
        transition: A function (state, index, temperature, seed) to a state, with a
            stateless seed of shape (2,). `index` counts temperatures, from 1.
        state: Draws from the base: a tensor, or a nest of them.
        temperatures: Increasing vector from 0 to 1, as `annealing_schedule` gives; or
            one from 1 to 0, with samples of the target to start from, for an estimate
            of Z_base / Z_target.
        seed: Integer or stateless seed of shape (2,). Defaults to `0`.

    Example: the integral of exp(-2 s^2), from that of exp(-s^2 / 2), sqrt(2 pi).

    >>> path = GeometricPath(lambda s: -s**2 / 2, lambda s: -2 * s**2)
    >>> def draw(s, index, t, seed):
    ...     return tf.random.stateless_normal(s.shape, seed) / tf.sqrt(1 + 3 * t)
    >>> start = tf.random.stateless_normal((1000,), (0, 0))
    >>> log_weights, _ = run_ais(path, draw, start, annealing_schedule(50))
    >>> bool(abs(np.log(np.mean(np.exp(log_weights))) - np.log(0.5)) < 0.02)
    True

    Reference: [Neal, 2001](https://arxiv.org/abs/physics/9803008)
    """
    temperatures = tf.convert_to_tensor(np.asarray(temperatures, "float32"))
    seed = _stateless(seed)

    def step(index, state, log_weights):
        before, now = temperatures[index - 1], temperatures[index]
        gained = path.increment(state, before, now)
        fold = tf.random.experimental.stateless_fold_in(seed, index)
        state = transition(state, index, now, fold)
        return index + 1, state, log_weights + tf.cast(gained, "float64")

    first = path.increment(state, temperatures[0], temperatures[0])
    _, state, log_weights = tf.while_loop(
        lambda index, *_: index < temperatures.shape[0],
        step,
        (1, state, tf.zeros_like(first, "float64")),
        parallel_iterations=1,
    )
    return log_weights, state


def hamiltonian_transition(log_prob, z, step_size, seed, leapfrogs=10):
    """Returns the states after a Hamiltonian transition, and acceptance probabilities.

    Momenta are redrawn, leapfrog steps follow, and the end point is accepted with
    probability min(1, exp(H_start - H_end)), which leaves the density invariant.

    Args:
        log_prob: A function from states (..., dims) to log-densities (...).
        z: States (..., dims).
        step_size: A number, or a tensor (..., 1).
        seed: A stateless seed of shape (2,).
        leapfrogs: The number of leapfrog steps. Defaults to `10`.

    Reference: [Neal, 2011](https://arxiv.org/abs/1206.1901)
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    momentum = tf.random.stateless_normal(tf.shape(z), seeds[0])

    def value_and_slope(z):
        # A new tensor: TensorFlow Probability's bijectors cache results by tensor, and
        # one cached outside the tape would have no gradient.
        z = tf.identity(z)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            value = log_prob(z)
        return value, tape.gradient(value, z)

    def energy(value, momentum):
        return 0.5 * tf.reduce_sum(tf.square(momentum), axis=-1) - value

    def leap(index, z, momentum, value, slope):
        momentum += 0.5 * step_size * slope
        z += step_size * momentum
        value, slope = value_and_slope(z)
        return index + 1, z, momentum + 0.5 * step_size * slope, value, slope

    value, slope = value_and_slope(z)
    before = energy(value, momentum)
    _, moved, momentum, value, _ = tf.while_loop(
        lambda index, *_: index < leapfrogs,
        leap,
        (0, z, momentum, value, slope),
        parallel_iterations=1,
    )
    odds = tf.exp(tf.minimum(before - energy(value, momentum), 0.0))
    odds = tf.where(tf.math.is_finite(odds), odds, 0.0)
    accepted = tf.random.stateless_uniform(tf.shape(odds), seeds[1]) < odds
    return tf.where(accepted[..., None], moved, z), odds


def annealed_importance_sampling(
    model,
    x,
    context=None,
    likelihood=None,
    steps=500,
    chains=16,
    leapfrogs=10,
    schedule="sigmoidal",
    pilot_chains=4,
    batch_size=100,
    seed=0,
):
    """Returns log p(x) of each example under a decoder and its prior, an `AISResult`.

    p(x) = E_p(z)[p(x|z)], by chains from the prior to the posterior p(z|x).

    It needs no encoder, and is tighter than `iwae` where the encoder is poor. It is
    still a lower bound in expectation, and tends to log p(x) with more steps. Chains
    that stay in one of several modes make it too low, its standard error too small.

    A pilot run adapts the step size of each temperature and example toward 65 %
    acceptance; it is then fixed, since adapting it to a chain's own past would bias
    the weights.

    Args:
        model: An object with a `prior` over vectors and `likelihood(z)`, distributions
            of TensorFlow Probability, such as a `models.VAE`. Where there is a context
            and the model has `prior_given(context)`, that is the prior.
        x: Examples.
        context: The examples' contexts. Defaults to `None`.
        likelihood: A function from latents to a distribution of data, for a model that
            has none of its own, such as a generator with Gaussian noise. Defaults to
            `None`: the model's.
        steps: The number of temperatures after the prior's. Defaults to `500`.
        chains: Chains per example. Defaults to `16`.
        leapfrogs: Leapfrog steps of a Hamiltonian transition. Defaults to `10`.
        schedule: The `kind` of `annealing_schedule`. Defaults to `"sigmoidal"`.
        pilot_chains: Chains of the pilot run. Defaults to `4`.
        batch_size: Examples per batch. Defaults to `100`.
        seed: Integer. Defaults to `0`.

    Example:

    >>> vae = models.VAE(*networks.mlp_autoencoder((8, 8, 1), latent_dim=2))
    >>> x = data.load("digits", "test", limit=3).arrays()
    >>> found = annealed_importance_sampling(vae, x, steps=20, chains=4)
    >>> found.value.shape, bool((found.standard_error < 1.0).all())
    ((3,), True)

    Reference: [Wu et al., 2017](https://arxiv.org/abs/1611.04273)
    """
    for name, value in (("chains", chains), ("pilot_chains", pilot_chains)):
        require_argument(value > 0, name, "positive", value)
    require_argument(leapfrogs > 0, "leapfrogs", "positive", leapfrogs)
    if likelihood is None and not hasattr(model, "likelihood"):
        raise ValueError(
            f"`{type(model).__name__}` has no likelihood of its own. Give `likelihood`,"
            " a function from latents to a distribution of data."
        )
    temperatures = annealing_schedule(steps, schedule)

    @tf.function(reduce_retracing=True)
    def run(x, context, seed):
        target = _Posterior(model, likelihood, x, context)
        seeds = tf.random.experimental.stateless_split(seed, 2)
        log_steps = _pilot(target, temperatures, pilot_chains, leapfrogs, seeds[0])
        return _chains(target, temperatures, chains, leapfrogs, seeds[1], log_steps)

    x = np.asarray(x, "float32")
    parts = []
    for i in range(0, len(x), batch_size):
        asked = slice(i, i + batch_size)
        given = None if context is None else model.as_context(context)[asked]
        parts.append(run(tf.constant(x[asked]), given, _stateless(seed) + [0, i]))
    log_weights = np.concatenate([part.numpy() for part, _ in parts], axis=1)
    return AISResult(log_weights, float(np.mean([odds for _, odds in parts])))


class _Posterior:
    """The path from a batch's prior to its posterior, of (chains, batch, dims)."""

    def __init__(self, model, likelihood, x, context):
        self.x, self.context = x, context
        conditional = context is not None and hasattr(model, "prior_given")
        self.prior = model.prior_given(context) if conditional else model.prior
        self.given = likelihood or model.likelihood
        self.event_rank = len(x.shape) - 1
        self.path = GeometricPath(self.prior.log_prob, self.joint)

    def draw(self, chains, seed):
        """Returns latents from the prior."""
        batch = tf.shape(self.x)[0]
        shape = [chains] if self.prior.batch_shape.rank else [chains, batch]
        return self.prior.sample(shape, seed=tf.cast(seed, "int32"))

    def joint(self, z):
        """Returns log p(x, z)."""
        chains = tf.shape(z)[0]
        flat = tf.reshape(z, (-1, z.shape[-1]))
        extra = ()
        if self.context is not None:
            extra = (_tiled(self.context, chains),)
        log_likelihood = self.given(flat, *extra).log_prob(_tiled(self.x, chains))
        axes = tf.range(1, tf.rank(log_likelihood))
        log_likelihood = tf.reduce_sum(log_likelihood, axis=axes)
        return self.prior.log_prob(z) + tf.reshape(log_likelihood, tf.shape(z)[:2])


def _tiled(x, times):
    return tf.tile(x, tf.concat([[times], tf.ones(tf.rank(x) - 1, "int32")], axis=0))


def _pilot(target, temperatures, chains, leapfrogs, seed):
    """Returns the log step size of each temperature and example."""
    seeds = tf.random.experimental.stateless_split(seed, 2)
    z = target.draw(chains, seeds[0])
    count = len(temperatures)
    temperatures = tf.constant(temperatures, "float32")
    log_step = tf.fill(tf.shape(z)[1:2], -0.5 * math.log(float(z.shape[-1])))
    kept = tf.TensorArray("float32", count, element_shape=log_step.shape)
    kept = kept.write(0, log_step)

    def step(index, z, log_step, kept):
        fold = tf.random.experimental.stateless_fold_in(seeds[1], index)
        temperature = temperatures[index]
        z, odds = hamiltonian_transition(
            lambda z: target.path.log_prob(z, temperature),
            z,
            tf.exp(log_step)[:, None],
            fold,
            leapfrogs,
        )
        log_step += _RATE * (tf.reduce_mean(odds, axis=0) - _ACCEPTED)
        return index + 1, z, log_step, kept.write(index, log_step)

    *_, kept = tf.while_loop(
        lambda index, *_: index < count,
        step,
        (1, z, log_step, kept),
        parallel_iterations=1,
    )
    return kept.stack()


def _chains(target, temperatures, chains, leapfrogs, seed, log_steps):
    """Returns log-weights (chains, batch), and the mean acceptance."""
    seeds = tf.random.experimental.stateless_split(seed, 2)

    def move(state, index, temperature, seed):
        z, total = state
        z, odds = hamiltonian_transition(
            lambda z: target.path.log_prob(z, temperature),
            z,
            tf.exp(log_steps[index])[:, None],
            seed,
            leapfrogs,
        )
        return z, total + tf.reduce_mean(odds)

    path = _First(target.path)
    start = target.draw(chains, seeds[0]), tf.zeros(())
    log_weights, (_, total) = run_ais(path, move, start, temperatures, seeds[1])
    return log_weights, total / float(len(temperatures) - 1)


class _First:
    """A path whose states carry more than the densities' argument."""

    def __init__(self, path):
        self.path = path

    def increment(self, state, before, after):
        return self.path.increment(state[0], before, after)


# The pilot's target acceptance, and its rate: at most a twentieth per temperature.
_ACCEPTED, _RATE = 0.65, 0.08


def _stateless(seed):
    seed = tf.cast(tf.convert_to_tensor(seed), "int64")
    return tf.stack([seed, tf.zeros_like(seed)]) if not seed.shape.rank else seed
