import dataclasses
import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats
from scipy.special import logsumexp

from keras_gen import bijectors, layers, losses, models, networks
from keras_gen.data import Images
from keras_gen.models import base, bounds

tfd = tfp.distributions


def affine(shape, output_shape, seed, context_shape=None):
    """Returns a network of one dense layer with weights of some size, and those."""
    network = networks.mlp(shape, output_shape, hidden=(), context_shape=context_shape)
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.5, w.shape) for w in network.weights]
    network.set_weights(weights)
    return network, weights


def tiny(kind=models.VAE, numbers=1, **kwargs):
    encoder, encode = affine((4,), 4, 0)
    decoder, decode = affine((2,), 4 * numbers, 1)
    return kind(encoder, decoder, seed=3, **kwargs), encode, decode


def data(n=6, shape=(4,)):
    return np.random.default_rng(5).uniform(size=(n, *shape)).astype("float32")


def codes_by_hand(x, encode, noise):
    """Returns draws, their log-densities, and the divergence, in float64."""
    mean, log_var = np.split(x @ encode[0] + encode[1], 2, axis=1)
    z = mean + np.exp(log_var / 2) * noise
    log_q = stats.norm.logpdf(z, mean, np.exp(log_var / 2)).sum(-1)
    divergence = 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(1)
    return z, log_q, divergence


def by_hand(x, encode, decode, noise, log_prob):
    """Returns -log p(x|z) and KL of each example, in float64."""
    z, _, divergence = codes_by_hand(x, encode, noise)
    return -log_prob(x, z @ decode[0] + decode[1]).sum(-1), divergence


def bernoulli(x, logits):
    p = 1 / (1 + np.exp(-logits))
    return x * np.log(p) + (1 - x) * np.log(1 - p)


def scale_of(log_scale):
    """Returns a learned scale, which the log-scale gives by way of a bound."""
    return np.exp(np.log(1e3) * np.tanh(log_scale / np.log(1e3)))


def learned(x, mean):
    return stats.norm.logpdf(x, mean, scale_of(np.log(0.5)))


def per_value(x, outputs):
    mean, log_scale = np.split(outputs, 2, axis=-1)
    return stats.norm.logpdf(x, mean, scale_of(log_scale))


def next_noise(stream, shape):
    """Returns what the model draws next from one of its streams."""
    state = tf.constant(stream.get_weights()[0])
    seed = tf.random.experimental.stateless_fold_in(state, tf.constant(0, "int64"))
    return drawn(shape, seed)


def drawn(shape, seed):
    """Returns noise (particles, batch, dims), or (batch, dims), example by example."""
    if len(shape) == 2:
        return tf.random.stateless_normal(shape, seed).numpy()
    particles, batch, dims = shape
    return (
        tf.random.stateless_normal((batch, particles, dims), seed)
        .numpy()
        .swapaxes(0, 1)
    )


# Sums of some ten products in float32.
RELATIVE = 1e-5


class TestObjective:
    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize(
        ("likelihood", "log_prob"),
        [
            (None, bernoulli),
            (losses.Gaussian(0.5), lambda x, m: stats.norm.logpdf(x, m, 0.5)),
            (losses.Gaussian("learned"), learned),
            (losses.Gaussian("per_value"), per_value),
        ],
        ids=("bernoulli", "gaussian", "learned", "per_value"),
    )
    def test_by_hand(self, training, likelihood, log_prob):
        numbers = likelihood.numbers if likelihood else 1
        model, encode, decode = tiny(numbers=numbers, likelihood=likelihood)
        stream = model.noise if training else model.test_noise
        noise = next_noise(stream, (6, 2))
        terms = model.objective(tf.constant(data()), training=training)
        want = by_hand(data(), encode, decode, noise, log_prob)
        reconstruction, divergence = (term.mean() for term in want)
        assert float(terms["reconstruction"]) == pytest.approx(
            reconstruction, rel=RELATIVE, abs=1e-5
        )
        assert float(terms["divergence"]) == pytest.approx(
            divergence, rel=RELATIVE, abs=1e-5
        )
        total = reconstruction + divergence
        assert float(terms["loss"]) == pytest.approx(total, rel=RELATIVE, abs=1e-5)

    def test_particles_are_averaged(self):
        model, encode, decode = tiny(particles=3)
        noise = next_noise(model.noise, (3, 6, 2))
        terms = model.objective(tf.constant(data()), training=True)
        reconstruction, divergence = by_hand(data(), encode, decode, noise, bernoulli)
        assert reconstruction.shape == (3, 6)
        want = reconstruction.mean() + divergence.mean()
        assert float(terms["loss"]) == pytest.approx(want, rel=RELATIVE, abs=1e-5)

    def test_total_correlation(self):
        model, *_ = tiny(models.BetaTCVAE, examples=50, beta=3.0)
        x = tf.constant(data())
        noise = next_noise(model.noise, (6, 2))
        terms = model.objective(x, training=True)
        posterior = model.infer(x)
        z = posterior.mean + tf.exp(0.5 * posterior.log_var) * noise
        parts = losses.TotalCorrelation(50).parts(posterior, z)
        want = float(terms["reconstruction"]) + np.dot([1, 3, 1], parts)
        assert float(terms["loss"]) == pytest.approx(want, rel=RELATIVE, abs=1e-5)

    def test_free_bits(self):
        model, *_ = tiny(divergence=losses.FreeBits(0.45))
        x = tf.constant(data())
        terms = model.objective(x, training=True)
        posterior = model.infer(x)
        kl = losses.gaussian_kl(posterior.mean, posterior.log_var).numpy().mean(0)
        assert kl.min() < 0.45 < kl.max()
        want = float(terms["reconstruction"]) + np.maximum(kl, 0.45).sum()
        assert float(terms["loss"]) == pytest.approx(want, rel=RELATIVE, abs=1e-5)
        assert float(terms["divergence"]) == pytest.approx(
            kl.sum(), rel=RELATIVE, abs=1e-5
        )

    def test_training_and_evaluation_draw_from_different_streams(self):
        model, *_ = tiny()
        x = tf.constant(data())
        first = model.objective(x, training=True)["loss"]
        assert float(model.objective(x, training=False)["loss"]) != float(first)
        assert float(model.objective(x, training=True)["loss"]) != float(first)

    def test_sums_over_pixels_and_means_over_the_batch(self):
        # A decoder of zeros: every pixel costs log 2, whatever the batch.
        for shape in ((4,), (8, 8, 1)):
            encoder, decoder = networks.mlp_autoencoder(shape, 2, hidden=(3,))
            for network in (encoder, decoder):
                for weight in network.weights:
                    weight.assign(tf.zeros(weight.shape))
            model = models.VAE(encoder, decoder)
            for n in (1, 5):
                terms = model.objective(tf.constant(data(n, shape)))
                want = np.prod(shape) * np.log(2)
                assert float(terms["reconstruction"]) == pytest.approx(
                    want, rel=RELATIVE, abs=1e-5
                )
                assert float(terms["divergence"]) == 0

    @pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
    def test_beta_weighs_the_divergence(self, beta):
        plain, *_ = tiny()
        weighted, *_ = tiny(models.BetaVAE, beta=beta)
        x = tf.constant(data())
        want, got = (
            plain.objective(x, training=True),
            weighted.objective(x, training=True),
        )
        for term in ("reconstruction", "divergence"):
            assert float(got[term]) == float(want[term])
        loss = float(want["reconstruction"]) + beta * float(want["divergence"])
        assert float(got["loss"]) == pytest.approx(loss, rel=RELATIVE, abs=1e-5)

    def test_default_beta(self):
        assert tiny(models.BetaVAE)[0].divergence == losses.KL(4.0)
        assert tiny()[0].divergence == losses.KL()

    def test_encoder_sees_the_networks_range_and_the_likelihood_the_datas(self):
        shape = (8, 8, 1)
        encoder, decoder = networks.mlp_autoencoder(shape, 2, hidden=(3,))
        wide = models.VAE(encoder, decoder, seed=0)
        same = models.VAE(encoder, decoder, seed=0, network_range=(0, 1))
        x = tf.constant(data(6, shape))
        mean, log_var = tf.split(encoder(2.0 * x - 1.0), 2, axis=-1)
        got = wide.posterior_parameters(x)
        # One rounding, enlarged by 64 products.
        np.testing.assert_allclose(got[0], mean, atol=1e-5 * abs(mean).numpy().max())
        np.testing.assert_allclose(got[1], log_var, atol=1e-5 * abs(mean).numpy().max())
        np.testing.assert_array_equal(same.encode(x), encoder(x)[:, :2])
        outputs = decoder(tf.zeros((1, 2)))
        np.testing.assert_array_equal(
            wide.decode(tf.zeros((1, 2))), tf.sigmoid(outputs)
        )


