import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from keras_gen.bijectors import Equalize, Logit, Squeeze


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.2])
def test_logit_by_hand(margin):
    x = np.linspace(0.01, 0.99, 9)[None]
    p = margin + (1 - 2 * margin) * x
    z, log_det = Logit(1, margin=margin).inverse_and_log_det(tf.constant(x, "float32"))
    want = np.log(p / (1 - p))
    # Few roundings in float32.
    np.testing.assert_allclose(z, want, atol=1e-6 * abs(want).max())
    # dz/dx = (1 - 2 margin) / (p (1 - p)).
    want = np.log((1 - 2 * margin) / (p * (1 - p))).sum(1)
    np.testing.assert_allclose(log_det, want, rtol=1e-6, atol=1e-5)
    x, log_det = Logit(1, margin=margin).forward_and_log_det(z)
    np.testing.assert_allclose(log_det, -want, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("shape", [(2,), (3, 4), (4, 4, 3)], ids=str)
def test_logit_sums_over_the_event(shape):
    x = tf.random.stateless_uniform((5, *shape), (0, 1))
    _, log_det = Logit(len(shape), margin=0.0).inverse_and_log_det(x)
    x = x.numpy().astype("float64")
    want = -(np.log(x) + np.log1p(-x)).reshape(5, -1).sum(1)
    # Sums of 48 logarithms in float32.
    np.testing.assert_allclose(log_det, want, rtol=1e-5, atol=1e-5)


def test_logit_at_the_ends_of_the_data():
    z, log_det = Logit(1).inverse_and_log_det(tf.constant([[0.0], [1.0]]))
    # log1p(-0.95) loses five bits.
    np.testing.assert_allclose(
        z[:, 0], [special.logit(0.05), special.logit(0.95)], 1e-6
    )
    # dz/dx = 0.9 / (0.05 * 0.95) at both.
    np.testing.assert_allclose(log_det, np.log(0.9 / 0.0475), rtol=1e-6, atol=1e-5)


def test_logit_in_the_tails_of_the_codes():
    # The density of a sample is finite as far as a flow may ever reach.
    z = tf.constant([[-80.0], [-30.0], [30.0], [80.0]])
    x, log_det = Logit(1).forward_and_log_det(z)
    assert np.isfinite(x).all()
    # log dx/dz = -|z| - log 0.9 there, to one rounding of the largest.
    np.testing.assert_allclose(
        log_det, -abs(z[:, 0]) - np.log(0.9), rtol=1e-6, atol=1e-5
    )


@pytest.mark.parametrize("margin", [-0.1, 0.5])
def test_logit_errors(margin):
    match = rf"Argument `margin` must be in \[0, 0.5\). Received: margin={margin}"
    with pytest.raises(ValueError, match=match):
        Logit(margin=margin)


def test_squeeze_takes_blocks_of_four():
    x = np.arange(4 * 6 * 2, dtype="float32").reshape(1, 4, 6, 2)
    z, log_det = Squeeze().inverse_and_log_det(tf.constant(x))
    assert z.shape == (1, 2, 3, 8)
    np.testing.assert_array_equal(log_det, [0])
    for row in range(2):
        for column in range(3):
            block = x[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            np.testing.assert_array_equal(z[0, row, column], block.ravel())


@pytest.mark.parametrize("shape", [(3, 4, 1), (4, 3, 1)])
def test_squeeze_needs_even_sides(shape):
    with pytest.raises(ValueError, match="even sides"):
        Squeeze().latent_shape(shape)


class TestEqualize:
    def fitted(self, x, levels):
        layer = Equalize(x.shape[-1], levels, len(x.shape) - 1)
        z = layer.initialize(tf.constant(x, "float32"))
        return layer, z.numpy()

    def test_by_hand(self):
        # Three of four values in the lower half, a hundredth of the mass even.
        layer, _ = self.fitted(np.array([[0.1], [0.2], [0.3], [0.9]]), 2)
        low = 0.99 * 0.75 + 0.005
        x = tf.constant([[0.0], [0.25], [0.5], [0.75], [1.0], [1.5], [-0.5]])
        z, log_det = layer.inverse_and_log_det(x)
        high = 1.0 - low
        want = [0.0, low / 2, low, low + high / 2, 1.0, 1.0 + high, -low]
        np.testing.assert_allclose(z[:, 0], want, atol=1e-6)
        slopes = [2 * low] * 2 + [2 * high] * 4 + [2 * low]
        np.testing.assert_allclose(log_det, np.log(slopes), atol=1e-6)

    def test_each_channel_becomes_even(self):
        rng = np.random.default_rng(0)
        black = rng.random((64, 8, 8, 1)) < 0.8
        first = np.where(black, 0, rng.integers(0, 256, black.shape))
        second = np.minimum(rng.geometric(0.02, black.shape), 255)
        x = (np.concatenate([first, second], -1) + rng.random((64, 8, 8, 2))) / 256
        _, z = self.fitted(x, 256)
        assert 0 <= z.min() and z.max() <= 1
        for channel in range(2):
            shares = np.histogram(z[..., channel], 10, (0, 1))[0] / z[..., 0].size
            # The share that is spread moves a tenth of the mass by less than a
            # hundredth; five standard errors of noise within bins are .024.
            np.testing.assert_allclose(shares, 0.1, atol=0.035)

    def test_rare_levels_come_back_exactly_enough(self):
        rng = np.random.default_rng(1)
        x = rng.integers(0, 256, (2, 64, 64, 1))
        common = np.zeros((8, 64, 64, 1))
        layer, _ = self.fitted((common + 0.5) / 256, 256)
        z, log_det = layer.inverse_and_log_det(tf.constant((x + 0.5) / 256, "float32"))
        again, back = layer.forward_and_log_det(z)
        # A level that was never seen has 4e-5 of z's unit, which holds 600 floats.
        np.testing.assert_allclose(again, (x + 0.5) / 256, atol=0.1 / 256)
        np.testing.assert_allclose(back, -log_det, rtol=1e-5, atol=1e-5)

    def test_refusals(self):
        with pytest.raises(ValueError, match="`levels` must be at least 2"):
            Equalize(1, levels=1)
