"""Decoders of tokens: causal, and the same in one pass as step by step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import layers

CELLS = ("lstm", "gru", "transformer")


def memory(batch, length, width, blocks):
    def draw(*shape):
        return tf.random.stateless_normal(shape, (sum(shape), 1))

    return {
        "shift": draw(batch, width),
        "keys": draw(batch, length, width),
        "values": draw(batch, length, width),
        "mask": tf.constant([[True, True, False]] * batch),
        "states": [[draw(batch, width)] for _ in range(blocks)],
    }


@pytest.mark.parametrize("cell", CELLS)
def test_logits_ignore_the_present_and_what_follows(cell):
    decoder = layers.TokenDecoder(4, cell, width=8, heads=2)
    tokens = np.random.default_rng(0).integers(0, 4, (1, 7))
    before = decoder(tokens).numpy()
    for t in range(7):
        other = tokens.copy()
        other[0, t] = (other[0, t] + 1) % 4
        changed = np.abs(decoder(other).numpy() - before).max(axis=-1)[0] > 1e-7
        np.testing.assert_array_equal(changed, np.arange(7) > t)


@pytest.mark.parametrize("cell", CELLS)
def test_steps_give_the_whole(cell):
    decoder = layers.TokenDecoder(4, cell, width=8, heads=2, dropout=0.5)
    tokens = np.random.default_rng(0).integers(0, 4, (3, 6))
    given = {"shift": tf.random.stateless_normal((3, 8), (1, 2))}
    whole = decoder(tokens, given=given)
    state, before = decoder.start(3, 6), np.full(3, 4)
    for t in range(6):
        logits, state = decoder.step(before, state, t, given)
        np.testing.assert_allclose(logits, whole[:, t], rtol=0, atol=1e-5)
        before = tokens[:, t]


def test_steps_that_attend_give_the_whole():
    decoder = layers.TokenDecoder(4, "gru", width=8, attends=True)
    tokens = np.random.default_rng(0).integers(0, 4, (2, 5))
    given = memory(2, 3, 8, blocks=2)
    whole = decoder(tokens, given=given)
    state, before = decoder.start(2, 5, given), np.full(2, 4)
    for t in range(5):
        logits, state = decoder.step(before, state, t, given)
        np.testing.assert_allclose(logits, whole[:, t], rtol=0, atol=1e-5)
        before = tokens[:, t]


def test_what_is_masked_is_not_looked_at():
    attention = layers.CrossAttention(8)
    given = memory(2, 3, 8, blocks=1)
    x = tf.ones((2, 4, 8))
    y = attention(x, given["keys"], given["values"], given["mask"])
    moved = given["values"] + tf.constant([0.0, 0.0, 9.0])[:, None]
    np.testing.assert_array_equal(attention(x, given["keys"], moved, given["mask"]), y)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_encoder_does_not_see_padding(cell):
    encoder = layers.TokenEncoder(5, cell, width=8, depth=2)
    short = encoder(np.array([[1, 2, 3]]))
    long = encoder(np.array([[1, 2, 3, 0, 0]]))
    np.testing.assert_allclose(long["values"][:, :3], short["values"], atol=1e-6)
    for ours, theirs in zip(long["states"], short["states"], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


def test_what_follows_the_end_is_not_read():
    encoder = layers.TokenEncoder(5, width=8)
    first, second, empty = (
        encoder(np.array([tokens])) for tokens in ([2, 0, 0], [2, 0, 4], [0, 3, 0])
    )
    np.testing.assert_array_equal(first["states"][0][0], second["states"][0][0])
    np.testing.assert_array_equal(second["mask"], [[True, False, False]])
    np.testing.assert_array_equal(empty["mask"], [[True, False, False]])


def test_logits_are_float32():
    keras.config.set_dtype_policy("mixed_float16")
    decoder = layers.TokenDecoder(4, "lstm", width=8)
    assert decoder(np.zeros((2, 3), "int32")).dtype == "float32"
    state = decoder.start(2, 3)
    assert state[0][0].dtype == "float16"
    assert decoder.step(np.zeros(2, "int32"), state, 0)[0].dtype == "float32"


def test_heads_must_fit():
    with pytest.raises(ValueError, match="`heads` must be positive, and twice"):
        layers.TransformerBlock(8, heads=3)
