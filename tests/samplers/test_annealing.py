"""Annealed importance sampling, against closed forms and enumeration."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats
from scipy.special import logsumexp

from keras_gen import losses, models, networks, samplers
from keras_gen.samplers.annealing import (
    AISResult,
    GeometricPath,
    annealing_schedule,
    hamiltonian_transition,
    run_ais,
)

tfd = tfp.distributions


def linear(latent=3, dims=6, scale=0.3, **kwargs):
    """Returns a VAE with one dense layer, and its exact p(x) = N(b, W'W + s^2 I)."""
    encoder = networks.mlp((dims,), 2 * latent, hidden=())
    decoder = networks.mlp((latent,), dims, hidden=())
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(latent, dims)), rng.normal(size=dims)
    decoder.set_weights([kernel, bias])
    vae = models.VAE(encoder, decoder, losses.Gaussian(scale), seed=0, **kwargs)
    covariance = kernel.T @ kernel + scale**2 * np.eye(dims)
    return vae, stats.multivariate_normal(bias, covariance)


class TestAISResult:
    def test_by_hand(self):
        weights = np.array([[1.0, 5.0], [3.0, 5.0]])
        found = AISResult(np.log(weights))
        np.testing.assert_allclose(found.value, np.log([2.0, 5.0]))
        np.testing.assert_allclose(found.effective_sample_size, [16 / 10, 2.0])
        # Of a mean of two: std(ddof=1) / sqrt(2), relative to the mean.
        want = np.std([1.0, 3.0], ddof=1) / np.sqrt(2) / 2.0
        np.testing.assert_allclose(found.standard_error, [want, 0.0], atol=1e-7)

    def test_equal_weights_have_an_error_of_zero(self):
        for chains in range(2, 12):
            for value in (0.0, 0.1, -3.3, -1e3):
                found = AISResult(np.full((chains, 2), value)).standard_error
                # A root of the rounding of logarithms as large as the value.
                assert (found <= 1e-15 + np.sqrt(1e-15 * (1 + abs(value)))).all()

    def test_one_chain_has_no_error(self):
        found = AISResult(np.array([[-1000.0]]))
        assert found.value == -1000.0 and np.isnan(found.standard_error).all()


class TestSchedule:
    @pytest.mark.parametrize("kind", ["sigmoidal", "linear", "geometric"])
    @pytest.mark.parametrize("steps", [1, 2, 37])
    def test_it_rises_from_zero_to_one(self, kind, steps):
        t = annealing_schedule(steps, kind)
        assert t.shape == (steps + 1,)
        assert (t[0], t[-1]) == (0.0, 1.0)
        assert (np.diff(t) > 0.0).all()

    def test_sigmoid_by_hand(self):
        curve = 1.0 / (1.0 + np.exp(-4.0 * np.linspace(-1.0, 1.0, 11)))
        want = (curve - curve[0]) / (curve[-1] - curve[0])
        np.testing.assert_allclose(annealing_schedule(10), want)

    def test_errors(self):
        with pytest.raises(ValueError, match="`steps` must be positive. Received: st"):
            annealing_schedule(0)
        with pytest.raises(ValueError, match="`kind` must be one of 'sigmoidal', 'l"):
            annealing_schedule(5, "cosine")


class TestHamiltonianTransition:
    def test_it_leaves_the_density_as_it_is(self):
        mean, deviation = np.array([1.0, -2.0], "float32"), np.array([0.5, 2.0], "f")
        target = tfd.MultivariateNormalDiag(mean, deviation)
        z = target.sample(20_000, seed=0)

        @tf.function
        def move(z):
            return hamiltonian_transition(target.log_prob, z, 0.5, (1, 2), 5)

        moved, odds = move(z)
        assert 0.5 < tf.reduce_mean(odds) < 0.99  # some are rejected
        # Four standard errors of each of four numbers: error rate 2.5e-4.
        np.testing.assert_array_less(
            abs(np.mean(moved, 0) - mean), 4 * deviation / np.sqrt(20_000)
        )
        np.testing.assert_array_less(
            abs(np.std(moved, 0) / deviation - 1.0), 4 / np.sqrt(40_000)
        )
        assert abs(np.corrcoef(z[:, 0], moved[:, 0])[0, 1]) < 0.9

    def test_a_step_too_large_is_rejected_and_nothing_breaks(self):
        def log_prob(z):
            return -tf.reduce_sum(z**4, axis=-1)

        z = tf.ones((5, 2))
        moved, odds = hamiltonian_transition(log_prob, z, 1e9, (0, 0))
        np.testing.assert_array_equal(moved, z)
        np.testing.assert_array_equal(odds, np.zeros(5))


