"""Gibbs chains, tempering and annealing of machines that can be enumerated."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp

from keras_gen import losses, samplers

EVERY = np.array(list(itertools.product([0.0, 1.0], repeat=4)), "float32")


def machine(scale=1.0, visible=4, hidden=3, seed=0, **more):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(0.0, scale, (visible, hidden))
    biases = rng.normal(0.0, 0.5, visible), rng.normal(0.0, 0.5, hidden)
    parts = [tf.constant(x, "float32") for x in (kernel, *biases)]
    return samplers.BipartitePath(losses.BernoulliUnits(), *parts, **more)


def odds(path, temperature=1.0):
    nats = path.log_prob(path.state(tf.constant(EVERY)), temperature)
    nats = nats.numpy().astype(float)
    return np.exp(nats - logsumexp(nats))


def counts(s):
    codes = np.asarray(s) @ 2 ** np.arange(s.shape[1])[::-1]
    return np.bincount(codes.astype(int), minlength=2 ** s.shape[1])


def assert_drawn_from(s, p):
    # By chance once in 10,000 seeds.
    assert stats.chisquare(counts(s), p * len(s)).pvalue > 1e-4


def test_the_path_is_a_sum_over_hidden_units():
    base = tf.constant([0.3, -0.2, 0.1, 0.0])
    path, t = machine(base_bias=base), 0.3
    kernel, a, c = (x.numpy() for x in (path.kernel, path.bias, path.hidden_bias))
    h = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    bias = (1 - t) * base.numpy() + t * a
    joint = EVERY @ bias + t * (h @ c)[:, None] + t * (h @ kernel.T @ EVERY.T)
    found = path.log_prob(path.state(tf.constant(EVERY)), t)
    np.testing.assert_allclose(found, logsumexp(joint, axis=0), rtol=1e-5)


def test_the_start_of_the_path_is_known():
    path = machine(base_bias=tf.constant([0.3, -0.2, 0.1, 0.0]))
    nats = path.log_prob(path.state(tf.constant(EVERY)), 0.0)
    assert float(path.log_base) == pytest.approx(logsumexp(nats), rel=1e-6)
    assert_drawn_from(path.start(4000, (0, 1))[0], odds(path, 0.0))


def test_increments_are_differences():
    path = machine(base_bias=tf.zeros(4))
    state = path.state(tf.constant(EVERY))
    difference = path.log_prob(state, 0.9) - path.log_prob(state, 0.2)
    found = path.increment(state, 0.2, 0.9)
    np.testing.assert_allclose(found, difference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_chains_end_at_the_distribution(temperature):
    path = machine(base_bias=tf.zeros(4))

    @tf.function
    def draw():
        def update(state, index, seed):
            return path.transition(state, index, temperature, seed)

        return samplers.block_gibbs(update, path.start(4000, (0, 1)), 50, (0, 2))

    assert_drawn_from(draw()[0], odds(path, temperature))


def test_longer_chains_go_on_from_shorter_ones():
    path = machine()

    def update(state, index, seed):
        return path.transition(state, index, 1.0, seed)

    start = path.start(5, (0, 1))
    short = samplers.block_gibbs(update, start, 3, (0, 2))
    again = samplers.block_gibbs(
        lambda state, index, seed: update(
            state, index, tf.random.experimental.stateless_fold_in((0, 2), index + 3)
        ),
        short,
        2,
        (9, 9),
    )
    long = samplers.block_gibbs(update, start, 5, (0, 2))
    np.testing.assert_array_equal(long[0], again[0])


def two_modes(strength=10.0):
    """Returns a machine that has all units on, or all off, with equal odds."""
    kernel = tf.fill((4, 3), strength)
    bias = tf.fill((4,), -1.5 * strength)
    hidden = tf.fill((3,), -2.0 * strength)
    return samplers.BipartitePath(losses.BernoulliUnits(), kernel, bias, hidden)


def test_tempering_leaves_the_mode_in_which_a_chain_stays():
    path = two_modes()
    path.base_bias = tf.zeros(4)
    levels = np.linspace(0.0, 1.0, 8)
    n = 1000

    @tf.function
    def draw():
        on = path.state(tf.ones((8 * n, 4)))
        alone = samplers.block_gibbs(
            lambda state, i, seed: path.transition(state, i, 1.0, seed),
            path.state(tf.ones((n, 4))),
            200,
            (0, 1),
        )
        together, accepted = samplers.parallel_tempering(path, on, levels, 200, (0, 2))
        return alone[0], together[0], accepted

    alone, together, accepted = draw()
    assert counts(alone)[-1] == n
    assert (accepted.numpy() > 0.05).all() and (accepted.numpy() <= 1.0).all()
    coldest = counts(together[-n:])
    assert coldest[0] + coldest[-1] > 0.95 * n
    # By chance once in 10,000 seeds.
    assert stats.binomtest(int(coldest[-1]), int(coldest[[0, -1]].sum())).pvalue > 1e-4
    assert_drawn_from(together[:n], odds(path, 0.0))


def test_tempering_takes_two_temperatures():
    path = machine()
    with pytest.raises(ValueError, match="`temperatures` must be at least two"):
        samplers.parallel_tempering(path, path.start(3, (0, 0)), [1.0], 1, (0, 0))


@pytest.mark.parametrize("from_exact", [False, True])
def test_annealing_from_both_ends_brackets_the_sum(from_exact):
    path = machine(0.7, visible=10, hidden=20, base_bias=tf.zeros(10))
    every = np.array(list(itertools.product([0.0, 1.0], repeat=10)), "float32")
    nats = path.log_prob(path.state(tf.constant(every)), 1.0).numpy()
    exact, start, settle = logsumexp(nats), None, 100
    if from_exact:
        p = np.exp(nats - exact)
        chosen = np.random.default_rng(0).choice(1024, 100, p=p / p.sum())
        start, settle = path.state(tf.constant(every[chosen])), 0
    found = samplers.bracket_log_partition(path, 1000, start=start, settle=settle)
    # What is asked of a machine of 20 hidden units; ten times the standard errors.
    assert abs(found.lower - exact) < 0.3 and abs(found.upper - exact) < 0.3
    assert found.forward.standard_error < 0.03 > found.backward.standard_error
    assert found.width == pytest.approx(found.upper - found.lower)


def test_few_temperatures_leave_a_wide_bracket_on_the_right_sides():
    path = machine(1.5, visible=10, hidden=20, base_bias=tf.zeros(10))
    every = np.array(list(itertools.product([0.0, 1.0], repeat=10)), "float32")
    nats = path.log_prob(path.state(tf.constant(every)), 1.0).numpy()
    p = np.exp(nats - logsumexp(nats))
    chosen = np.random.default_rng(0).choice(1024, 50, p=p / p.sum())
    start = path.state(tf.constant(every[chosen]))
    found = samplers.bracket_log_partition(path, 3, 50, start=start, settle=0)
    assert found.lower < logsumexp(nats) < found.upper
    assert found.width > 0.5 and found.deviation > 1.0
