import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from keras_gen import losses, models, networks

tfd = tfp.distributions


def affine(shape, output_shape, seed):
    """Returns a network of one dense layer with weights of some size, and those."""
    network = networks.mlp(shape, output_shape, hidden=())
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.5, w.shape) for w in network.weights]
    network.set_weights(weights)
    return network, weights


def tiny(kind=models.VAE, **kwargs):
    encoder, encode = affine((4,), 4, 0)
    decoder, decode = affine((2,), 4, 1)
    return kind(encoder, decoder, seed=3, **kwargs), encode, decode


def data(n=6, shape=(4,)):
    return np.random.default_rng(5).uniform(size=(n, *shape)).astype("float32")


def by_hand(x, encode, decode, noise, log_prob):
    """Returns -log p(x|z) and KL of each example, in float64."""
    mean, log_var = np.split(x @ encode[0] + encode[1], 2, axis=1)
    z = mean + np.exp(log_var / 2) * noise
    outputs = z @ decode[0] + decode[1]
    divergence = 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(1)
    return -log_prob(x, outputs).sum(1), divergence


def bernoulli(x, logits):
    p = 1 / (1 + np.exp(-logits))
    return x * np.log(p) + (1 - x) * np.log(1 - p)


def next_noise(stream, shape):
    """Returns what the model draws next from one of its streams."""
    state = tf.constant(stream.get_weights()[0])
    seed = tf.random.experimental.stateless_fold_in(state, tf.constant(0, "int64"))
    return tf.random.stateless_normal(shape, seed).numpy()


# Sums of some ten products in float32.
RELATIVE = 1e-5


class TestObjective:
    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize(
        ("likelihood", "log_prob"),
        [
            (None, bernoulli),
            (losses.Gaussian(0.5), lambda x, m: stats.norm.logpdf(x, m, 0.5)),
        ],
    )
    def test_by_hand(self, training, likelihood, log_prob):
        model, encode, decode = tiny(likelihood=likelihood)
        stream = model.noise if training else model.test_noise
        noise = next_noise(stream, (6, 2))
        terms = model.objective(tf.constant(data()), training=training)
        want = by_hand(data(), encode, decode, noise, log_prob)
        reconstruction, divergence = (term.mean() for term in want)
        assert float(terms["reconstruction"]) == pytest.approx(
            reconstruction, rel=RELATIVE
        )
        assert float(terms["divergence"]) == pytest.approx(divergence, rel=RELATIVE)
        total = reconstruction + divergence
        assert float(terms["loss"]) == pytest.approx(total, rel=RELATIVE)

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
                    want, rel=RELATIVE
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
        assert float(got["loss"]) == pytest.approx(loss, rel=RELATIVE)

    def test_default_beta(self):
        assert tiny(models.BetaVAE)[0].divergence_weight == 4.0

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


class TestElbo:
    @pytest.mark.parametrize("likelihood", [losses.Bernoulli(), losses.Gaussian(0.3)])
    def test_is_the_likelihood_less_the_divergence(self, likelihood):
        model, *_ = tiny(likelihood=likelihood)
        x = tf.constant(data())
        mean, log_var = model.posterior_parameters(x)
        noise = tf.random.stateless_normal((6, 2), tf.constant([7, 0], "int64"))
        z = mean + tf.exp(0.5 * log_var) * noise
        posterior = tfd.MultivariateNormalDiag(mean, tf.exp(0.5 * log_var))
        want = likelihood.log_prob(model.decoder(z), x)
        want -= tfd.kl_divergence(posterior, tfd.MultivariateNormalDiag(tf.zeros(2)))
        got = model.elbo(x, seed=7)
        assert got.shape == (6,)
        largest = abs(want).numpy().max()
        np.testing.assert_allclose(got, want, rtol=0, atol=RELATIVE * largest)

    def test_seed(self):
        model, *_ = tiny()
        first = model.elbo(data(), seed=7)
        np.testing.assert_array_equal(model.elbo(data(), seed=7), first)
        assert not np.array_equal(model.elbo(data(), seed=8), first)
        assert not np.array_equal(model.elbo(data()), model.elbo(data()))

    def linear_model(self, perturbation):
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

    @pytest.mark.parametrize("perturbation", [0.0, 0.5])
    def test_bounds_the_evidence_by_the_posteriors_divergence(self, perturbation):
        model, evidence, covariance = self.linear_model(perturbation)
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
        model, *_ = self.linear_model(0.0)
        x = np.repeat([[0.4, -0.9, 0.2]], 20_000, axis=0).astype("float32")
        bias = model.encoder.trainable_variables[1]
        with tf.GradientTape() as tape:
            elbo = tf.reduce_mean(tf.reshape(model.elbo(x, seed=0), (100, 200)), axis=1)
        jacobian = tape.jacobian(elbo, bias).numpy()
        error = jacobian.std(0) / np.sqrt(100)
        # Four standard errors, four numbers: error rate 3e-4.
        assert (abs(jacobian.mean(0)) < 4 * error).all()


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
    assert float(other.objective(x)["loss"]) == pytest.approx(want, rel=RELATIVE)


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
