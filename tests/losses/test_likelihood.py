import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from keras_gen.losses import Bernoulli, Gaussian

tfd = tfp.distributions
every_shape = pytest.mark.parametrize("shape", [(6,), (4, 5, 3)], ids=str)


def outputs_for(shape):
    return 2.0 * tf.random.stateless_normal((7, *shape), (0, 1))


def uniform(shape):
    return tf.random.stateless_uniform((7, *shape), (0, 2))


def summed(log_prob):
    return log_prob.numpy().astype("float64").reshape(7, -1).sum(1)


def assert_close(got, want):
    # Sums of 60 numbers in float32.
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=2e-6 * abs(want).max())


@every_shape
def test_bernoulli_against_tfp(shape):
    logits, x = outputs_for(shape), tf.round(uniform(shape))
    want = summed(tfd.Bernoulli(logits=logits).log_prob(x))
    assert_close(Bernoulli().log_prob(logits, x), want)
    # One sigmoid in float32.
    np.testing.assert_allclose(
        Bernoulli().mean(logits), 1 / (1 + np.exp(-logits)), atol=1e-6
    )


def test_bernoulli_mass_sums_to_one():
    images = np.array(list(itertools.product([0, 1], repeat=4)), "float32")
    logits = tf.constant([0.3, -2.0, 1.5, 4.0])
    shape = (16, 2, 2, 1)
    got = Bernoulli().log_prob(
        tf.reshape(tf.repeat(logits[None], 16, axis=0), shape), images.reshape(shape)
    )
    # Sixteen exponentials in float32.
    assert np.exp(got.numpy().astype("float64")).sum() == pytest.approx(1, abs=1e-6)


def test_bernoulli_of_fractions_is_a_cross_entropy():
    x, p = np.float32([[0.25, 0.5, 1.0]]), np.array([0.1, 0.6, 0.9])
    logits = np.log(p / (1 - p)).astype("float32")[None]
    want = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)
    assert_close(Bernoulli().log_prob(tf.constant(logits), tf.constant(x)), want)


def test_bernoulli_at_extreme_logits():
    logits = tf.constant([[1e4, 1e4, -1e4, -1e4]])
    x = tf.constant([[1.0, 0.0, 1.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = Bernoulli().log_prob(logits, x)
    np.testing.assert_array_equal(value, [-2e4])
    np.testing.assert_array_equal(tape.gradient(value, logits), [[0, -1, 1, 0]])


def test_bernoulli_accepts_integers():
    x = np.array([[0, 1, 1]])
    got = Bernoulli().log_prob(tf.zeros((1, 3)), x)
    assert_close(got, np.array([-3 * np.log(2.0)]))


@every_shape
@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_gaussian(shape, scale):
    mean, x = outputs_for(shape), uniform(shape)
    want = stats.norm.logpdf(x.numpy().astype("float64"), mean, scale)
    got = Gaussian(scale).log_prob(mean, x)
    assert_close(got, want.reshape(7, -1).sum(1))
    assert_close(got, summed(tfd.Normal(mean, scale).log_prob(x)))


def test_gaussian_mean_is_the_output_and_images_stay_in_range():
    vectors = tf.constant([[-1.0, 0.5, 2.0]])
    np.testing.assert_array_equal(Gaussian().mean(vectors), vectors)
    images = tf.reshape(vectors, (1, 1, 3, 1))
    np.testing.assert_array_equal(
        tf.reshape(Gaussian().mean(images), (1, 3)), [[0, 0.5, 1]]
    )


@pytest.mark.parametrize("scale", [0, -1.0])
def test_gaussian_errors(scale):
    match = f"Argument `scale` must be positive. Received: scale={scale}"
    with pytest.raises(ValueError, match=match):
        Gaussian(scale)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.5)])
def test_half_precision_outputs_are_summed_in_float32(likelihood):
    outputs = tf.cast(outputs_for((4, 5, 3)), "float16")
    x = uniform((4, 5, 3))
    got = likelihood.log_prob(outputs, x)
    assert got.dtype == "float32"
    assert_close(got, likelihood.log_prob(tf.cast(outputs, "float32"), x).numpy())
    assert likelihood.mean(outputs).dtype == "float32"


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.5)])
def test_jit_compile(likelihood):
    logits, x = outputs_for((4, 5, 3)), uniform((4, 5, 3))
    got = tf.function(likelihood.log_prob, jit_compile=True)(logits, x)
    assert_close(got, likelihood.log_prob(logits, x).numpy())
