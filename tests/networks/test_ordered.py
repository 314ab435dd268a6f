"""Masked dense layers, a number at a time."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks


def perturbed(network):
    draw = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign(draw.normal(size=weight.shape))
    return network


def channels_are_sequential(network, x, given=(), which=0):
    """Returns the outputs of all numbers: (batch, numbers, size)."""
    ordered = networks.OrderedNetwork(network)
    weights, known = ordered.start(list(given), which), ordered.empty(len(x))
    order = ordered.order[which].numpy()
    found = {}
    for place, index in enumerate(order):
        found[index] = ordered.outputs(place, weights, known)
        known = ordered.advance(place, tf.constant(x[:, index]), weights, known)
    return np.stack([found[index] for index in range(len(order))], axis=-1)


@pytest.mark.parametrize("hidden", [(), (20,), (7, 30), (3, 2)])
@pytest.mark.parametrize("order", [None, "reverse", 3])
def test_one_by_one_is_the_same(hidden, order):
    network = perturbed(networks.made(9, 2, hidden, "tanh", order))
    x = np.random.default_rng(1).normal(size=(4, 9)).astype("float32")
    expected = np.reshape(network(x), (4, 2, 9))
    found = channels_are_sequential(network, x)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("which", [0, 2])
def test_with_several_masks_and_a_context(which):
    network = perturbed(
        networks.made(9, 1, (20, 11), order=1, masks=3, context_shape=(2,))
    )
    x, context = tf.random.stateless_normal((4, 9), (0, 0)), tf.ones((4, 2))
    expected = network([x, context, tf.constant(which)])
    found = channels_are_sequential(network, x.numpy(), [context], which)[:, 0]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_masks_differ_and_keep_their_orders():
    network = perturbed(networks.made(6, 1, (40, 40), "tanh", order=1, masks=3))
    x = tf.random.stateless_normal((1, 6), (0, 0))
    order = networks.OrderedNetwork(network).order.numpy()
    assert len({tuple(one) for one in order}) == 3
    for which in range(3):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = network([x, tf.constant(which)])[0]
        slope = np.abs(tape.jacobian(y, x)[:, 0])[order[which]][:, order[which]]
        assert not np.triu(slope).any()
        # Most earlier numbers are seen; degrees are random.
        assert (np.tril(slope, -1) > 0).sum() >= 12


def test_a_single_number():
    network = perturbed(networks.made(1, 3, (4,)))
    found = channels_are_sequential(network, np.ones((2, 1), "float32"))
    np.testing.assert_allclose(found[..., 0], network(tf.ones((2, 1))), rtol=1e-6)


def test_other_networks_are_rejected():
    inputs = keras.Input((3,))
    with pytest.raises(ValueError, match="Dense.*not known to keep the order"):
        networks.OrderedNetwork(keras.Model(inputs, layers.Dense(3)(inputs)))


def test_several_masks_need_a_seed():
    with pytest.raises(ValueError, match="`order` must be an integer"):
        networks.made(4, masks=2)
