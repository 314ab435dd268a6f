import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen import networks
from keras_gen.bijectors import Invert, MaskedAutoregressive
from tests.bijectors.cases import assert_close, made, perturbed

tfb = tfp.bijectors


def test_against_tfp():
    layer = perturbed(MaskedAutoregressive(made(4, 2)))

    def shift_and_log_scale(x):
        scale, shift = tf.split(layer.network(x), 2, axis=-1)
        return shift, 3.0 * tf.tanh(scale / 3.0)

    oracle = tfb.MaskedAutoregressiveFlow(shift_and_log_scale)
    z = tf.random.stateless_normal((6, 4), (0, 1))
    for ours, theirs in ((layer, oracle), (Invert(layer), tfb.Invert(oracle))):
        x, log_det = ours.forward_and_log_det(z)
        # Few roundings in float32.
        assert_close(x, theirs.forward(z), 1e-5)
        assert_close(log_det, theirs.forward_log_det_jacobian(z, 1), 1e-5)
        x, log_det = ours.inverse_and_log_det(z)
        assert_close(x, theirs.inverse(z), 1e-5)
        assert_close(log_det, theirs.inverse_log_det_jacobian(z, 1), 1e-5)


@pytest.mark.parametrize("order", [None, "reverse", 3])
def test_the_jacobian_is_triangular_in_the_order(order):
    layer = perturbed(MaskedAutoregressive(made(5, 2, order)))
    x = tf.random.stateless_normal((1, 5), (0, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        z, _ = layer.inverse_and_log_det(x)
    jacobian = tape.jacobian(z, x)[0, :, 0].numpy()
    places = np.argsort(layer.degrees)
    jacobian = jacobian[np.ix_(places, places)]
    np.testing.assert_array_equal(np.triu(jacobian, 1), np.zeros((5, 5)))
    assert (jacobian[np.tril_indices(5)] != 0).all()


def test_numbers_that_are_not_settled_disturb_none_that_are():
    # x_i = z_i - (x_1 + ... + x_i-1) is z_i - z_i-1. Iterating over all numbers at once
    # multiplies them by up to 2^150 before it settles them, beyond single precision.
    size = 150
    network = networks.made(size, 2, hidden=(size - 1,), activation="linear")
    first, last = (w for w in network.trainable_weights if "kernel" in w.path)
    first.assign(100.0 * np.eye(size, size - 1))
    last.assign(np.tile([[0.0] * size + [-0.01] * size], (size - 1, 1)))
    layer = MaskedAutoregressive(network)
    z = tf.random.stateless_normal((3, size), (0, 1))
    x, log_det = layer.forward_and_log_det(z)
    want = z.numpy()
    want[:, 1:] -= z.numpy()[:, :-1]
    # Sums of 150 numbers, a hundredth of a hundredfold each.
    np.testing.assert_allclose(x, want, atol=1e-4)
    np.testing.assert_array_equal(log_det, np.zeros(3))


@pytest.mark.slow
def test_gradients_of_the_way_back_are_those_of_the_jacobian():
    layer = perturbed(MaskedAutoregressive(made(4, 2, 1)))
    z = tf.random.stateless_normal((1, 4), (0, 1))
    with tf.GradientTape() as tape:
        tape.watch(z)
        x, _ = layer.forward_and_log_det(z)
    forward = tape.jacobian(x, z)[0, :, 0]
    with tf.GradientTape() as tape:
        tape.watch(x)
        back, _ = layer.inverse_and_log_det(x)
    backward = tape.jacobian(back, x)[0, :, 0]
    # Products of four numbers in float32.
    np.testing.assert_allclose(forward @ backward, np.eye(4), atol=1e-5)


def test_a_network_that_draws_is_not_inverted():
    from keras_gen import layers

    inputs = keras.Input((4,))
    drawing = keras.Model(inputs, made(4, 2)(layers.Dropout(0.5)(inputs)))
    assert not MaskedAutoregressive(drawing).reversible
    assert MaskedAutoregressive(made(4, 2)).reversible


def test_one_number_has_nothing_before_it():
    layer = perturbed(MaskedAutoregressive(made(1, 2)))
    x = tf.constant([[-1.0], [0.0], [2.0]])
    scale, shift = layer.network.layers[-1].bias.numpy()
    z, log_det = layer.inverse_and_log_det(x)
    # Few roundings in float32.
    scale = 3.0 * np.tanh(scale / 3.0)
    assert_close(z, (x - shift) * np.exp(-scale), 1e-6)
    np.testing.assert_allclose(log_det, np.full(3, -scale), rtol=1e-5)
    assert_close(layer.forward_and_log_det(z)[0], x, 1e-6)


def test_errors():
    match = r"Argument `network` must map \(4,\) to \(8,\)\. Received: .*\(None, 12\)"
    with pytest.raises(ValueError, match=match):
        MaskedAutoregressive(networks.made(4, 3))
