import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen.bijectors import ActNorm, MultiScale, Squeeze
from tests.bijectors.cases import assert_close, multiscale, network, perturbed

tfd = tfp.distributions


def test_the_finest_codes_come_first():
    layer = MultiScale([[Squeeze()], [Squeeze()], []], (4, 4, 1))
    x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    z, log_det = layer.inverse_and_log_det(tf.constant(x))
    # Of each block of four pixels the lower two leave; of the four blocks' upper two,
    # the latter half of eight channels; the rest stays.
    lower = np.concatenate([x[0, 2 * i + 1, :, 0] for i in range(2)])
    np.testing.assert_array_equal(z[0, :8], lower)
    np.testing.assert_array_equal(z[0, 8:12], [8, 9, 10, 11])
    np.testing.assert_array_equal(z[0, 12:], [0, 1, 2, 3])
    np.testing.assert_array_equal(log_det, [0])


@pytest.mark.parametrize("leaving", [None, 1, 3])
def test_shapes(leaving):
    layer = multiscale(True, leaving)
    assert layer.latent_shape((4, 4, 2)) == (32,)
    assert layer.data_shape((32,)) == (4, 4, 2)
    out = leaving or 4
    assert layer.part_shapes == [(2, 2, out), (2, 2, 8 - out)]


def test_what_leaves_is_normal_given_what_goes_on():
    net = perturbed(network((2, 2, 2), 4))
    layer = MultiScale([[Squeeze()], []], (4, 4, 1), [net])
    x = tf.random.stateless_normal((5, 4, 4, 1), (0, 1))
    goes_on, leaves = tf.split(tf.nn.space_to_depth(x, 2), 2, axis=-1)
    scale, mean = tf.split(net(goes_on), 2, axis=-1)
    conditional = tfd.Normal(mean, tf.exp(3.0 * tf.tanh(scale / 3.0)))
    want = tf.reduce_sum(conditional.log_prob(leaves), axis=(1, 2, 3))
    want += tf.reduce_sum(tfd.Normal(0.0, 1.0).log_prob(goes_on), axis=(1, 2, 3))
    z, log_det = layer.inverse_and_log_det(x)
    got = log_det + tf.reduce_sum(tfd.Normal(0.0, 1.0).log_prob(z), axis=1)
    # Sums of sixteen numbers in float32.
    assert_close(got, want, 1e-5)


def test_every_level_is_initialized():
    levels = [[Squeeze(), ActNorm(4, 3)], [ActNorm(2, 3)]]
    layer = MultiScale(levels, (4, 4, 1), [perturbed(network((2, 2, 2), 4))])
    x = 3.0 + 2.0 * tf.random.stateless_normal((50, 4, 4, 1), (0, 1))
    layer.initialize(x)
    _, *_, goes_on = tf.split(layer(x), [8, 8], axis=-1)
    # Means of two hundred numbers in float32.
    assert abs(float(tf.reduce_mean(goes_on))) < 1e-4
    assert float(tf.math.reduce_std(goes_on)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: MultiScale([[], []], (4, 4, 2), []),
            "`networks` must hold one for each of 1 splits. Received: 0",
        ),
        (
            lambda: MultiScale([[], []], (4, 4, 1)),
            "`leaving` must leave channels on both sides .*leaving=0 of 1 channels",
        ),
        (
            lambda: MultiScale([[], []], (4, 4, 2), leaving=2),
            "leaving=2 of 2 channels",
        ),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()
