"""Annealed importance sampling: likelihoods of models that only have bounds."""

import dataclasses
import math

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

_KINDS = ("sigmoidal", "linear", "geometric")


@dataclasses.dataclass(frozen=True)
class Annealed:
    """What the chains of an annealing weigh.

    Attributes:
        log_weights: Array (chains, ...), unbiased estimates of Z in logarithms.
        acceptance: The share of proposals that was accepted, NaN where all are.
    """

    log_weights: np.ndarray
    acceptance: float = math.nan

    @property
    def value(self):
        """The logarithm of the mean weight: log Z, or less by Jensen's inequality."""
        return logsumexp(self.log_weights, axis=0) - math.log(len(self.log_weights))

    @property
    def effective_sample_size(self):
        """How many equal weights would spread as these: (sum w)^2 / sum w^2."""
        both = (
            logsumexp(self.log_weights, axis=0),
            logsumexp(2.0 * self.log_weights, axis=0),
        )
        return np.exp(2.0 * both[0] - both[1])

    @property
    def standard_error(self):
        """Of the value over other chains; too small where few chains hold it all."""
        chains = len(self.log_weights)
        if chains == 1:
            return np.full(self.log_weights.shape[1:], math.nan)
        # Rounding puts equal weights below zero.
        spread = np.maximum(1.0 / self.effective_sample_size - 1.0 / chains, 0.0)
        return np.sqrt(spread * (chains / (chains - 1.0)))


class GeometricPath:
    """From a density that is known to one that is wanted, by their powers.

    log f_t(s) = (1 - t) log base(s) + t log target(s)

    Neither needs to be normalised. A path of your own has the same two methods; that of
    a restricted Boltzmann machine, say, has the hidden units summed out.

    Args:
        log_base: A function from states to log-densities, whose normaliser is known
            and from which the first states are drawn.
        log_target: Another one, whose normaliser is wanted.

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
            state: What the densities take.
            temperature: t, from 0, the base, to 1, the target.
        """
        base, target = self.log_base(state), self.log_target(state)
        return (1.0 - temperature) * base + temperature * target

    def increment(self, state, before, after):
        """Returns log f_after(s) - log f_before(s), without cancellation.

        Args:
            state: What the densities take.
            before: One temperature.
            after: The next.
        """
        return (after - before) * (self.log_target(state) - self.log_base(state))


def annealing_schedule(steps, kind="sigmoidal", sharpness=4.0):
    """Returns temperatures from 0 to 1, (steps + 1,).

    Args:
        steps: How many transitions.
        kind: `"sigmoidal"`, dense at both ends, where weights spread most; `"linear"`;
            or `"geometric"`, dense where the base is left: zero, and powers from 1e-4.
            Defaults to `"sigmoidal"`.
        sharpness: Of the sigmoid. Defaults to `4.0`.

    Example:

    >>> annealing_schedule(4, "linear")
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])

    Reference: [Wu et al., 2017](https://arxiv.org/abs/1611.04273)
    """
    _require(steps > 0, "steps", "positive", steps)
    _require(kind in _KINDS, "kind", f"one of {', '.join(map(repr, _KINDS))}", kind)
    if kind == "linear":
        return np.linspace(0.0, 1.0, steps + 1)
    if kind == "geometric":
        return np.concatenate([[0.0], np.geomspace(1.0, 1e-4, steps)[::-1]])
    curve = np.tanh(0.5 * sharpness * np.linspace(-1.0, 1.0, steps + 1))
    return (curve - curve[0]) / (curve[-1] - curve[0])