def linear_model(perturbation):
    """A Gaussian linear model, for which all is known in closed form.

    x = W z + b + s e has log p(x) = log N(x; b, W W' + s^2). The columns of W are
    orthogonal, so that the posterior N(C W' (x - b) / s^2, C) has a diagonal
    C = (1 + W'W / s^2)^-1 and the encoder can hit it; `perturbation` moves it off.
    """
    scale, offset = 0.5, np.array([0.1, -0.2, 0.3])
    columns = np.array([[0.6, 0.0], [0.8, 0.0], [0.0, 0.9]])
    covariance = 1 / (1 + (columns**2).sum(0) / scale**2)
    kernel = columns * covariance / scale**2
    bias = -offset @ kernel
    encoder = networks.mlp((3,), 4, hidden=())
    encoder.set_weights(
        [
            np.hstack([kernel, np.zeros((3, 2))]),
            np.hstack([bias + perturbation, np.log(covariance) + perturbation]),
        ]
    )
    decoder = networks.mlp((2,), 3, hidden=())
    decoder.set_weights([columns.T, offset])
    model = models.VAE(encoder, decoder, likelihood=losses.Gaussian(scale))
    evidence = stats.multivariate_normal(
        offset, columns @ columns.T + scale**2 * np.eye(3)
    )
    return model, evidence, covariance


class TestElbo:
    @pytest.mark.parametrize("likelihood", [losses.Bernoulli(), losses.Gaussian(0.3)])
    def test_is_the_likelihood_less_the_divergence(self, likelihood):
        model, *_ = tiny(likelihood=likelihood)
        x = tf.constant(data())
        mean, log_var = model.posterior_parameters(x)
        noise = tf.random.stateless_normal((6, 2), seeds(7, "elbo"))
        z = mean + tf.exp(0.5 * log_var) * noise
        posterior = tfd.MultivariateNormalDiag(mean, tf.exp(0.5 * log_var))
        want = likelihood.log_prob(model.decoder(z), x)
        want -= tfd.kl_divergence(posterior, tfd.MultivariateNormalDiag(tf.zeros(2)))
        got = model.elbo(x, seed=7)
        assert got.shape == (6,)
        largest = abs(want).numpy().max()
        np.testing.assert_allclose(got, want, rtol=0, atol=RELATIVE * largest)

    def test_particles_are_averaged(self):
        model, encode, decode = tiny()
        noise = drawn((4, 6, 2), seeds(7, "elbo"))
        want = by_hand(data(), encode, decode, noise, bernoulli)
        want = -want[0].mean(0) - want[1]
        got = model.elbo(data(), seed=7, particles=4)
        np.testing.assert_allclose(got, want, rtol=0, atol=RELATIVE * abs(want).max())

    def test_is_the_loss_that_is_minimized(self):
        model, *_ = tiny()
        x = np.repeat(data(1), 20_000, axis=0)
        elbo = model.elbo(x, seed=0).numpy().astype("float64")
        loss = float(model.objective(tf.constant(x))["loss"])
        # Two means of as many draws, four standard errors: error rate 6e-5.
        bound = 4 * np.sqrt(2) * elbo.std() / np.sqrt(len(elbo))
        assert abs(loss + elbo.mean()) < bound

    def test_seed(self):
        model, *_ = tiny()
        first = model.elbo(data(), seed=7)
        np.testing.assert_array_equal(model.elbo(data(), seed=7), first)
        assert not np.array_equal(model.elbo(data(), seed=8), first)
        assert not np.array_equal(model.elbo(data()), model.elbo(data()))

    @pytest.mark.parametrize("perturbation", [0.0, 0.5])
    def test_bounds_the_evidence_by_the_posteriors_divergence(self, perturbation):
        model, evidence, covariance = linear_model(perturbation)
        # log p(x) - ELBO = KL(q || posterior): mean and log-variance are both off by
        # the perturbation.
        gap = 0.5 * (
            np.exp(perturbation) + perturbation**2 / covariance - 1 - perturbation
        )
        for index, x in enumerate(np.random.default_rng(0).normal(size=(3, 3))):
            draws = np.repeat(x[None], 20_000, axis=0).astype("float32")
            elbo = model.elbo(draws, seed=index).numpy().astype("float64")
            error = elbo.std() / np.sqrt(len(elbo))
            # Four standard errors, three examples: error rate 2e-4.
            assert abs(elbo.mean() + gap.sum() - evidence.logpdf(x)) < 4 * error
            assert elbo.mean() <= evidence.logpdf(x) + 4 * error

    def test_gradient_leads_to_the_posterior(self):
        # At the exact posterior the expected gradient is zero.
        model, *_ = linear_model(0.0)
        x = np.repeat([[0.4, -0.9, 0.2]], 20_000, axis=0).astype("float32")
        bias = model.encoder.trainable_variables[1]
        with tf.GradientTape() as tape:
            elbo = tf.reduce_mean(tf.reshape(model.elbo(x, seed=0), (100, 200)), axis=1)
        jacobian = tape.jacobian(elbo, bias).numpy()
        error = jacobian.std(0) / np.sqrt(100)
        # Four standard errors, four numbers: error rate 3e-4.
        assert (abs(jacobian.mean(0)) < 4 * error).all()


def seeds(seed, method="sample"):
    return tf.constant([seed, base._STREAMS.index(method)], "int64")


def importance_weights(x, encode, decode, noise):
    """Returns log p(x|z) p(z) / q(z|x) of each draw, in float64."""
    z, log_q, _ = codes_by_hand(x, encode, noise)
    log_p = bernoulli(x, z @ decode[0] + decode[1]).sum(-1)
    return log_p + stats.norm.logpdf(z).sum(-1) - log_q


def log_mean_exp(log_weights):
    return logsumexp(log_weights, axis=0) - np.log(len(log_weights))


@dataclasses.dataclass(frozen=True)
class Watched(losses.Bernoulli):
    """A Bernoulli likelihood that writes down how large its tensors are."""

    sizes: list = dataclasses.field(default_factory=list)

    def log_probs(self, outputs, x):
        def write(outputs):
            self.sizes.append(outputs.size)
            return outputs

        seen = tf.numpy_function(write, [outputs], tf.float32)
        return super().log_probs(tf.ensure_shape(seen, outputs.shape), x)