class TestAnneal:
    def test_one_step_is_plain_importance_sampling(self):
        path = GeometricPath(lambda s: -(s**2) / 2, lambda s: -(s**2))
        s = tf.constant([0.5, -1.0, 2.0])
        log_weights, state = run_ais(path, lambda s, *_: s + 1.0, s, [0.0, 1.0])
        np.testing.assert_allclose(log_weights, -np.square(s) / 2)
        np.testing.assert_array_equal(state, s + 1.0)

    def test_a_transition_is_told_where_it_is(self):
        seen = []

        def write(index, temperature, seed):
            seen.append((int(index), float(temperature), tuple(seed)))
            return np.float32(0.0)

        def transition(s, index, temperature, seed):
            zero = tf.numpy_function(write, [index, temperature, seed], "float32")
            return s + tf.reshape(zero, ())

        path = GeometricPath(lambda s: -s, lambda s: -2.0 * s)
        run_ais(path, transition, tf.ones(2), [0.0, 0.25, 1.0], seed=3)
        assert [place[:2] for place in seen] == [(1, 0.25), (2, 1.0)]
        assert seen[0][2] != seen[1][2]

    def test_ising_model_against_enumeration(self):
        # Twelve spins on a ring of three by four, moved one after the other.
        rng = np.random.default_rng(0)
        coupling = np.triu(rng.normal(0.0, 0.7, (12, 12)), 1)
        coupling = (coupling + coupling.T).astype("float32")
        spins = np.array(list(itertools.product([-1.0, 1.0], repeat=12)), "float32")
        exact = logsumexp(0.5 * np.sum((spins @ coupling) * spins, 1))

        def energy(s):
            return 0.5 * tf.reduce_sum((s @ coupling) * s, axis=-1)

        path = GeometricPath(lambda s: tf.zeros(s.shape[0]), energy)

        def gibbs(s, index, temperature, seed):
            uniform = tf.random.stateless_uniform(s.shape, seed)
            columns = tf.unstack(s, axis=1)
            for i in range(12):
                field = tf.linalg.matvec(tf.stack(columns, axis=1), coupling[i])
                up = uniform[:, i] < tf.sigmoid(2.0 * temperature * field)
                columns[i] = tf.where(up, 1.0, -1.0)
            return tf.stack(columns, axis=1)

        @tf.function
        def run():
            start = tf.random.stateless_uniform((200, 12), (0, 0)) < 0.5
            start = tf.where(start, 1.0, -1.0)
            return run_ais(path, gibbs, start, annealing_schedule(200, "linear"), 1)[0]

        found = AISResult(run().numpy())
        got = found.value + 12 * np.log(2.0)
        assert found.standard_error < 0.05
        # Four standard errors: error rate 6e-5, if weights are near to normal.
        assert abs(got - exact) < 4 * found.standard_error

    @pytest.mark.slow
    def test_restricted_boltzmann_machine_against_enumeration(self):
        machine = Machine(visible=30, hidden=20)

        @tf.function
        def run():
            odds = tf.sigmoid(machine.base)
            v = tf.random.stateless_uniform((100, 30), (0, 0)) < odds
            schedule = annealing_schedule(500, "linear")
            return run_ais(machine, machine.gibbs, tf.cast(v, "float32"), schedule)[0]

        found = AISResult(run().numpy())
        got = found.value + np.logaddexp(0.0, machine.base).sum() + 20 * np.log(2.0)
        assert abs(got - machine.log_normalizer()) <= 0.3
        assert abs(got - machine.log_normalizer()) < 4 * found.standard_error


