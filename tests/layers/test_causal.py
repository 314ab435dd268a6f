"""Layers over time see no later step, and go one step at a time to the same end."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import layers


def sees(function, length, channels):
    """Returns which inputs, columns, each output, row, depends on: by gradients."""
    x = tf.random.stateless_normal((1, length, channels), (1, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(function(x), axis=-1)[0]
    slopes = tape.jacobian(y, x)[:, 0]
    return np.abs(slopes.numpy()).sum(axis=-1) > 0


@pytest.mark.parametrize("rate", [1, 2])
def test_a_convolution_sees_what_its_kind_says(rate):
    steps = np.arange(8)
    back = steps[:, None] - steps[None]
    for mask, first in (("A", 1), ("B", 0)):
        layer = layers.CausalConv1D(4, 3, mask, dilation_rate=rate)
        taps = first + rate * np.arange(3)
        np.testing.assert_array_equal(sees(layer, 8, 2), np.isin(back, taps))


def test_a_convolution_is_the_sum_of_its_taps():
    layer = layers.CausalConv1D(2, 2, "A")
    x = tf.random.stateless_normal((3, 4, 2), (1, 2)).numpy()
    y = layer(x).numpy()
    earlier, before = layer.kernel.numpy()
    padded = np.pad(x, ((0, 0), (2, 0), (0, 0)))
    expected = padded[:, :4] @ earlier + padded[:, 1:5] @ before
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask": "C"}, 'must be "A" or "B"'),
        ({"padding": "same"}, "`padding` must be 'causal'"),
        ({"strides": 2}, "`strides` must be 1"),
    ],
)
def test_a_convolution_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.CausalConv1D(1, 2, **arguments)


def test_configurations_make_the_same_layers():
    for layer in (layers.CausalConv1D(4, 3, "A"), layers.CausalSelfAttention(2, 4)):
        x = tf.ones((1, 5, 3))
        y = layer(x)
        again = type(layer).from_config(layer.get_config())
        again.build((None, None, 3))
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(again(x), y)


def test_attention_sees_itself_and_what_came_before():
    layer = layers.CausalSelfAttention(heads=2, head_size=4)
    np.testing.assert_array_equal(sees(layer, 6, 8), np.tri(6, dtype=bool))


def test_attention_is_by_hand():
    layer = layers.CausalSelfAttention(heads=1, head_size=2)
    x = tf.random.stateless_normal((1, 4, 3), (1, 2))
    y = layer(x).numpy()[0]
    parts = x.numpy()[0] @ layer.project.kernel.numpy()
    queries, keys, values = parts[:, :2], parts[:, 2:4], parts[:, 4:]

    def turned(v, angle):
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, -sin], [sin, cos]]) @ v

    for i in range(4):
        scores = [
            queries[i] @ turned(keys[j], j - i) / np.sqrt(2) for j in range(i + 1)
        ]
        weights = np.exp(scores) / np.exp(scores).sum()
        expected = weights @ values[: i + 1] @ layer.mix.kernel.numpy()
        np.testing.assert_allclose(y[i], expected, rtol=0, atol=1e-5)


def test_attention_depends_on_distances_alone():
    layer = layers.CausalSelfAttention(heads=2, head_size=4)
    x = tf.random.stateless_normal((1, 4, 8), (1, 2))
    layer.build(x.shape)
    results = []
    for shift in (0, 50):
        queries, keys, values = layer._project(x, tf.range(4) + shift)
        results.append(layer._attend(queries, keys, values, np.tri(4, dtype=bool)))
    # Angles of 50 radians keep about six digits.
    np.testing.assert_allclose(*results, rtol=0, atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_steps_from_a_cache_give_the_whole(policy):
    keras.config.set_dtype_policy(policy)
    layer = layers.CausalSelfAttention(heads=2, head_size=4)
    x = tf.random.stateless_normal((3, 5, 8), (1, 2))
    whole, cache, found = layer(x), layer.cache(3, 7), []
    for t in range(5):
        y, cache = layer.step(tf.cast(x[:, t], layer.compute_dtype), cache, t)
        found.append(y)
    assert cache[0].dtype == layer.compute_dtype
    # Eight bits of mantissa, where it is rounded several times.
    bound = 1e-5 if policy == "float32" else 0.03
    whole = tf.cast(whole, "float32")
    found = tf.cast(tf.stack(found, 1), "float32")
    np.testing.assert_allclose(found, whole, rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 4), "`heads` must be positive"), ((2, 3), "`head_size` must be even")],
)
def test_attention_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.CausalSelfAttention(*arguments)