class TestImportanceWeightedBound:
    def test_one_draw_is_the_elbo_in_expectation(self):
        model, evidence, covariance = linear_model(0.5)
        gap = 0.5 * (np.exp(0.5) + 0.25 / covariance - 1.5).sum()
        x = np.array([0.4, -0.9, 0.2])
        draws = np.repeat(x[None], 20_000, axis=0).astype("float32")
        want = evidence.logpdf(x) - gap
        # Each within four standard errors: error rate 1.3e-4.
        for bound in (model.iwae(draws, 1, seed=0), model.elbo(draws, seed=1)):
            bound = bound.numpy().astype("float64")
            error = bound.std() / np.sqrt(len(bound))
            assert abs(bound.mean() - want) < 4 * error

    def test_grows_with_k_up_to_the_evidence(self):
        model, evidence, _ = linear_model(0.5)
        x = np.array([0.4, -0.9, 0.2])
        draws = np.repeat(x[None], 2000, axis=0).astype("float32")
        means, errors = [], []
        for k in (1, 4, 16, 64):
            bound = model.iwae(draws, k, seed=k).numpy().astype("float64")
            means.append(bound.mean())
            errors.append(bound.std() / np.sqrt(len(bound)))
        # Steps of four standard errors of each end and more; error rate 6e-5 above.
        for step, before, after in zip(
            np.diff(means), errors, errors[1:], strict=False
        ):
            assert step > 4 * np.hypot(before, after)
        assert means[-1] < evidence.logpdf(x) + 4 * errors[-1]

    def test_many_draws_find_the_evidence(self):
        # A standard error of exp(q's divergence) / sqrt(5000) or so: 0.02 nats.
        model, evidence, _ = linear_model(0.5)
        x = np.random.default_rng(0).normal(size=(5, 3))
        got = model.iwae(x, 5000, seed=0)
        np.testing.assert_allclose(got, evidence.logpdf(x), rtol=0, atol=0.05)

    def test_chunks_that_do_not_divide_k(self, monkeypatch):
        monkeypatch.setattr(bounds, "_NUMBERS_AT_ONCE", 3 * data().size)
        model, encode, decode = tiny()
        noise = [
            drawn(
                (3, 6, 2),
                tf.random.experimental.stateless_fold_in(seeds(7, "iwae"), done),
            )
            for done in (0, 3, 6)
        ]
        log_weights = importance_weights(
            data(), encode, decode, np.concatenate(noise, axis=0)
        )
        for k in (7, 3, 8, 9, 2):
            got = model.iwae(data(), k, seed=7)
            if k < 3:  # in one chunk of its own size
                other = tf.random.experimental.stateless_fold_in(seeds(7, "iwae"), 0)
                first = drawn((k, 6, 2), other)
                want = importance_weights(data(), encode, decode, first)
            else:
                want = log_weights[:k]
            want = log_mean_exp(want)
            bound = RELATIVE * abs(want).max()
            np.testing.assert_allclose(got, want, rtol=0, atol=bound)

    def test_memory_is_bounded(self, monkeypatch):
        monkeypatch.setattr(bounds, "_NUMBERS_AT_ONCE", 10 * data().size + 5)
        watched = Watched()
        model, *_ = tiny(likelihood=watched)
        model.iwae(data(), 95, seed=0)
        assert watched.sizes == [10 * data().size] * 10
        watched.sizes.clear()
        # The batch alone is larger: one draw at a time.
        monkeypatch.setattr(bounds, "_NUMBERS_AT_ONCE", data().size - 1)
        model.iwae(data(), 5, seed=0)
        assert watched.sizes == [data().size] * 5

    def test_thousands_of_draws_of_images_fit_in_the_default_bound(self):
        watched = Watched()
        pair = networks.mlp_autoencoder((8, 8, 1), 2, hidden=())
        model = models.VAE(*pair, likelihood=watched)
        assert np.isfinite(model.iwae(data(100, (8, 8, 1)), 5000, seed=0)).all()
        assert max(watched.sizes) <= bounds._NUMBERS_AT_ONCE
        assert sum(watched.sizes) >= 100 * 64 * 5000

    def test_with_a_flow_and_a_prior_of_its_own(self):
        model, x, y = conditional(
            posterior_flow=[bent(2)], prior_network=affine((3,), 4, 7)[0]
        )
        posterior = model.infer(tf.constant(x), y)
        first = tf.random.experimental.stateless_fold_in(seeds(2, "iwae"), 0)
        z, log_q = posterior.draw(first, 4)
        log_weights = posterior.log_prior(z) - log_q
        for particle in range(4):
            here = model.likelihood(z[particle], y).log_prob(x)
            log_weights += tf.one_hot(particle, 4)[:, None] * here
        want = log_mean_exp(log_weights.numpy())
        got = model.iwae(x, 4, context=y, seed=2)
        np.testing.assert_allclose(got, want, rtol=0, atol=RELATIVE * abs(want).max())

    def test_batches_of_any_size_and_weights_as_they_are(self):
        model, *_ = tiny()
        first = model.iwae(data(), 5, seed=0)
        assert model.iwae(data(3), 5, seed=0).shape == (3,)
        np.testing.assert_array_equal(model.iwae(data(), np.int64(5), seed=0), first)
        assert not np.array_equal(model.iwae(data(), 5), model.iwae(data(), 5))
        bias = model.decoder.trainable_variables[1]
        bias.assign(bias + 1.0)
        assert not np.allclose(model.iwae(data(), 5, seed=0), first, atol=0.01)

    def test_error(self):
        with pytest.raises(ValueError, match="Argument `k` must be positive"):
            tiny()[0].iwae(data(), 0)


class TestIWAE:
    def test_loss_by_hand(self):
        model, encode, decode = tiny(models.IWAE, particles=5)
        noise = next_noise(model.noise, (5, 6, 2))
        terms = model.objective(tf.constant(data()), training=True)
        log_weights = importance_weights(data(), encode, decode, noise)
        want = -log_mean_exp(log_weights).mean()
        assert float(terms["loss"]) == pytest.approx(want, rel=RELATIVE, abs=1e-5)
        elbo = by_hand(data(), encode, decode, noise, bernoulli)
        for name, term in zip(("reconstruction", "divergence"), elbo, strict=True):
            assert float(terms[name]) == pytest.approx(
                term.mean(), rel=RELATIVE, abs=1e-5
            )
        assert want < sum(term.mean() for term in elbo)

    def test_one_particle_is_an_estimate_of_the_elbo(self):
        model, encode, decode = tiny(models.IWAE, particles=1)
        noise = next_noise(model.noise, (1, 6, 2))
        loss = model.objective(tf.constant(data()), training=True)["loss"]
        want = -importance_weights(data(), encode, decode, noise).mean()
        assert float(loss) == pytest.approx(want, rel=RELATIVE, abs=1e-5)

    def test_gradient_reaches_both_networks(self):
        model, *_ = tiny(models.IWAE, particles=4)
        weights = [w.value for w in model.trainable_variables]
        x = tf.constant(data())

        def loss():
            model.test_noise.rewind()  # the same noise each time
            return model.objective(x)["loss"]

        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = loss()
        gradients = tape.gradient(value, weights)
        rng = np.random.default_rng(0)
        for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
            assert (gradient.numpy() != 0).any()
            before, ahead = weight.numpy(), rng.normal(size=weight.shape)
            step = 0.02 / np.linalg.norm(ahead) * ahead
            ends = []
            for sign in (1, -1):
                weight.assign(before + sign * step)
                ends.append(float(loss()))
            weight.assign(before)
            want = (ends[0] - ends[1]) / 2
            # Third derivatives of order one: an error of 0.02^2 / 6, and rounding.
            got = np.sum(gradient * step)
            scale = np.linalg.norm(gradient) * np.linalg.norm(step)
            assert got == pytest.approx(want, abs=3e-3 * scale + 2e-6)


