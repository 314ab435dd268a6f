"""Likelihoods of pixels of many levels."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_gen.losses import Bernoulli, Categorical, Gaussian, LogisticMixture
from keras_gen.losses.quantile import inverse_cdf


def outputs(likelihood, channels, seed=0, scale=2.0):
    """Returns random outputs of one pixel."""
    shape = (1, 1, 1, likelihood.outputs(channels))
    return np.random.default_rng(seed).normal(0.0, scale, shape).astype("float32")


def all_pixels(levels, channels):
    """Returns every pixel of so many colors, one by one."""
    values = np.arange(levels) / (levels - 1)
    pixels = list(itertools.product(values, repeat=channels))
    return np.array(pixels, "float32")[:, None, None]


def masses(likelihood, given, channels):
    pixels = all_pixels(likelihood.levels, channels)
    given = np.repeat(given, len(pixels), axis=0)
    return np.exp(likelihood.log_prob(given, pixels))


@pytest.mark.parametrize("levels", [2, 3, 256])
@pytest.mark.parametrize("scale", [0.1, 2.0, 8.0])
def test_masses_sum_to_one(levels, scale):
    for likelihood in (Categorical(levels), LogisticMixture(3, levels)):
        given = outputs(likelihood, 1, scale=scale)
        # 256 values, each rounded at about 1e-7 relative and as much in its logarithm.
        assert abs(masses(likelihood, given, 1).sum() - 1.0) < 1e-5


def test_masses_of_all_colors_sum_to_one():
    for likelihood in (Bernoulli(), Categorical(4), LogisticMixture(3, 4)):
        assert abs(masses(likelihood, outputs(likelihood, 3), 3).sum() - 1.0) < 1e-5


def test_the_channels_of_a_categorical_belong_to_the_colors_in_turn():
    likelihood = Categorical(4)
    given = outputs(likelihood, 3)
    changed = given.copy()
    changed[..., 1::3] += np.arange(4)
    for x in all_pixels(4, 3)[[0, 17, 42]]:
        before, after = (likelihood.log_probs(g, x[None])[0] for g in (given, changed))
        assert np.flatnonzero(before - after).tolist() == [1]


def by_hand(likelihood, given, x):
    """Returns the mass of a pixel of 3 colors, as the paper has it."""
    k, half = likelihood.components, 1.0 / (likelihood.levels - 1)
    parts = given.reshape(-1, k).astype("float64")
    weights = np.exp(parts[0]) / np.exp(parts[0]).sum()
    a, b, c = np.tanh(parts[7:10])
    x = 2.0 * x.astype("float64").ravel() - 1.0
    means = [parts[1], parts[3] + a * x[0], parts[5] + b * x[0] + c * x[1]]
    total = weights
    for value, mean, log_scale in zip(x, means, parts[[2, 4, 6]], strict=True):
        part = stats.logistic(mean, np.exp(np.maximum(log_scale, -7.0)))
        low = 0.0 if value < -0.999 else part.cdf(value - half)
        high = 1.0 if value > 0.999 else part.cdf(value + half)
        total = total * (high - low)
    return total.sum()


def test_the_mixture_by_hand():
    likelihood = LogisticMixture(4, levels=8)
    given = outputs(likelihood, 3, scale=1.0)
    for x in all_pixels(8, 3)[[0, 100, 511, 333]]:
        found = float(likelihood.log_prob(given, x[None])[0])
        assert found == pytest.approx(
            np.log(by_hand(likelihood, given, x)), rel=1e-5, abs=1e-5
        )


def test_gradients_are_finite_far_from_the_data():
    likelihood = LogisticMixture(2)
    given = tf.constant([[[[0.0, 0.0, 90.0, -90.0, -30.0, 500.0]]]])
    for value in (0.0, 0.5, 1.0):
        with tf.GradientTape() as tape:
            tape.watch(given)
            nats = likelihood.log_prob(given, tf.fill((1, 1, 1, 1), value))
        assert np.isfinite(nats).all()
        assert np.isfinite(tape.gradient(nats, given)).all()


@pytest.mark.parametrize(
    "likelihood, temperature",
    [
        (Bernoulli(), 1.0),
        (Bernoulli(), 0.5),
        (Categorical(4), 1.0),
        (Categorical(4), 0.5),
        (LogisticMixture(3, 4), 1.0),  # a temperature changes each part of it
    ],
)
def test_quantiles_draw_the_masses(likelihood, temperature):
    channels, n = 2, 20_000
    given = outputs(likelihood, channels)
    noise = np.random.default_rng(1).uniform(
        size=(n, 1, 1, likelihood.num_uniforms(channels))
    )
    drawn = likelihood.quantile(
        np.repeat(given, n, axis=0), noise.astype("float32"), temperature
    ).numpy()
    levels = likelihood.levels
    index = np.round(drawn[:, 0, 0] * (levels - 1)).astype(int) @ [levels, 1]
    expected = n * masses(likelihood, given / temperature, channels)
    found = np.bincount(index, minlength=levels**channels)
    often = expected > 5
    # Rare pixels are one more class, so that the counts are complete.
    expected = np.append(expected[often], max(expected[~often].sum(), 1e-9))
    found = np.append(found[often], found[~often].sum())
    assert found[-1] <= 10 + 3 * expected[-1]
    statistic = np.sum((found - expected)[:-1] ** 2 / expected[:-1])
    # Error rate 1e-6, and the seed is fixed.
    assert statistic < stats.chi2.ppf(1 - 1e-6, often.sum())


def test_the_mean_and_the_distribution_of_a_categorical():
    likelihood = Categorical(5)
    given = outputs(likelihood, 2)
    weights = np.exp(given.reshape(5, 2))
    weights /= weights.sum(axis=0)
    expected = weights.T @ np.linspace(0, 1, 5)
    np.testing.assert_allclose(likelihood.mean(given)[0, 0, 0], expected, rtol=1e-5)
    x = np.array([[[[0.25, 1.0]]]], "float32")
    log_prob = likelihood.distribution(given).log_prob(x)
    np.testing.assert_allclose(
        log_prob, likelihood.log_prob(given, x), rtol=1e-5, atol=1e-5
    )
    drawn = likelihood.draw(given, (1, 2)).numpy()
    assert np.isin(np.round(drawn * 4), range(5)).all()


def test_temperature_narrows_a_mixture():
    likelihood = LogisticMixture(1, levels=256)
    given = np.array([[[[0.0, 0.0, -2.0]]]], "float32")
    noise = np.random.default_rng(0).uniform(size=(4000, 1, 1, 2)).astype("float32")
    given = np.repeat(given, 4000, axis=0)
    wide, narrow = (
        likelihood.quantile(given, noise, t).numpy().std() for t in (1.0, 0.25)
    )
    assert narrow == pytest.approx(wide / 4.0, rel=0.02)


def test_known_values_come_back_bit_for_bit():
    likelihood, n = LogisticMixture(2, levels=256), 256
    given = np.repeat(outputs(likelihood, 3), n, axis=0)
    draw = np.random.default_rng(0)
    noise = draw.uniform(size=(n, 1, 1, 6)).astype("float32")
    x = draw.permuted(np.tile(np.arange(256) / 255, (3, 1)), axis=1).T
    x = x.astype("float32")[:, None, None]
    known = draw.uniform(size=x.shape) < 0.5
    drawn = likelihood.quantile(given, noise, 1.0, x, known).numpy()
    np.testing.assert_array_equal(drawn[known], x[known])
    # What is drawn is as data are, too.
    assert set(drawn[~known]) <= set(x.ravel())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_network_that_has_exploded_still_draws_levels(temperature):
    likelihood = LogisticMixture(2, levels=16)
    given = outputs(likelihood, 3)
    given.reshape(-1, 2)[2:7:2] = 700.0  # log-scales whose exponential overflows
    noise = np.random.default_rng(1).uniform(size=(1, 1, 1, 6)).astype("float32")
    drawn = likelihood.quantile(given, noise, temperature).numpy()
    assert ((drawn >= 0.0) & (drawn <= 1.0)).all()
    assert np.isfinite(likelihood.log_prob(given, drawn)).all()


def test_a_level_of_no_mass_is_never_drawn():
    draw = np.random.default_rng(0)
    logits = draw.normal(0.0, 2.0, (400, 256)).astype("float32")
    logits[:, -1] = -200.0
    noise = np.full(400, 1.0 - 2.0**-24, "float32")
    assert inverse_cdf(logits, noise).numpy().max() < 255
    np.testing.assert_array_equal(
        inverse_cdf(logits, draw.uniform(size=400).astype("float32"), 0.0),
        logits.argmax(axis=1),
    )


def test_errors():
    with pytest.raises(ValueError, match="`levels` must be at least 2"):
        Categorical(1)
    with pytest.raises(ValueError, match="`components` must be positive"):
        LogisticMixture(0)
    with pytest.raises(NotImplementedError, match="Use `Bernoulli`"):
        Gaussian(0.1).quantile(tf.zeros((1, 1)), tf.zeros((1, 1)))
