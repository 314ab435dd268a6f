import numpy as np
import pytest
import tensorflow as tf

from keras_gen.bijectors import Planar, Radial
from tests.bijectors.cases import assert_close, log_volume, perturbed


def test_planar_by_hand():
    layer = Planar(2)
    layer.parameters.assign([1.0, 2.0, 0.3, -0.1, 0.5])  # w, u, b
    x = np.random.default_rng(0).normal(size=(7, 2))
    w, u = np.array([1.0, 2.0]), np.array([0.3, -0.1])
    inside = np.log(1 + np.exp(w @ u + np.log(np.e - 1))) - 1
    u = u + (inside - w @ u) * w / (w @ w)
    bend = np.tanh(x @ w + 0.5)
    z, log_det = layer.inverse_and_log_det(tf.constant(x, "float32"))
    # The smallest slope, 1e-3, is part of the softplus.
    assert_close(z, x + bend[:, None] * u, 1e-3)
    np.testing.assert_allclose(log_det, np.log1p((1 - bend**2) * (w @ u)), atol=2e-3)


def test_radial_by_hand():
    layer = Radial(3)
    layer.parameters.assign([1.0, -1.0, 0.5, 0.7, 1.2])  # c, a, beta
    x = np.random.default_rng(0).normal(size=(7, 3))
    a, e = np.log1p(np.exp(0.7)) + 1e-3, np.e
    beta = np.log1p(np.exp(1.2 + np.log(e - 1))) - a
    away = x - [1.0, -1.0, 0.5]
    r = np.linalg.norm(away, axis=1)
    h = 1 / (a + r)
    z, log_det = layer.inverse_and_log_det(tf.constant(x, "float32"))
    # The smallest slope, 1e-3, is part of the softplus.
    assert_close(z, x + beta * h[:, None] * away, 1e-3)
    # The paper's equation 14: h' = -h^2.
    want = 2 * np.log1p(beta * h) + np.log1p(beta * h - beta * r * h**2)
    np.testing.assert_allclose(log_det, want, atol=2e-3)


def test_zero_parameters_are_the_identity():
    layer = Planar(2)
    layer.parameters.assign(tf.zeros(5))
    x = tf.random.stateless_normal((7, 2), (0, 1))
    z, log_det = layer.inverse_and_log_det(x)
    np.testing.assert_allclose(z, x, atol=1e-6)
    np.testing.assert_allclose(log_det, np.zeros(7), atol=1e-6)


@pytest.mark.parametrize("small", [1e-8, 1e-4])
def test_a_short_direction_moves_little(small):
    layer = Planar(2)
    layer.parameters.assign([small, 0.0, 0.5, 0.5, 0.3])
    x = tf.random.stateless_normal((7, 2), (0, 1))
    z, _ = layer.inverse_and_log_det(x)
    # u is about as long as it was given.
    assert abs(z - x).numpy().max() < 1.0


@pytest.mark.parametrize("kind", [Planar, Radial])
@pytest.mark.parametrize("scale", [1.0, 5.0, 30.0])
def test_extreme_parameters_are_finite_and_come_back(kind, scale):
    x = tf.random.stateless_normal((50, 2), (0, 1))
    for seed in range(5):
        layer = perturbed(kind(2), scale, seed)
        with tf.GradientTape() as tape:
            tape.watch(x)
            z, log_det = layer.inverse_and_log_det(x)
            total = tf.reduce_sum(z) + tf.reduce_sum(log_det)
        assert np.isfinite(log_det).all()
        for gradient in tape.gradient(total, [x, *layer.trainable_variables]):
            assert np.isfinite(gradient).all()
        back, other = layer.forward_and_log_det(z)
        # z comes back, even where a slope of 1e-3 does not tell data apart.
        again, _ = layer.inverse_and_log_det(back)
        size = max(1.0, abs(z).numpy().max(), scale)
        np.testing.assert_allclose(again, z, rtol=0, atol=1e-4 * size)
        assert np.isfinite(other).all()


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_fold_that_would_not_come_back_is_opened(dims):
    layer = Planar(dims)
    values = np.zeros(2 * dims + 1)
    values[0], values[dims] = 10.0, -10.0  # w.u = -100
    layer.parameters.assign(values)
    x = tf.zeros((1, dims))
    _, log_det = layer.inverse_and_log_det(x)
    # A slope of a thousandth, where 1 + w.u (1 - tanh^2) would be -99.
    assert float(log_det[0]) == pytest.approx(np.log(1e-3), rel=1e-3)
    want = log_volume(lambda x: layer.inverse_and_log_det(x)[0], x[0])
    # One minus a number near to it: three digits.
    assert float(log_det[0]) == pytest.approx(want, rel=1e-3)


def test_the_center_has_gradients():
    layer = Radial(2)
    layer.parameters.assign([0.5, -0.5, 0.0, -40.0])  # beta = -a, nearly
    x = tf.constant([[0.5, -0.5]])
    for function in (layer.inverse_and_log_det, layer.forward_and_log_det):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z, log_det = function(x)
            total = tf.reduce_sum(z) + tf.reduce_sum(log_det)
        np.testing.assert_allclose(z, x)
        assert np.isfinite(log_det).all()
        for gradient in tape.gradient(total, [x, *layer.trainable_variables]):
            assert np.isfinite(gradient).all()
