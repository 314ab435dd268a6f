import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import layers, losses, models, networks


def affine(shape, output_shape, seed):
    network = networks.mlp(shape, output_shape, hidden=())
    rng = np.random.default_rng(seed)
    network.set_weights([rng.normal(0, 0.5, w.shape) for w in network.weights])
    return network


def tiny(kind=models.Autoencoder, **kwargs):
    return kind(affine((4,), 2, 0), affine((2,), 4, 1), seed=3, **kwargs)


def data(n=6, seed=5):
    return np.random.default_rng(seed).normal(size=(n, 4)).astype("float32")


def test_objective_by_hand():
    model, x = tiny(), data()
    restored = model.decoder(model.encoder(x)).numpy().astype("float64")
    squares = (restored - x) ** 2
    terms = model.objective(tf.constant(x))
    want = 0.5 * squares.sum(1).mean() + 4 * 0.5 * np.log(2 * np.pi)
    assert float(terms["loss"]) == pytest.approx(want, rel=1e-5)
    assert float(terms["squared_error"]) == pytest.approx(squares.mean(), rel=1e-5)


@pytest.mark.slow
def test_linear_with_few_units_it_finds_what_pca_finds():
    # Data of rank two in four dimensions: nothing is lost by either.
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(256, 2)) @ rng.normal(size=(2, 4))).astype("float32")
    model = tiny()
    model.compile(keras.optimizers.Adam(0.05))
    model.fit(x, batch_size=64, epochs=150, verbose=0)
    assert model.evaluate(x, verbose=0, return_dict=True)["squared_error"] < 1e-2


@pytest.mark.slow
def test_the_gaussian_of_the_codes_follows_them():
    model = tiny(momentum=0.5)
    model.compile(keras.optimizers.SGD(0.0))
    x = data(64)
    model.fit(x, batch_size=64, epochs=20, verbose=0)
    z = model.encode(x).numpy()
    np.testing.assert_allclose(model.code_mean, z.mean(0), atol=1e-4)
    covariance = np.cov(z.T, bias=True)
    np.testing.assert_allclose(model.code_covariance, covariance, atol=1e-4)
    draws = model.draw_latents(40_000, tf.constant([1, 2], "int64")).numpy()
    # Five standard errors of means and of covariances, each below 1 / sqrt(n) times
    # the largest variance: error rate below 1e-5.
    bound = 5 * np.sqrt(2.0) * covariance.max() / 200
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=bound)
    log_prob = model.prior.log_prob(z[:3])
    assert log_prob.shape == (3,)


def test_nothing_of_the_first_gaussian_is_left_after_a_step():
    model, parts = tiny(momentum=0.75), [data(8, seed) for seed in (0, 1)]
    for x in parts:
        model.objective(tf.constant(x), training=True)
    codes = [model.encode(x).numpy() for x in parts]
    mean = (0.75 * codes[0].mean(0) + codes[1].mean(0)) / 1.75
    within = [np.cov(z.T, bias=True) for z in codes]
    # Some roundings in float32.
    np.testing.assert_allclose(model.code_mean, mean, atol=1e-6)
    np.testing.assert_allclose(
        model.code_covariance, (0.75 * within[0] + within[1]) / 1.75, atol=1e-6
    )


def test_a_skipped_step_leaves_the_gaussian_where_it_was():
    model = tiny()
    model.compile("sgd", run_eagerly=True)
    with pytest.warns(UserWarning, match="skipped"):
        model.fit(np.full((4, 4), np.nan, "float32"), verbose=0)
    np.testing.assert_array_equal(model.code_mean, np.zeros(2))
    model.fit(data(), verbose=0)
    assert abs(model.code_mean.numpy()).min() > 1e-3


def test_corruption_spoils_training_alone():
    noisy = tiny(models.DenoisingAutoencoder, corruption=layers.GaussianNoise(5.0))
    plain = tiny()
    x = tf.constant(data())
    spoiled = noisy.objective(x, training=True)["loss"]
    assert abs(float(spoiled) - float(plain.objective(x)["loss"])) > 0.1
    assert float(noisy.objective(x)["loss"]) == float(plain.objective(x)["loss"])


@pytest.mark.slow
def test_denoising_moves_noisy_data_back():
    rng = np.random.default_rng(0)
    clean = np.repeat(rng.normal(size=(512, 1)), 8, axis=1).astype("float32")
    noise = rng.normal(0, 0.5, clean.shape).astype("float32")
    pair = networks.mlp_autoencoder((8,), 2, (16,), variational=False)
    model = models.DenoisingAutoencoder(*pair, corruption=layers.GaussianNoise(0.5))
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(clean[:256], batch_size=32, epochs=40, verbose=0)
    noisy = clean[256:] + noise[256:]
    error = np.mean((model.reconstruct(noisy) - clean[256:]) ** 2)
    assert error < 0.5 * np.mean(noise[256:] ** 2)


def test_anomaly_score_is_the_squared_error():
    model, x = tiny(), data()
    want = ((model.reconstruct(x).numpy() - x) ** 2).sum(1)
    np.testing.assert_allclose(model.anomaly_score(x), want, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: models.Autoencoder(affine((4,), 3, 0), affine((2,), 4, 1)),
            "must agree on the code",
        ),
        (
            lambda: models.Autoencoder(affine((4,), 2, 0), affine((2,), 3, 1)),
            "must agree on the data",
        ),
        (lambda: tiny(likelihood=losses.Gaussian("learned")), "no scale to learn"),
        (lambda: tiny(momentum=1.0), "Argument `momentum` must be in"),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_no_density():
    with pytest.raises(NotImplementedError, match="Use a `VAE`"):
        tiny().log_prob(data())
