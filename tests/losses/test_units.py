"""Units of Boltzmann machines, as exponential families."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats
from scipy.special import logsumexp

from keras_gen import losses

UNITS = [
    losses.BernoulliUnits(),
    losses.GaussianUnits(0.5),
    losses.CategoricalUnits(3),
]
LOGITS = np.array([[-1.0, 0.5, 2.0, 0.0, -0.3, 0.7]], "float32")


@pytest.mark.parametrize("units", UNITS, ids=repr)
def test_the_mean_is_the_slope_of_the_normalizer(units):
    a = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(a)
        log_z = units.log_partition(a)
    np.testing.assert_allclose(tape.gradient(log_z, a), units.mean(a), rtol=1e-5)


@pytest.mark.parametrize("units", UNITS, ids=repr)
def test_draws_have_the_mean(units):
    n = 4000
    draws = units.draw(tf.repeat(tf.constant(LOGITS), n, axis=0), (0, 1)).numpy()
    error = np.abs(draws.mean(axis=0) - units.mean(LOGITS)[0]) * np.sqrt(n)
    # 4.5 standard errors of 6 numbers: it fails by chance once in 25,000 seeds.
    assert (error < 4.5 * draws.std(axis=0)).all()


@pytest.mark.parametrize("units", [UNITS[0], UNITS[2]], ids=repr)
def test_the_normalizer_is_a_sum_over_all_data(units):
    values = LOGITS.shape[1] // units.numbers
    levels = np.arange(units.levels) / (units.levels - 1)
    every = np.array(list(itertools.product(levels, repeat=values)), "float32")
    s = units.statistics(tf.constant(every))
    expected = logsumexp((s * LOGITS).numpy().sum(axis=1))
    np.testing.assert_allclose(units.log_partition(LOGITS)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(units.values(s), every, atol=1e-7)
    assert not units.energy(s).numpy().any()


def test_the_normalizer_of_real_numbers_is_an_integral():
    units = losses.GaussianUnits(0.5)

    def density(x):
        s = units.statistics(tf.constant([[x]], "float32"))
        return float(tf.exp(0.7 * s[0, 0] - units.energy(s)[0]))

    expected, _ = integrate.quad(density, -6.0, 6.0)
    found = units.log_partition(tf.constant([[0.7]]))[0]
    assert float(found) == pytest.approx(np.log(expected), abs=1e-5)


def test_real_numbers_are_gaussian():
    units = losses.GaussianUnits(0.5)
    x = units.values(units.draw(tf.fill((1000, 1), 3.0), (0, 2), temperature=4.0))
    # By chance once in 10,000 seeds.
    assert stats.kstest(x.numpy()[:, 0], stats.norm(1.5, 1.0).cdf).pvalue > 1e-4


@pytest.mark.parametrize("units", UNITS, ids=repr)
def test_logits_have_the_mean(units):
    mean = units.mean(tf.constant(LOGITS))
    np.testing.assert_allclose(units.mean(units.logits(mean)), mean, rtol=1e-4)
    edge = units.logits(tf.zeros_like(mean))
    assert np.isfinite(edge).all()


def test_arguments():
    with pytest.raises(ValueError, match="`scale` must be positive. Received: scale=0"):
        losses.GaussianUnits(0)
    with pytest.raises(ValueError, match="`levels` must be at least 2. Received"):
        losses.CategoricalUnits(1)
