import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen.losses import gaussian_kl

tfd = tfp.distributions
MEANS = np.array([-3.0, -0.5, 0.0, 1.0, 4.0], "float32")
LOG_VARS = np.array([-8.0, -1.0, 0.0, 0.5, 3.0], "float32")


def grid():
    return (tf.constant(a) for a in np.meshgrid(MEANS, LOG_VARS))


def test_against_tfp():
    mean, log_var = grid()
    scale = tf.exp(0.5 * log_var)
    want = tfd.kl_divergence(tfd.Normal(mean, scale), tfd.Normal(0.0, 1.0))
    got = gaussian_kl(mean, log_var)
    assert got.shape == mean.shape
    # Four terms in float32.
    np.testing.assert_allclose(got, want, atol=1e-6 * want.numpy().max())


def test_against_monte_carlo():
    # Within four standard errors at three places: error rate 2e-4.
    draws = np.random.default_rng(0).normal(size=200_000)
    for mean, log_var in ((0.7, -0.8), (-2.0, 1.0), (0.0, 0.4)):
        z = mean + np.exp(0.5 * log_var) * draws
        log_q = -0.5 * (draws**2 + log_var)  # both without log(2 pi) / 2
        log_p = -0.5 * z**2
        ratio = log_q - log_p
        error = ratio.std() / np.sqrt(len(ratio))
        got = float(gaussian_kl(tf.constant(mean), tf.constant(log_var)))
        assert abs(got - ratio.mean()) < 4 * error


def test_zero_for_the_prior_and_positive_elsewhere():
    mean, log_var = grid()
    got = gaussian_kl(mean, log_var).numpy()
    prior = (mean.numpy() == 0) & (log_var.numpy() == 0)
    assert prior.sum() == 1
    np.testing.assert_array_equal(got == 0, prior)
    assert (got >= 0).all()


def test_gradient():
    # d/dm = m, d/d log v = (v - 1) / 2.
    mean, log_var = grid()
    with tf.GradientTape() as tape:
        tape.watch([mean, log_var])
        value = gaussian_kl(mean, log_var)
    by_mean, by_log_var = tape.gradient(value, [mean, log_var])
    # One product in float32.
    np.testing.assert_allclose(by_mean, mean, rtol=1e-6)
    want = 0.5 * (np.exp(log_var.numpy()) - 1)
    np.testing.assert_allclose(by_log_var, want, atol=1e-6 * abs(want).max())