class TestSchedules:
    def model(self):
        schedule = losses.LinearSchedule(0.0, 1.0, steps=10)
        model, *_ = tiny(divergence=losses.KL(schedule))
        model.compile(keras.optimizers.SGD(0.01))
        return model

    def step(self, model):
        """Does one step and returns the weight that the divergence had in it."""
        logs = model.fit(data(), batch_size=6, verbose=0).history
        loss, reconstruction, divergence = (
            logs[name][0] for name in ("loss", "reconstruction", "divergence")
        )
        return (loss - reconstruction) / divergence

    def test_every_step_has_its_weight(self):
        model = self.model()
        for step in range(3):
            assert int(model.step) == step
            # A difference of numbers of about three, in float32.
            assert self.step(model) == pytest.approx(step / 10, abs=1e-5)

    @pytest.mark.slow
    def test_a_saved_model_goes_on_in_mid_schedule(self, tmp_path):
        model = self.model()
        for _ in range(4):
            self.step(model)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert again.divergence == model.divergence
        assert int(again.step) == 4
        assert self.step(again) == pytest.approx(0.4, abs=1e-5)
        assert int(again.step) == 5

    @pytest.mark.slow
    def test_evaluation_sees_the_last_value_and_does_not_count(self):
        model = self.model()
        for _ in range(5):
            self.step(model)
        logs = model.evaluate(data(), batch_size=2, verbose=0, return_dict=True)
        weight = (logs["loss"] - logs["reconstruction"]) / logs["divergence"]
        assert weight == pytest.approx(0.5, abs=1e-5)
        assert int(model.step) == 5


class TestLearnedScale:
    def test_becomes_the_datas_standard_deviation(self):
        # A decoder that knows the mean and ignores the code.
        encoder, decoder = affine((3,), 4, 0)[0], affine((2,), 3, 1)[0]
        decoder.set_weights([np.zeros((2, 3)), np.full(3, 0.3)])
        encoder.trainable = decoder.trainable = False
        model = models.VAE(encoder, decoder, losses.Gaussian("learned"))
        (weight,) = model.trainable_variables
        assert float(weight) == pytest.approx(np.log(0.5))
        rng = np.random.default_rng(0)
        x = rng.normal(0.3, 0.12, size=(256, 3)).astype("float32")
        model.compile(keras.optimizers.Adam(0.1))
        model.fit(np.tile(x, (80, 1)), batch_size=256, shuffle=False, verbose=0)
        want = np.sqrt(np.mean((x - 0.3) ** 2))
        # The loss is flat at its minimum; Adam is there to a percent.
        assert scale_of(float(weight)) == pytest.approx(want, rel=0.01)
        found = model.likelihood(tf.zeros((1, 2))).stddev()
        np.testing.assert_allclose(found, scale_of(float(weight)), rtol=1e-6)

    def test_is_saved(self, tmp_path):
        model, *_ = tiny(likelihood=losses.DiscretizedLogistic("learned", levels=5))
        model.log_scale.weight.assign(-1.7)
        model.compile("sgd")
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(
            again.elbo(data(), seed=1), model.elbo(data(), seed=1)
        )
        model.log_scale.weight.assign(-1.0)
        assert not np.allclose(again.elbo(data(), seed=1), model.elbo(data(), seed=1))

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_in_half_precision(self, policy):
        keras.config.set_dtype_policy(policy)
        pair = networks.mlp_autoencoder((4, 4, 1), 2, hidden=(3,))
        model = models.VAE(*pair, likelihood=losses.Gaussian("learned"))
        x = data(6, (4, 4, 1))
        assert model(x).dtype == model.elbo(x).dtype == tf.float32
        # Keras hands half of the input's digits to `call`.
        bound = {"mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}[policy]
        np.testing.assert_allclose(model(x), model.reconstruct(x), atol=bound)


def bent(dims, hidden=()):
    """Returns a coupling layer with weights of some size."""
    network = networks.mlp((dims,), 2 * dims, hidden=hidden)
    rng = np.random.default_rng(11)
    network.set_weights([rng.normal(0, 0.3, w.shape) for w in network.weights])
    return bijectors.AffineCoupling(network)


class TestPosteriorFlow:
    @pytest.mark.slow
    def test_reaches_a_posterior_that_no_diagonal_does(self):
        # x = W z + s e with columns of W that are not orthogonal: the exact posterior
        # N(P^-1 W' x / s^2, P^-1), P = 1 + W'W / s^2, is correlated. The best diagonal
        # one has the variances 1 / P_dd and the gap (sum log P_dd - log det P) / 2.
        columns, scale = np.array([[1.0, 0.8], [0.6, 1.0]]), 0.4
        precision = np.eye(2) + columns.T @ columns / scale**2
        diagonal = np.log(np.diag(precision))
        gap = 0.5 * (diagonal.sum() - np.linalg.slogdet(precision)[1])
        assert gap > 0.4
        encoder, decoder = affine((2,), 4, 0)[0], affine((2,), 2, 0)[0]
        kernel = columns @ np.linalg.inv(precision) / scale**2
        encoder.set_weights(
            [np.hstack([kernel, np.zeros((2, 2))]), np.hstack([np.zeros(2), -diagonal])]
        )
        decoder.set_weights([columns.T, np.zeros(2)])
        decoder.trainable = False
        likelihood = losses.Gaussian(scale)
        plain = models.VAE(encoder, decoder, likelihood)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(512, 2)) @ columns.T + scale * rng.normal(size=(512, 2))
        covariance = columns @ columns.T + scale**2 * np.eye(2)
        evidence = stats.multivariate_normal([0, 0], covariance).logpdf(x)

        def distance(model):
            """Returns how far the ELBO lies below the evidence, and its error."""
            found = evidence - model.elbo(x, seed=3, particles=50).numpy()
            return found.mean(), found.std() / np.sqrt(len(found))

        before, error = distance(plain)
        # Four standard errors: error rate 6e-5.
        assert abs(before - gap) < 4 * error
        model = models.VAE(
            keras.models.clone_model(encoder),
            decoder,
            likelihood,
            posterior_flow=[bent(2)],
        )
        model.encoder.set_weights(encoder.get_weights())
        model.compile(keras.optimizers.Adam(0.03))
        model.fit(np.tile(x, (60, 1)), batch_size=128, verbose=0)
        after, error = distance(model)
        assert after < 0.25 * gap  # less than a quarter of the way is left
        assert after > -4 * error  # and it is a bound

    def test_elbo_by_the_distributions(self):
        model, *_ = tiny(posterior_flow=[bent(2)])
        x = tf.constant(data())
        z, _ = model.infer(x).draw(seeds(7, "elbo"), 3)
        posterior = model.posterior(x)
        want = model.prior.log_prob(z) - posterior.log_prob(z)
        want = tf.reduce_mean(want, axis=0)
        for codes in z:
            want += model.likelihood(codes).log_prob(x) / 3
        got = model.elbo(x, seed=7, particles=3)
        bound = RELATIVE * abs(want).numpy().max()
        np.testing.assert_allclose(got, want, rtol=0, atol=bound)

    def test_is_trained_and_saved(self, tmp_path):
        model, *_ = tiny(posterior_flow=[bent(2)])
        before = [w.numpy() for w in model.posterior_flow[0].trainable_variables]
        model.compile(keras.optimizers.SGD(0.01))
        model.fit(data(), batch_size=6, verbose=0)
        after = [w.numpy() for w in model.posterior_flow[0].trainable_variables]
        for old, new in zip(before, after, strict=True):
            assert not np.array_equal(old, new)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(
            again.elbo(data(), seed=1), model.elbo(data(), seed=1)
        )

    def test_codes_are_those_of_the_mean(self):
        model, *_ = tiny(posterior_flow=[bent(2), bent(2)])
        mean, _ = model.posterior_parameters(data())
        for layer in reversed(model.posterior_flow):
            mean, _ = layer.forward_and_log_det(mean)
        np.testing.assert_array_equal(model.encode(data()), mean)