def anneal(path, transition, state, temperatures, seed=0):
    """Carries states from the base to the target; returns log-weights and states.

    log w = sum_t log f_t(s_t) - log f_(t-1)(s_t), s_(t+1) ~ transition at t of s_t

    The mean of w over chains estimates Z_target / Z_base without bias, whatever the
    transitions, as long as each leaves its own f_t as it is: Gibbs' for a Boltzmann
    machine, Hamiltonian ones for a decoder. All of it is TensorFlow, so that it may
    stand inside a `tf.function`.

    Args:
        path: A `GeometricPath`, or what has its two methods.
        transition: A function (state, index, temperature, seed) to a state, with a
            stateless seed of shape (2,). It sees temperatures 1 to the last by index.
        state: Draws from the base: a tensor, or a nest of them.
        temperatures: Increasing vector from 0 to 1, as `annealing_schedule` gives.
        seed: Integer or stateless seed of shape (2,). Defaults to `0`.

    Example: the integral of exp(-2 s^2), from that of exp(-s^2 / 2), sqrt(2 pi).

    >>> path = GeometricPath(lambda s: -s**2 / 2, lambda s: -2 * s**2)
    >>> def draw(s, index, t, seed):
    ...     return tf.random.stateless_normal(s.shape, seed) / tf.sqrt(1 + 3 * t)
    >>> start = tf.random.stateless_normal((1000,), (0, 0))
    >>> log_weights, _ = anneal(path, draw, start, annealing_schedule(50))
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
        lambda index, *_: index < len(temperatures),
        step,
        (1, state, tf.zeros_like(first, "float64")),
        parallel_iterations=1,
    )
    return log_weights, state


def hamiltonian_transition(log_prob, z, step_size, seed, leapfrogs=10):
    """Returns states that Hamiltonian dynamics moved, and their odds of acceptance.

    Momenta are drawn anew, followed for some leapfrogs, and the end is accepted with
    probability exp(H_start - H_end), so that the density stays as it is.

    Args:
        log_prob: A function from states (..., dims) to log-densities (...).
        z: States (..., dims).
        step_size: A number, or a tensor (..., 1).
        seed: A stateless seed of shape (2,).
        leapfrogs: How many steps. Defaults to `10`.

    Reference: [Neal, 2011](https://arxiv.org/abs/1206.1901)
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    momentum = tf.random.stateless_normal(tf.shape(z), seeds[0])

    def value_and_slope(z):
        # A tensor of its own: TensorFlow Probability's bijectors remember what they
        # computed for the same one outside of the tape, which would miss it.
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
    """Returns log p(x) of each example under a decoder and its prior, an `Annealed`.

    p(x) = E_p(z)[p(x|z)], by chains from the prior to the posterior p(z|x).

    It needs no encoder, and where one is poor it comes nearer than `iwae`: a lower
    bound in expectation still, which tends to log p(x) with more steps. Chains that
    stay in one of several modes make it too low, and its standard error too small.

    The step size of each temperature and example is found by a pilot run, towards 65 %
    of acceptance, and then held: a step size that follows its own chain's past would
    spoil the weights.

    Args:
        model: What has a `prior` over vectors and `likelihood(z)`, distributions of
            TensorFlow Probability: a `models.VAE`. One with `prior_given(context)`
            is asked for that, where there is a context.
        x: Examples.
        context: What they are conditioned on. Defaults to `None`.
        likelihood: A function from codes to a distribution of data, for a model that
            has none of its own, such as a generator with Gaussian noise. Defaults to
            `None`, the model's.
        steps: How many temperatures follow the prior. Defaults to `500`.
        chains: How many for each example. Defaults to `16`.
        leapfrogs: Steps of each Hamiltonian transition. Defaults to `10`.
        schedule: As for `annealing_schedule`. Defaults to `"sigmoidal"`.
        pilot_chains: Chains of the pilot run. Defaults to `4`.
        batch_size: Examples at once. Defaults to `100`.
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
        _require(value > 0, name, "positive", value)
    _require(leapfrogs > 0, "leapfrogs", "positive", leapfrogs)
    if likelihood is None and not hasattr(model, "likelihood"):
        raise ValueError(
            f"`{type(model).__name__}` has no likelihood of its own. Give `likelihood`,"
            " a function from codes to a distribution of data."
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
    return Annealed(log_weights, float(np.mean([odds for _, odds in parts])))


class _Posterior:
    """The path from prior to posterior of a batch, for codes (chains, batch, dims)."""

    def __init__(self, model, likelihood, x, context):
        self.x, self.context = x, context
        conditional = context is not None and hasattr(model, "prior_given")
        self.prior = model.prior_given(context) if conditional else model.prior
        self.given = likelihood or model.likelihood
        self.event_rank = len(x.shape) - 1
        self.path = GeometricPath(self.prior.log_prob, self.joint)

    def draw(self, chains, seed):
        """Returns codes from the prior."""
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
    """Returns the logarithm of a step size for each temperature and example."""
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
    log_weights, (_, total) = anneal(path, move, start, temperatures, seeds[1])
    return log_weights, total / float(len(temperatures) - 1)


class _First:
    """A path of states that carry more than what the densities take."""

    def __init__(self, path):
        self.path = path

    def increment(self, state, before, after):
        return self.path.increment(state[0], before, after)


# Where the pilot's step sizes go, and how fast: from one temperature to the next at
# most by a twentieth.
_ACCEPTED, _RATE = 0.65, 0.08


def _stateless(seed):
    seed = tf.cast(tf.convert_to_tensor(seed), "int64")
    return tf.stack([seed, tf.zeros_like(seed)]) if not seed.shape.rank else seed


def _require(good, name, what, value):
    if not good:
        raise ValueError(f"Argument `{name}` must be {what}. Received: {name}={value}")
