import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import networks


def moved(network):
    rng = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign_add(rng.normal(0, 0.3, weight.shape))
    return network


def reach(network, *context, steps=60):
    """Returns which steps of the input the middle of the output depends on."""
    x = tf.random.stateless_normal((1, steps, 2), (0, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(network([x, *context] if context else x)[:, steps // 2])
    gradient = np.abs(tape.gradient(total, x)[0]).sum(axis=-1)
    return np.flatnonzero(gradient) - steps // 2


def test_it_starts_at_zero():
    network = networks.wavenet(2, 6, width=4, depth=3, context_channels=5)
    outputs = network([tf.ones((1, 7, 2)), tf.ones((1, 7, 5))])
    np.testing.assert_array_equal(outputs, tf.zeros((1, 7, 6)))


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_it_sees_twice_as_far_with_each_layer(depth):
    network = moved(networks.wavenet(2, 6, width=4, depth=depth))
    side = 2**depth - 1
    np.testing.assert_array_equal(reach(network), np.arange(-side, side + 1))


def test_the_context_steers():
    network = moved(networks.wavenet(2, 6, width=4, depth=3, context_channels=5))
    x = tf.ones((1, 7, 2))
    first, second = (network([x, tf.fill((1, 7, 5), c)]) for c in (0.0, 1.0))
    assert np.all(first != second)


@pytest.mark.parametrize("steps", [1, 8, 33])
def test_any_number_of_steps(steps):
    network = networks.wavenet(2, 6, width=4, depth=3)
    assert network(tf.ones((2, steps, 2))).shape == (2, steps, 6)


def test_the_upsampler_looks_at_the_two_frames_around():
    network = moved(networks.mel_upsampler(3, 4, outputs=5))
    mel = tf.zeros((1, 6, 3))
    before = network(mel).numpy()
    assert before.shape == (1, 20, 5)
    after = network(tf.tensor_scatter_nd_add(mel, [[0, 2, 1]], [1.0])).numpy()
    changed = np.flatnonzero(np.any(before != after, axis=-1)[0])
    np.testing.assert_array_equal(changed, np.arange(4, 12))  # frame 2 is at step 8


def test_outputs_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    network = networks.wavenet(2, 6, width=4, depth=2)
    assert network(tf.ones((1, 4, 2))).dtype == "float32"
    assert network.layers[1].compute_dtype == "float16"