class Machine:
    """A restricted Boltzmann machine whose hidden units are summed out on the path."""

    def __init__(self, visible, hidden):
        rng = np.random.default_rng(0)
        self.kernel = rng.normal(0.0, 0.6, (visible, hidden)).astype("float32")
        self.visible = rng.normal(size=visible).astype("float32")
        self.hidden = rng.normal(size=hidden).astype("float32")
        self.base = (0.5 * self.visible).astype("float32")

    def log_prob(self, v, t):
        bias = (1.0 - t) * self.base + t * self.visible
        inputs = t * (v @ self.kernel + self.hidden)
        of_hidden = tf.reduce_sum(tf.nn.softplus(inputs), axis=-1)
        return tf.linalg.matvec(v, bias) + of_hidden

    def increment(self, v, before, after):
        return self.log_prob(v, after) - self.log_prob(v, before)

    def gibbs(self, v, index, t, seed):
        seeds = tf.random.experimental.stateless_split(seed, 2)
        h = self.drawn(t * (v @ self.kernel + self.hidden), seeds[0])
        bias = (1.0 - t) * self.base + t * self.visible
        return self.drawn(bias + t * (h @ self.kernel.T), seeds[1])

    def drawn(self, logits, seed):
        uniform = tf.random.stateless_uniform(tf.shape(logits), seed)
        return tf.cast(uniform < tf.sigmoid(logits), "float32")

    def log_normalizer(self):
        count = len(self.hidden)
        parts = []
        for first in range(0, 2**count, 2**14):
            numbers = np.arange(first, first + 2**14)
            h = (numbers[:, None] >> np.arange(count)) & 1
            inputs = h @ self.kernel.T.astype("float64") + self.visible
            of_visible = np.logaddexp(0.0, inputs).sum(1)
            parts.append(logsumexp(of_visible + h @ self.hidden))
        return logsumexp(parts)


class TestAnnealedImportanceSampling:
    @pytest.mark.slow
    def test_linear_gaussian_against_the_exact_density(self):
        vae, exact = linear()
        x = exact.rvs(20, random_state=1)
        found = samplers.annealed_importance_sampling(
            vae, x, steps=300, chains=32, batch_size=10, seed=1
        )
        assert found.log_weights.shape == (32, 20)
        assert 0.5 < found.acceptance < 0.85
        assert found.standard_error.max() < 0.4
        error = found.value - exact.logpdf(x)
        # The worst of twenty within five of its standard errors, which 32 chains know
        # to about an eighth: t of 31 degrees, error rate 4e-4.
        assert (abs(error) < 5 * found.standard_error).all()
        # The mean of twenty, within four: error rate 6e-5.
        together = np.sqrt(np.sum(found.standard_error**2)) / 20
        assert abs(error.mean()) < 4 * together
        assert together < 0.06

    @pytest.mark.slow
    def test_more_steps_spread_less(self):
        vae, exact = linear()
        x = exact.rvs(4, random_state=2)
        few, many = (
            samplers.annealed_importance_sampling(vae, x, steps=n, chains=32)
            for n in (10, 200)
        )
        # The variance of log-weights falls as one over the steps.
        ratio = np.var(few.log_weights, 0).mean() / np.var(many.log_weights, 0).mean()
        assert ratio > 5.0
        assert many.effective_sample_size.mean() > few.effective_sample_size.mean()

    @pytest.mark.slow
    def test_where_the_encoder_is_poor_it_comes_nearer_than_the_bound(self):
        # The encoder knows nothing: hardly one of 5000 codes explains the data.
        vae, exact = linear(latent=4, dims=8)
        x = exact.rvs(8, random_state=0)
        found = samplers.annealed_importance_sampling(vae, x, steps=200, chains=16)
        ours = abs(found.value - exact.logpdf(x)).mean()
        bound = abs(vae.iwae(x, 5000, seed=0).numpy() - exact.logpdf(x)).mean()
        assert ours < 0.7 and 7.0 < bound

    @pytest.mark.slow
    def test_a_generator_with_a_likelihood_that_is_given(self):
        vae, exact = linear()
        x = exact.rvs(3, random_state=3)
        generator = models.GAN(vae.decoder, networks.mlp((6,), 1, hidden=()))
        options = dict(steps=30, chains=4, seed=2)

        def likelihood(z):
            return tfd.Independent(tfd.Normal(generator.decode(z), 0.3), 1)

        got = samplers.annealed_importance_sampling(
            generator, x, likelihood=likelihood, **options
        )
        want = samplers.annealed_importance_sampling(vae, x, **options)
        np.testing.assert_allclose(got.log_weights, want.log_weights, rtol=1e-4)
        with pytest.raises(ValueError, match="`GAN` has no likelihood of its own"):
            samplers.annealed_importance_sampling(generator, x)

    @pytest.mark.slow
    def test_a_condition_changes_prior_and_decoder(self):
        encoder = networks.mlp((4,), 4, hidden=(), context_shape=(3,))
        decoder = networks.mlp((2,), 4, hidden=(), context_shape=(3,))
        prior = networks.mlp((3,), 4, hidden=())
        rng = np.random.default_rng(0)
        for network in (decoder, prior):
            network.set_weights([rng.normal(size=w.shape) for w in network.weights])
        cvae = models.CVAE(
            encoder, decoder, 3, losses.Gaussian(0.5), prior_network=prior, seed=0
        )
        x, y = rng.normal(size=(6, 4)), np.arange(6) % 3
        found = samplers.annealed_importance_sampling(
            cvae, x, y, steps=200, chains=32, batch_size=4
        )
        exact = [exact_given(cvae, *pair) for pair in zip(x, y, strict=True)]
        # As for twenty examples without a condition.
        assert (abs(found.value - exact) < 5 * found.standard_error).all()

    @pytest.mark.slow
    def test_seeds_and_batches(self):
        vae, exact = linear()
        x = np.repeat(exact.rvs(1, random_state=4).reshape(1, -1), 4, axis=0)
        options = dict(steps=5, chains=2)

        def weights(**more):
            found = samplers.annealed_importance_sampling(vae, x, **options, **more)
            return found.log_weights

        np.testing.assert_array_equal(weights(seed=1), weights(seed=1))
        assert not np.array_equal(weights(seed=1), weights(seed=2))
        # Batches draw apart: no two examples share their chains.
        same = np.repeat(x[:1], 4, axis=0)
        found = samplers.annealed_importance_sampling(
            vae, same, batch_size=2, **options
        )
        assert len(np.unique(found.log_weights)) == 8

    @pytest.mark.parametrize("name", ["steps", "chains", "pilot_chains", "leapfrogs"])
    def test_errors(self, name):
        with pytest.raises(ValueError, match=f"Argument `{name}` must be positive"):
            samplers.annealed_importance_sampling(
                linear()[0], np.zeros((1, 6)), **{name: 0}
            )


