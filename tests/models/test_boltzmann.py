"""Boltzmann machines against sums over all of their states."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import expit, logsumexp

from keras_gen import data, losses, models

VISIBLE, HIDDEN = 5, 4
EVERY = np.array(list(itertools.product([0.0, 1.0], repeat=VISIBLE)), "float32")
STATES = np.array(list(itertools.product([0.0, 1.0], repeat=HIDDEN)), "float32")


def machine(scale=1.0, shape=VISIBLE, **arguments):
    """Returns a machine with weights far from zero."""
    model = models.RBM(shape, HIDDEN, **{"chains": None, "seed": 0, **arguments})
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.0, scale, weight.shape))
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return model


def joint(model, s):
    """Returns b s + c h + s W h of all pairs, (statistics, hidden states)."""
    kernel, bias, hidden = (w.numpy().astype(float) for w in model.trainable_weights)
    return (s @ bias)[:, None] + STATES @ hidden + s @ kernel @ STATES.T


def odds(model, heat=1.0):
    """Returns the probabilities of all visible states."""
    nats = logsumexp(joint(model, EVERY) / heat, axis=1)
    return np.exp(nats - logsumexp(nats))


def counts(x):
    codes = np.asarray(x) @ 2 ** np.arange(x.shape[1])[::-1]
    return np.bincount(codes.astype(int), minlength=2 ** x.shape[1])


def assert_drawn_from(x, p):
    # By chance once in 10,000 seeds. States expected less than once go together.
    expected, seen = p * len(x), counts(x)
    rare = expected < 1.0
    if rare.any():
        expected = np.append(expected[~rare], expected[rare].sum())
        seen = np.append(seen[~rare], seen[rare].sum())
    assert stats.chisquare(seen, expected * len(x) / expected.sum()).pvalue > 1e-4


class TestEnergy:
    def test_it_is_a_sum_over_hidden_states(self):
        model = machine()
        expected = -logsumexp(joint(model, EVERY), axis=1)
        np.testing.assert_allclose(model.free_energy(EVERY), expected, rtol=1e-5)
        np.testing.assert_array_equal(model.energy(EVERY), model.anomaly_score(EVERY))

    def test_of_levels(self):
        units = losses.CategoricalUnits(3)
        model = machine(shape=2, visible=units)
        x = np.array(list(itertools.product([0.0, 0.5, 1.0], repeat=2)), "float32")
        one_hot = np.eye(3)[(2 * x).astype(int)].reshape(9, 6)
        expected = -logsumexp(joint(model, one_hot), axis=1)
        np.testing.assert_allclose(model.free_energy(x), expected, rtol=1e-5)
        codes = machine(shape=2, visible=units, space=data.Codes((2,), 3))
        found = codes.free_energy((2 * x).astype("int32"))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert codes.sample(3, seed=0).dtype == "int32"

    def test_of_real_numbers(self):
        model = machine(shape=3, visible=losses.GaussianUnits(0.5))
        x = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
        s = x / 0.5
        expected = 0.5 * (s**2).sum(axis=1) - logsumexp(joint(model, s), axis=1)
        np.testing.assert_allclose(model.free_energy(x), expected, rtol=1e-5)

    def test_codes_are_the_hidden_units_odds(self):
        model = machine()
        weights = np.exp(joint(model, EVERY))
        expected = weights @ STATES / weights.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.encode(EVERY), expected, rtol=1e-4)

    def test_visible_biases_start_at_the_means(self):
        model = models.RBM(VISIBLE, HIDDEN, weight_scale=1e-6)
        x = EVERY[[0, 1, 3, 7, 15, 15, 15, 15]]
        model.start_at(x)
        mean = np.clip(x.mean(axis=0), 5e-4, 1 - 5e-4)
        np.testing.assert_allclose(expit(model.bias.numpy()), mean, rtol=1e-5)


class TestGradient:
    """Contrastive divergence against the gradient of the log-likelihood."""

    x = EVERY[np.random.default_rng(2).integers(0, 8, 40_000)]

    def exact(self, model):
        data = np.bincount((self.x @ [16, 8, 4, 2, 1]).astype(int), minlength=32)
        weights = (data / len(self.x) - odds(model)).astype("float32")
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weights * model.free_energy(EVERY))
        return self.flat(tape.gradient(loss, model.trainable_weights))

    def flat(self, slopes):
        return np.concatenate([np.ravel(slope) for slope in slopes])

    def contrastive(self, steps):
        model = machine(steps=steps)
        with tf.GradientTape() as tape:
            loss = model.objective(tf.constant(self.x), training=True)["loss"]
        slopes = self.flat(tape.gradient(loss, model.trainable_weights))
        return np.abs(slopes - self.exact(model)).max()

    def test_it_comes_closer_with_more_updates(self):
        one, two, many = (self.contrastive(k) for k in (1, 2, 40))
        assert one > 2 * two > 4 * many
        # Means of 40,000 numbers whose deviation is at most 1/2: five standard errors
        # of 29 of them, by chance once in 60,000 seeds.
        assert many < 5 * 0.5 / np.sqrt(40_000)

    def test_persistent_chains_come_to_the_machine(self):
        model = machine(chains=2000)
        before = model.get_weights()
        for _ in range(30):
            model.train_on_batch(self.x[:8])
        p = np.exp(logsumexp(joint(model, EVERY), axis=0))
        assert_drawn_from(model.chains.numpy(), p / p.sum())
        for old, now in zip(before[:3], model.get_weights()[:3], strict=True):
            np.testing.assert_array_equal(old, now)  # at a rate of zero

    def test_chains_stay_where_a_step_is_skipped(self):
        model = machine(chains=10)
        model.train_on_batch(self.x[:8])
        before = model.chains.numpy()
        bad = np.full((8, VISIBLE), np.nan, "float32")
        with pytest.warns(UserWarning, match="skipped so far"):
            model.fit(bad, verbose=0)
        np.testing.assert_array_equal(model.chains.numpy(), before)

    def test_evaluation_moves_no_chain(self):
        model = machine(chains=10)
        before = model.chains.numpy()
        model.evaluate(self.x[:8], verbose=0)
        np.testing.assert_array_equal(model.chains.numpy(), before)

    def test_it_learns_a_distribution(self):
        model = models.RBM(VISIBLE, 8, chains=50, weight_scale=0.1, seed=0)
        model.compile(keras.optimizers.SGD(0.3), steps_per_execution=16)
        model.fit(self.x[:800], batch_size=50, epochs=25, verbose=0)
        nats = -model.free_energy(EVERY).numpy()
        found = np.exp(nats - logsumexp(nats))
        # Eight states of 32, alike: entropy log 8.
        divergence = -np.log(8.0) - np.log(found[:8]).mean()
        assert divergence < 0.1


class TestSampling:
    @pytest.mark.parametrize("tempering", [1, 3])
    def test_samples_have_the_odds_of_the_machine(self, tempering):
        model = machine()
        x = model.sample(4000, seed=1, steps=60, tempering=tempering)
        assert_drawn_from(x, odds(model))

    def test_temperature(self):
        model = machine()
        x = model.sample(4000, seed=1, steps=60, temperature=2.0)
        assert_drawn_from(x, odds(model, heat=2.0))

    def test_levels(self):
        model = machine(shape=2, visible=losses.CategoricalUnits(3))
        x = np.array(list(itertools.product([0.0, 0.5, 1.0], repeat=2)), "float32")
        p = np.exp(-model.free_energy(x).numpy().astype(float))
        drawn = model.sample(4000, seed=2, steps=60).numpy()
        seen = np.bincount((2 * drawn @ [3, 1]).astype(int), minlength=9)
        # By chance once in 10,000 seeds.
        assert stats.chisquare(seen, p / p.sum() * 4000).pvalue > 1e-4

    def test_real_numbers_are_a_mixture_of_gaussians(self):
        model = machine(shape=1, visible=losses.GaussianUnits(0.5))
        kernel, bias, hidden = (w.numpy() for w in model.trainable_weights)
        means = bias + STATES @ kernel.T
        weights = np.exp(STATES @ hidden + 0.5 * means[:, 0] ** 2)

        def cdf(x):
            each = stats.norm.cdf(x[:, None], 0.5 * means[:, 0], 0.5)
            return each @ weights / weights.sum()

        x = model.sample(2000, seed=3, steps=100).numpy()[:, 0]
        # By chance once in 10,000 seeds.
        assert stats.kstest(x, cdf).pvalue > 1e-4

    def test_completions_have_the_conditional_odds(self):
        model = machine()
        known = np.array([True, False, True, False, False])
        x = np.tile([1.0, np.nan, 0.0, np.nan, np.nan], (4000, 1)).astype("float32")
        drawn = model.complete(x, known, seed=4, steps=60).numpy()
        np.testing.assert_array_equal(drawn[:, known], x[:, known])
        p = odds(model) * (EVERY[:, 0] == 1) * (EVERY[:, 2] == 0)
        fits = p > 0
        # By chance once in 10,000 seeds.
        expected = p[fits] / p.sum() * 4000
        assert stats.chisquare(counts(drawn)[fits], expected).pvalue > 1e-4

    def test_longer_chains_go_on_from_shorter_ones(self):
        model = machine(scale=8.0)  # so strong that chains hardly move
        few, many = (model.sample(50, seed=0, steps=k).numpy() for k in (20, 22))
        assert (few == many).mean() > 0.8


class TestPartition:
    @pytest.mark.parametrize("given", [False, True])
    def test_annealing_brackets_the_sum(self, given):
        model = machine()
        x = EVERY[np.random.default_rng(5).choice(32, 200, p=odds(model))]
        found = model.log_partition(x if given else None, steps=300, settle=20)
        exact = logsumexp(joint(model, EVERY))
        # Ten standard errors of 100 chains.
        assert abs(found.lower - exact) < 0.1 and abs(found.upper - exact) < 0.1

    def test_a_machine_without_weights_is_known(self):
        model = machine(shape=2, visible=losses.GaussianUnits(0.5))
        model.kernel.assign(tf.zeros_like(model.kernel))
        bias, hidden = model.bias.numpy(), model.hidden_bias.numpy()
        exact = np.logaddexp(0.0, hidden).sum()
        exact += (0.5 * bias**2 + 0.5 * np.log(2 * np.pi) + np.log(0.5)).sum()
        found = model.log_partition(steps=10, chains=5, settle=1)
        assert found.lower == pytest.approx(exact, abs=1e-4)
        assert found.width == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": 0}, "`hidden` must be positive. Received: hidden=0"),
        ({"chains": 0}, "`chains` must be positive. Received: chains=0"),
        ({"steps": 0}, "`steps` must be positive. Received: steps=0"),
        ({"sample_steps": 0}, "`sample_steps` must be positive"),
        ({"weight_scale": 0.0}, "`weight_scale` must be positive"),
        ({"visible": "bernoulli"}, "`visible` must be a `losses.Units`. Received"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.RBM(**{"shape": 4, "hidden": 3, **arguments})


def test_data_beyond_the_units_are_refused():
    for shape, words in ((5, r"Data must lie in \[0, 1\]"), ((5, 1, 1), "divide")):
        model = models.RBM(shape, HIDDEN)
        model.compile("sgd", run_eagerly=True)
        x = 255.0 * np.ones((4, *model.data_shape), "float32")
        with pytest.raises(ValueError, match=words):
            model.fit(x, verbose=0)
        assert int(model.step) == 0


def test_too_few_data_for_the_chains_of_annealing():
    with pytest.raises(ValueError, match="`x` must be at least 100 examples. Received"):
        machine().log_partition(EVERY)
    with pytest.raises(ValueError, match="`steps` must be positive. Received: steps=0"):
        machine().sample(2, steps=0)