def conditional(kind=models.CVAE, classes=3, **kwargs):
    """Returns a conditional model of affine networks, data, and labels."""
    encoder, _ = affine((4,), 4, 0, context_shape=(3,))
    decoder, _ = affine((2,), 4, 1, context_shape=(3,))
    model = kind(encoder, decoder, classes=classes, seed=3, **kwargs)
    return model, data(), np.array([0, 2, 1, 1, 0, 2])


class TestContexts:
    def test_a_prior_alone_may_see_the_context(self):
        encoder, _ = affine((4,), 4, 0, context_shape=(3,))
        decoder, weights = affine((2,), 4, 1)
        prior_network, prior = affine((3,), 4, 7)
        model = models.CVAE(
            encoder, decoder, classes=3, prior_network=prior_network, seed=3
        )
        x, y = data(), np.array([0, 2, 1, 1, 0, 2])
        mean = (np.eye(3)[y] @ prior[0] + prior[1])[:, :2]
        got = model.sample(6, context=y, seed=0, temperature=0.0)
        logits = mean @ weights[0] + weights[1]
        # A dozen products in float32.
        np.testing.assert_allclose(got, 1 / (1 + np.exp(-logits)), rtol=1e-5)
        model.compile("sgd")
        model.fit(x, y, verbose=0)
        assert np.isfinite(model.elbo(x, y, seed=0)).all()

    @pytest.mark.parametrize("own_prior", [False, True])
    def test_elbo_by_hand(self, own_prior):
        prior_network, prior = affine((3,), 4, 7)
        kwargs = {"prior_network": prior_network} if own_prior else {}
        model, x, y = conditional(**kwargs)
        one_hot = np.eye(3)[y]
        encode, decode = model.encoder.get_weights(), model.decoder.get_weights()
        inputs = np.hstack([x, one_hot])
        mean, log_var = np.split(inputs @ encode[0] + encode[1], 2, axis=1)
        loc, log_scale = np.zeros((6, 2)), np.zeros((6, 2))
        if own_prior:
            loc, log_scale = np.split(one_hot @ prior[0] + prior[1], 2, axis=1)
        kl = 0.5 * (
            log_scale
            - log_var
            + (np.exp(log_var) + (mean - loc) ** 2) / np.exp(log_scale)
            - 1
        ).sum(1)

        def elbo(noise):
            z = mean + np.exp(log_var / 2) * noise
            logits = np.hstack([z, one_hot]) @ decode[0] + decode[1]
            return bernoulli(x, logits).sum(1) - kl

        want = elbo(tf.random.stateless_normal((6, 2), seeds(7, "elbo")).numpy())
        got = model.elbo(x, context=y, seed=7)
        np.testing.assert_allclose(got, want, rtol=0, atol=RELATIVE * abs(want).max())
        noise = next_noise(model.noise, (6, 2))
        terms = model.objective(tf.constant(x), y, training=True)
        assert float(terms["loss"]) == pytest.approx(
            -elbo(noise).mean(), rel=RELATIVE, abs=1e-5
        )
        assert float(terms["divergence"]) == pytest.approx(
            kl.mean(), rel=RELATIVE, abs=1e-5
        )

    def test_labels_and_one_hot_vectors_are_the_same(self):
        model, x, y = conditional()
        one_hot = np.eye(3, dtype="float32")[y]
        for labels in (y.astype("int32"), y.astype("float32"), one_hot, list(y)):
            np.testing.assert_array_equal(
                model.elbo(x, labels, seed=0), model.elbo(x, one_hot, seed=0)
            )
            np.testing.assert_array_equal(
                model.iwae(x, 3, labels, seed=0), model.iwae(x, 3, one_hot, seed=0)
            )
            np.testing.assert_array_equal(
                model.reconstruct(x, labels), model([x, one_hot])
            )
        assert not np.allclose(
            model.elbo(x, (y + 1) % 3, seed=0), model.elbo(x, y, seed=0)
        )

    @pytest.mark.parametrize("own_prior", [False, True])
    def test_samples(self, own_prior):
        prior_network, prior = affine((3,), 4, 7)
        kwargs = {"prior_network": prior_network} if own_prior else {}
        model, *_ = conditional(**kwargs)
        twos = model.sample(7, context=2, seed=1)
        np.testing.assert_array_equal(model.sample(7, context=[2] * 7, seed=1), twos)
        in_turn = model.sample(7, seed=1)
        cycle = [0, 1, 2, 0, 1, 2, 0]
        np.testing.assert_array_equal(model.sample(7, context=cycle, seed=1), in_turn)
        np.testing.assert_array_equal(in_turn[2::3], twos[2::3])
        assert not np.allclose(in_turn[::3], twos[::3], atol=1e-3)
        # By hand: the prior of each class, and its noise.
        mean = np.zeros((7, 2))
        scale = np.ones((7, 2))
        if own_prior:
            mean, log_var = np.split(prior[0][2] + prior[1], 2)
            scale = np.exp(log_var / 2)
        noise = tf.random.stateless_normal((7, 2), seeds(1)).numpy()
        for temperature in (1.0, 0.3):
            want = model.decode(mean + temperature * scale * noise, [2] * 7)
            got = model.sample(7, context=2, seed=1, temperature=temperature)
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)  # up to one

    def test_prior_given(self):
        prior_network, prior = affine((3,), 4, 7)
        model, *_ = conditional(prior_network=prior_network)
        given = model.prior_given([2, 0])
        mean, log_var = np.split((prior[0] + prior[1])[[2, 0]], 2, axis=1)
        np.testing.assert_allclose(given.mean(), mean, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(given.stddev(), np.exp(log_var / 2), rtol=1e-5)
        standard = conditional()[0].prior_given([2, 0])
        np.testing.assert_array_equal(standard.mean(), np.zeros((2, 2)))
        np.testing.assert_array_equal(standard.stddev(), np.ones((2, 2)))

    def test_tensors_as_contexts(self):
        model, x, _ = conditional(classes=None)
        context = np.random.default_rng(3).normal(size=(6, 3))
        first = model.elbo(x, context, seed=0)
        assert first.shape == (6,)
        assert not np.allclose(model.elbo(x, context + 1, seed=0), first)
        assert model.sample(6, context=context, seed=0).shape == (6, 4)
        with pytest.raises(
            ValueError, match="conditional: give `context`, one for each"
        ):
            model.sample(6, seed=0)

    def test_networks_of_which_one_is_conditional(self):
        encoder, _ = affine((4,), 4, 0)
        decoder, _ = affine((2,), 4, 1, context_shape=(3,))
        model = models.CVAE(encoder, decoder, classes=3)
        z = model.encode(data())
        np.testing.assert_array_equal(model.encode(data(), [0] * 6), z)
        y = [0, 1, 2, 0, 1, 2]
        want = tf.sigmoid(decoder([z, tf.one_hot(y, 3)]))
        np.testing.assert_array_equal(model.reconstruct(data(), y), want)

    @pytest.mark.slow
    def test_training(self):
        model, x, y = conditional(prior_network=affine((3,), 4, 7)[0])
        model.compile(keras.optimizers.Adam(0.05))
        before = [w.numpy() for w in model.trainable_variables]
        history = model.fit(x, y, epochs=5, verbose=0).history["loss"]
        assert history[-1] < history[0]
        for old, new in zip(before, model.trainable_variables, strict=True):
            assert not np.array_equal(old, new)
        with pytest.raises(ValueError, match=r"data must be pairs \(x, y\)"):
            model.fit(x, verbose=0)

    def test_lines_and_rows_keep_the_context(self):
        model, x, y = conditional()
        path = model.interpolate(x, x[::-1].copy(), 3, context=y)
        np.testing.assert_allclose(path[:, 0], model.reconstruct(x, y), atol=1e-6)
        rows = model.traverse(x[0], values=(-1.0, 2.0), context=y[0])
        z = model.encode(x[:1], y[:1]).numpy()[0]
        for dim in range(2):
            for column, value in enumerate((-1.0, 2.0)):
                code = z.copy()
                code[dim] = value
                want = model.decode(code[None], y[:1])[0]
                np.testing.assert_allclose(rows[dim, column], want, atol=1e-6)

    def test_missing_and_superfluous_contexts(self):
        model, x, _ = conditional()
        for call in (
            lambda: model.elbo(x),
            lambda: model.iwae(x, 3),
            lambda: model.encode(x),
            lambda: model.reconstruct(x),
            lambda: model.complete(x, True),
            lambda: model.objective(tf.constant(x)),
        ):
            with pytest.raises(ValueError, match="`CVAE` is conditional: give"):
                call()
        plain, *_ = tiny()
        for call in (
            lambda: plain.elbo(x, context=[1] * 6),
            lambda: plain.iwae(x, 3, context=[1] * 6),
            lambda: plain.sample(3, context=1),
            lambda: plain.complete(x, True, context=1),
            lambda: plain.prior_given([1]),
        ):
            with pytest.raises(ValueError, match="`VAE` is unconditional"):
                call()


class TestDistributions:
    @pytest.mark.parametrize(
        "likelihood",
        [
            losses.Bernoulli(),
            losses.Gaussian("learned"),
            losses.DiscretizedLogistic("per_value", levels=5),
        ],
        ids=repr,
    )
    def test_are_the_models_own_numbers(self, likelihood):
        model, *_ = tiny(numbers=likelihood.numbers, likelihood=likelihood)
        x = np.round(4 * data()) / 4
        if likelihood == losses.Bernoulli():
            x = np.round(x)
        x = tf.constant(x)
        posterior = model.posterior(x)
        np.testing.assert_array_equal(posterior.mean(), model.encode(x))
        z, log_q = model.infer(x).draw(seeds(4))
        np.testing.assert_allclose(posterior.log_prob(z), log_q, rtol=1e-4, atol=1e-5)
        given = model.likelihood(z[0])
        want = likelihood.log_prob(model.outputs(z[0]), x)
        np.testing.assert_allclose(given.log_prob(x), want, rtol=1e-4, atol=1e-5)
        assert given.sample(5, seed=0).shape == (5, 6, 4)
        np.testing.assert_allclose(
            model.decode(z[0]), likelihood.mean(model.outputs(z[0]))
        )
        elbo = given.log_prob(x) + model.prior.log_prob(z[0]) - posterior.log_prob(z[0])
        single = model.iwae(x, 1, seed=4)  # another draw of the same estimate
        assert elbo.shape == single.shape == (6,)

    def test_prior(self):
        prior = tiny()[0].prior
        assert (prior.batch_shape, prior.event_shape) == ((), (2,))
        z = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
        want = stats.norm.logpdf(z).sum(1)
        np.testing.assert_allclose(prior.log_prob(z), want, rtol=1e-5, atol=1e-5)

    def test_samples_of_a_posterior_with_a_flow(self):
        model, *_ = tiny(posterior_flow=[bent(2)])
        assert model.posterior(data()).sample(7, seed=0).shape == (7, 6, 2)


class TestComplete:
    def test_one_step_by_hand(self):
        model, *_ = tiny()
        known = np.array([True, False, True, False])
        start = np.where(known, data(), 0.5).astype("float32")
        fold = tf.random.experimental.stateless_fold_in(seeds(7, "complete"), 0)
        z, _ = model.infer(tf.constant(start)).draw(fold)
        want = np.where(known, data(), model.decode(z[0]))
        got = model.complete(data(), known, seed=7, steps=1)
        np.testing.assert_array_equal(got, want)

    def test_leaves_what_is_known_and_ignores_the_rest(self):
        model, *_ = tiny()
        known = np.random.default_rng(0).uniform(size=(6, 4)) < 0.5
        got = model.complete(data(), known, seed=7, steps=4).numpy()
        np.testing.assert_array_equal(got[known], data()[known])
        missing = np.where(known, data(), np.nan)
        again = model.complete(missing, known, seed=7, steps=4)
        np.testing.assert_array_equal(again, got)
        other = model.complete(data(), known, seed=8, steps=4).numpy()
        assert not np.array_equal(other[~known], got[~known])
        everything = model.complete(data(), True, seed=7, steps=2)
        np.testing.assert_array_equal(everything, data())

    def test_finds_the_conditional_mean(self):
        # With the exact posterior, means follow the Gibbs sampler's: their fixed point
        # is E[x_missing | x_known] of the linear model.
        model, evidence, _ = linear_model(0.0)
        x = np.repeat([[0.9, 0.0, -0.7]], 8000, axis=0).astype("float32")
        found = model.complete(x, [True, False, True], seed=0, steps=30)[:, 1].numpy()
        mean, covariance = evidence.mean, evidence.cov
        known = [0, 2]
        slope = np.linalg.solve(covariance[np.ix_(known, known)], covariance[known, 1])
        want = mean[1] + slope @ (x[0, known] - mean[known])
        assert abs(want - mean[1]) > 0.2
        # Four standard errors: error rate 6e-5.
        error = found.std() / np.sqrt(len(found))
        assert abs(found.mean() - want) < 4 * error


class TestCodes:
    def codes(self):
        rng = np.random.default_rng(0)
        return rng.normal(size=(2, 5, 2)).astype("float32")

    def identity(self, dims=3):
        """Returns a model whose codes and data are the same."""
        encoder, decoder = affine((dims,), 2 * dims, 0)[0], affine((dims,), dims, 0)[0]
        encoder.set_weights([np.eye(dims, 2 * dims), np.zeros(2 * dims)])
        decoder.set_weights([np.eye(dims), np.zeros(dims)])
        return models.VAE(encoder, decoder, likelihood=losses.Gaussian(1.0))

    def test_straight_lines(self):
        start, end = self.codes()[..., :1].repeat(3, axis=2)
        path = self.identity().interpolate(start, end, 5).numpy()
        want = start[:, None] + (end - start)[:, None] * np.linspace(0, 1, 5)[:, None]
        np.testing.assert_allclose(path, want, atol=1e-6)

    def test_arcs_of_orthogonal_unit_codes(self):
        start = np.array([[1.0, 0, 0], [0, 0, 1.0]], "float32")
        end = np.array([[0, 1.0, 0], [0, -1.0, 0]], "float32")
        path = self.identity().interpolate(start, end, 7, spherical=True).numpy()
        angle = np.linspace(0, np.pi / 2, 7)[:, None]
        want = np.cos(angle) * start[:, None] + np.sin(angle) * end[:, None]
        np.testing.assert_allclose(path, want, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 1, atol=1e-6)

    def test_arcs_by_hand(self):
        # sin((1 - t) a) / sin a and sin(t a) / sin a of codes of any length.
        start = np.array([[2.0, 0, 0]], "float32")
        end = np.array([[1.5, 1.5, 0]], "float32")
        path = self.identity().interpolate(start, end, 3, spherical=True).numpy()
        share = np.sin(np.pi / 8) / np.sin(np.pi / 4)
        np.testing.assert_allclose(path[0, 1], share * (start + end)[0], atol=1e-6)
        np.testing.assert_allclose(path[0, [0, 2]], [start[0], end[0]], atol=1e-6)

    def test_arcs_of_parallel_codes_are_lines(self):
        start = np.array([[1.0, 2.0, 0], [1.0, 0, 0], [0, 0, 0]], "float32")
        end = np.array([[3.0, 6.0, 0], [-1.0, 0, 0], [0, 1.0, 0]], "float32")
        model = self.identity()
        path = model.interpolate(start, end, 5, spherical=True).numpy()
        straight = model.interpolate(start, end, 5).numpy()
        np.testing.assert_allclose(path[:2], straight[:2], atol=1e-4)
        assert np.isfinite(path).all()

    def test_traverse(self):
        rows = self.identity().traverse([0.5, -1.0, 2.0], values=(-3.0, 7.0)).numpy()
        want = [
            [[-3, -1, 2], [7, -1, 2]],
            [[0.5, -3, 2], [0.5, 7, 2]],
            [[0.5, -1, -3], [0.5, -1, 7]],
        ]
        np.testing.assert_allclose(rows, want, atol=1e-6)
        assert self.identity().traverse([0.0, 0.0, 0.0]).shape == (3, 5, 3)

    def test_attribute_vector(self):
        x = np.arange(12.0, dtype="float32").reshape(4, 3)
        model = self.identity()
        got = model.attribute_vector(x, [True, False, False, True])
        np.testing.assert_allclose(got, (x[0] + x[3] - x[1] - x[2]) / 2, atol=1e-6)
        got = model.attribute_vector(x, [0, 1, 0, 0])
        np.testing.assert_allclose(got, x[1] - (x[0] + x[2] + x[3]) / 3, atol=1e-5)
        for has in ([True] * 4, [False] * 4):
            with pytest.raises(
                ValueError, match="Argument `has` must be true for some"
            ):
                model.attribute_vector(x, has)


class TestScores:
    def test_anomaly_score(self):
        model, *_ = tiny()
        got = model.anomaly_score(data())
        np.testing.assert_array_equal(got, -model.elbo(data(), seed=0, particles=10))
        z = model.encode(data())
        want = -bernoulli(data(), model.outputs(z).numpy()).sum(1)
        got = model.anomaly_score(data(), by="reconstruction")
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        with pytest.raises(ValueError, match="Argument `by` must be"):
            model.anomaly_score(data(), by="distance")

    def test_what_the_model_has_not_seen_is_stranger(self):
        model, evidence, _ = linear_model(0.0)
        typical, strange = evidence.mean[None], evidence.mean[None] + [[4.0, -4.0, 4.0]]
        for by in ("elbo", "reconstruction"):
            first, second = (
                float(model.anomaly_score(x, by=by)[0]) for x in (typical, strange)
            )
            assert second > first + 10

    @pytest.mark.parametrize("k", [1, 6])
    def test_bits_per_dim(self, k):
        likelihood = losses.DiscretizedLogistic("learned", levels=9)
        model, *_ = tiny(likelihood=likelihood)
        x = np.round(8 * data()) / 8
        want = -model.iwae(x, k, seed=2) / (4 * np.log(2))
        got = model.bits_per_dim(x, seed=2, k=k)
        np.testing.assert_allclose(got, want, rtol=1e-6)

    def test_bits_of_a_decoder_of_zeros(self):
        # Every pixel costs one bit, and the code nothing.
        model, *_ = tiny()
        for network in (model.encoder, model.decoder):
            network.set_weights([np.zeros(w.shape) for w in network.weights])
        np.testing.assert_allclose(model.bits_per_dim(np.ones((3, 4))), 1, rtol=1e-6)

    def test_no_bits_of_data_of_other_levels(self):
        model, *_ = tiny()
        with pytest.raises(ValueError, match="mass of 2 levels.*Make them binary"):
            model.bits_per_dim(np.full((3, 4), 0.5))
        model, *_ = tiny(likelihood=losses.DiscretizedLogistic(levels=9))
        with pytest.raises(ValueError, match="mass of 9 levels"):
            model.bits_per_dim(np.full((3, 4), 0.5 / 8))

    def test_no_bits_of_a_density(self):
        model, *_ = tiny(likelihood=losses.Gaussian())
        with pytest.raises(ValueError, match="`losses.DiscretizedLogistic` for bits"):
            model.bits_per_dim(data())


def autoregressive(shape=(4, 4, 1), seed=0, **kwargs):
    """Returns a model whose decoder sees the code and the pixels before."""
    z, x = keras.Input((2,)), keras.Input(shape)
    planes = keras.layers.Reshape(shape)(keras.layers.Dense(math.prod(shape))(z))
    both = keras.layers.Concatenate()([x, planes])
    hidden = layers.MaskedConv2D(6, 3, "A", activation="tanh")(both)
    decoder = keras.Model([z, x], layers.MaskedConv2D(shape[-1], 3, "B")(hidden))
    rng = np.random.default_rng(seed)
    decoder.set_weights([rng.normal(0, 0.6, w.shape) for w in decoder.weights])
    encoder, _ = affine(shape, 4, 0)
    return models.VAE(encoder, decoder, autoregressive=True, seed=3, **kwargs)


class TestAutoregressive:
    x = np.round(data(3, (4, 4, 1)))
    z = np.random.default_rng(9).normal(size=(3, 2)).astype("float32")

    def test_order(self):
        model = autoregressive()
        x = tf.constant(self.x[:1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = model.outputs(self.z[:1], x=x)
        jacobian = tape.jacobian(outputs, x).numpy().reshape(16, 16)
        np.testing.assert_array_equal(np.triu(jacobian), 0)
        assert (np.diag(jacobian, -1)[:3] != 0).all()  # the left neighbor
        assert (np.diag(jacobian, -4) != 0).all()  # the one above

    def test_elbo_by_hand(self):
        model = autoregressive()
        posterior = model.infer(tf.constant(self.x))
        noise = tf.random.stateless_normal((3, 2), seeds(7, "elbo"))
        z = posterior.mean + tf.exp(0.5 * posterior.log_var) * noise
        logits = model.decoder([z, tf.constant(2.0 * self.x - 1.0)]).numpy()
        want = bernoulli(self.x, logits).sum((1, 2, 3))
        kl = losses.gaussian_kl(posterior.mean, posterior.log_var)
        want -= kl.numpy().sum(1)
        got = model.elbo(self.x, seed=7)
        assert got.shape == (3,)
        np.testing.assert_allclose(got, want, rtol=0, atol=RELATIVE * abs(want).max())
        given = model.likelihood(z, x=self.x).log_prob(self.x)
        np.testing.assert_allclose(
            given - tf.reduce_sum(kl, 1), got, rtol=1e-5, atol=1e-5
        )
        score = model.anomaly_score(self.x, by="reconstruction")
        seen = tf.constant(2.0 * self.x - 1.0)
        logits = model.decoder([posterior.mean, seen]).numpy()
        np.testing.assert_allclose(
            score, -bernoulli(self.x, logits).sum((1, 2, 3)), rtol=1e-5, atol=1e-5
        )

    def test_sampling_is_ancestral(self):
        model = autoregressive()
        z = model.draw_latents(3, seeds(5))
        x = np.zeros((3, 4, 4, 1), "float32")
        for index in range(16):
            fold = tf.random.experimental.stateless_fold_in(seeds(5), index)
            logits = model.decoder([z, tf.constant(2.0 * x - 1.0)])
            drawn = tfd.Bernoulli(logits=logits).sample(seed=tf.cast(fold, "int32"))
            x[:, index // 4, index % 4] = drawn.numpy()[:, index // 4, index % 4]
        np.testing.assert_array_equal(model.sample(3, seed=5), x)
        assert 0.1 < x.mean() < 0.9

    @pytest.mark.parametrize(
        "kind",
        [
            "none",
            *(pytest.param(k, marks=pytest.mark.slow) for k in ("class", "rescaled")),
        ],
    )
    def test_what_is_kept_of_earlier_pixels_draws_the_same(self, kind):
        decoder = networks.masked_decoder((8, 8, 1), 2, width=4, kernel_size=5)
        if kind != "none":
            label = keras.Input((3,))
            planes = keras.layers.Dense(64)(label)
            planes = keras.layers.Reshape((8, 8, 1))(planes)
            outputs = keras.layers.Add()([decoder.outputs[0], planes])
            decoder = keras.Model([*decoder.inputs, label], outputs)
        encoder, _ = affine((8, 8, 1), 4, 0)
        more = {"classes": 3} if kind == "class" else {}
        given = {"context": 1} if kind == "class" else {}
        if kind == "rescaled":
            more = {"context": models.context.ImageContext(Images((3,)), (-9.0, 9.0))}
            given = {"context": [[0.1, 0.9, 0.3]]}
        model = models.VAE(encoder, decoder, autoregressive=True, **more)
        kept = model.sample(5, seed=2, **given)
        assert model._sampler is not None
        model._sampler = None
        np.testing.assert_array_equal(model.sample(5, seed=2, **given), kept)

    def test_frequencies_of_samples_are_the_likelihood(self):
        # A decoder that does not look at z: p(x) of 16 images by enumeration.
        model = autoregressive((2, 2, 1), seed=4)
        model.decoder.layers[1].kernel.assign(tf.zeros((2, 4)))
        model.decoder.layers[1].bias.assign(tf.zeros(4))
        images = np.array(list(itertools.product([0, 1], repeat=4)), "float32")
        images = images.reshape(16, 2, 2, 1)
        log_mass = model.likelihood(np.zeros((16, 2)), x=images).log_prob(images)
        mass = np.exp(log_mass.numpy().astype("float64"))
        assert mass.sum() == pytest.approx(1, abs=1e-5)  # sixteen numbers in float32
        n = 8000
        drawn = model.sample(n, seed=0).numpy().reshape(n, 4)
        found = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16)
        expected = n * mass / mass.sum()
        # Pearson's test, error rate 1e-4.
        assert stats.chisquare(found, expected).pvalue > 1e-4

    @pytest.mark.slow
    def test_decoding(self):
        model = autoregressive()
        first = model.decode(self.z)
        np.testing.assert_array_equal(model.decode(self.z), first)
        assert set(np.unique(first)) == {0, 1}
        assert model.reconstruct(self.x).shape == (3, 4, 4, 1)
        assert model.iwae(self.x, 3, seed=0).shape == (3,)

    @pytest.mark.slow
    def test_training(self):
        model = autoregressive()
        model.compile(keras.optimizers.Adam(0.05))
        x = np.tile(np.round(data(32, (4, 4, 1))), (8, 1, 1, 1))
        history = model.fit(x, batch_size=32, epochs=2, verbose=0).history["loss"]
        assert history[-1] < history[0]


def test_encoder_with_two_outputs():
    model, encode, _ = tiny()
    inputs = keras.Input((4,))
    mean, log_var = keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)
    encoder = keras.Model(inputs, [mean, log_var])
    kernels, biases = (np.split(w, 2, axis=-1) for w in encode)
    encoder.set_weights([kernels[0], biases[0], kernels[1], biases[1]])
    other = models.VAE(encoder, model.decoder, seed=3)
    x = tf.constant(data())
    # Products of another matrix shape.
    want = float(model.objective(x)["loss"])
    assert float(other.objective(x)["loss"]) == pytest.approx(
        want, rel=RELATIVE, abs=1e-5
    )


def test_reconstruction_goes_by_way_of_the_mean():
    model, encode, decode = tiny()
    mean = (data() @ encode[0] + encode[1])[:, :2]
    want = 1 / (1 + np.exp(-(mean @ decode[0] + decode[1])))
    np.testing.assert_allclose(
        model.encode(data()), mean, atol=RELATIVE * abs(mean).max()
    )
    for got in (model.reconstruct(data()), model(data())):
        np.testing.assert_allclose(got, want, atol=RELATIVE * want.max())


def test_interpolation_ends_at_the_reconstructions():
    model, *_ = tiny()
    start, end = data(), data()[::-1].copy()
    path = model.interpolate(start, end, 5)
    assert path.shape == (6, 5, 4)
    # The codes at the ends are 1 * z + 0 * other: exact.
    np.testing.assert_array_equal(path[:, 0], model.reconstruct(start))
    np.testing.assert_array_equal(path[:, -1], model.reconstruct(end))
    middle = model.decode(0.5 * (model.encode(start) + model.encode(end)))
    np.testing.assert_allclose(path[:, 2], middle, atol=1e-6)  # of numbers up to one


@pytest.mark.slow
def test_training_lowers_the_loss():
    model, *_ = tiny()
    model.compile(keras.optimizers.Adam(0.05))
    losses_ = model.fit(data(64), batch_size=16, epochs=8, verbose=0).history["loss"]
    assert losses_[-1] < losses_[0]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda e, d: models.VAE(e, networks.mlp((3,), 4)), "must agree"),
        (lambda e, d: models.VAE(networks.mlp((4,), 3), d), "must agree"),
        (lambda e, d: models.VAE(e, networks.mlp((2,), 1)), "must agree"),
        (lambda e, d: models.VAE(e, networks.mlp((2,), (4, 1))), "must agree"),
        (
            lambda e, d: models.VAE(keras.Sequential([keras.layers.Dense(4)]), d),
            "Argument `encoder` must be a built network .* Received: encoder=",
        ),
        (
            lambda e, d: models.VAE(e, keras.Sequential([keras.layers.Dense(4)])),
            "Argument `decoder` must be a built network .* Received: decoder=",
        ),
        (
            lambda e, d: models.VAE(e, d, likelihood=losses.Gaussian("per_value")),
            r"likelihood needs outputs of shape \(8,\)",
        ),
        (
            lambda e, d: models.VAE(e, d, particles=0),
            "Argument `particles` must be positive. Received: particles=0",
        ),
        (
            lambda e, d: models.VAE(
                e, d, divergence=losses.KL(2.0), importance_weighted=True
            ),
            r"Argument `divergence` must be KL\(\) with `importance_weighted`",
        ),
        (
            lambda e, d: models.BetaTCVAE(e, d, 50, posterior_flow=[bent(2)]),
            "Argument `divergence` must not be TotalCorrelation",
        ),
        (
            lambda e, d: models.VAE(e, d, classes=3),
            "Argument `classes` must be None for an unconditional model",
        ),
        (
            lambda e, d: models.CVAE(e, d, classes=3),
            "Argument `classes` must be None for an unconditional model",
        ),
        (
            lambda e, d: models.CVAE(e, d),
            r"Argument `decoder` must take \[code, context\]",
        ),
        (
            lambda e, d: models.VAE(affine((4,), 4, 0, context_shape=(3,))[0], d),
            r"Argument `decoder` must take \[code, context\] where the encoder takes",
        ),
        (
            lambda e, d: models.VAE(
                e, affine((2,), 4, 0, context_shape=(4,))[0], autoregressive=True
            ),
            "Argument `autoregressive` must be False for data other than images",
        ),
        (
            lambda e, d: models.BetaVAE(e, d, beta=-1),
            "Argument `beta` must be non-negative. Received: beta=-1",
        ),
        (
            lambda e, d: models.VAE(e, d, network_range=(1, 0)),
            r"Argument `network_range` .* Received: network_range=\(1, 0\)",
        ),
    ],
)
def test_errors(make, match):
    encoder, _ = affine((4,), 4, 0)
    decoder, _ = affine((2,), 4, 1)
    with pytest.raises(ValueError, match=match):
        make(encoder, decoder)


def test_no_exact_density():
    with pytest.raises(NotImplementedError, match=r"`VAE` has no .* `elbo\(x\)`"):
        tiny()[0].log_prob(data())