def exact_given(cvae, x, label):
    """Returns log p(x|label) of affine networks: their kernels by differences."""
    y = np.eye(3)[[label] * 3]
    outputs = cvae.decoder([np.eye(3, 2, -1), y]).numpy().astype("float64")
    bias, kernel = outputs[0], outputs[1:] - outputs[0]
    mean, log_var = np.split(cvae.prior_network(y[:1]).numpy()[0], 2)
    covariance = kernel.T @ np.diag(np.exp(log_var)) @ kernel + 0.25 * np.eye(4)
    return stats.multivariate_normal(mean @ kernel + bias, covariance).logpdf(x)


def test_the_bound_of_many_draws_is_the_exact_value():
    # Codes whose posterior is independent, but too wide: exp(1/4) in deviation. The
    # mean of 5000 weights is known to 0.01, and 0.05 are five of that.
    vae, _ = linear(latent=2, dims=5)
    kernel = np.diag([1.5, 0.8]) @ np.linalg.qr(vae.decoder.get_weights()[0].T)[0].T
    bias = vae.decoder.get_weights()[1].astype("float64")
    vae.decoder.set_weights([kernel, bias])
    exact = stats.multivariate_normal(bias, kernel.T @ kernel + 0.09 * np.eye(5))
    variance = 1.0 / (1.0 + np.square([1.5, 0.8]) / 0.09)
    found = kernel.T * variance / 0.09
    mean = np.concatenate([found, np.zeros((5, 2))], axis=1)
    log_var = np.log(variance) + 0.5
    vae.encoder.set_weights([mean, np.concatenate([-bias @ found, log_var])])
    x = exact.rvs(50, random_state=5)
    gap = vae.iwae(x, 5000, seed=0) - exact.logpdf(x)
    assert np.abs(gap).max() <= 0.05
