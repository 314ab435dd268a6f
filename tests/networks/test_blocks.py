"""What networks are made of, against loops and definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen.networks import blocks

SHAPES = [(6, 4), (4, 6, 4), (2, 4, 3, 4)]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def perturbed(model):
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(0, 0.3, weight.shape))
    return model


def build(function, shape, *args, **kwargs):
    """Returns a model of one block."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs, *args, **kwargs))


class TestNormalize:
    @pytest.mark.parametrize("kind", blocks.NORMALIZATIONS)
    @pytest.mark.parametrize("shape", [(5, 8), (4, 3, 8), (2, 3, 4, 8)], ids=str)
    def test_by_hand(self, shape, kind):
        x = 3.0 * normal(2, *shape) + 1.0
        model = build(blocks.normalize, shape, kind)
        places = tuple(range(1, x.ndim - 1))
        parts = x.reshape(*x.shape[:-1], 2, 4)
        over = {
            "batch": (x, (0, *places)),
            "instance": (x, places),
            "layer": (x, (*places, x.ndim - 1)),
            "group": (parts, (*places, x.ndim)),  # of four channels at least
        }
        if kind is None:
            np.testing.assert_array_equal(model(x), x)
            return
        parts, axes = over[kind]
        variance = parts.var(axes, keepdims=True) + (1e-3 if kind == "layer" else 1e-5)
        want = (parts - parts.mean(axes, keepdims=True)) / np.sqrt(variance)
        got = model(x, training=True)
        np.testing.assert_allclose(got, want.reshape(x.shape), atol=1e-5)

    @pytest.mark.parametrize(
        ("channels", "groups"), [(1, 1), (6, 1), (20, 5), (32, 8), (48, 12), (256, 32)]
    )
    def test_groups(self, channels, groups):
        model = build(blocks.normalize, (2, channels), "group")
        assert model.layers[-1].groups == groups

    @pytest.mark.parametrize("kind", ["batch", "instance", "group"])
    def test_unknown_sides(self, kind):
        model = build(blocks.normalize, (None, None, 8), kind)
        assert model(normal(2, 3, 5, 8)).shape == (2, 3, 5, 8)

    def test_errors(self):
        with pytest.raises(ValueError, match="`normalization` must be one of 'batch'"):
            build(blocks.normalize, (4, 4), "spectral")
        with pytest.raises(ValueError, match="another than 'layer' where sides are"):
            build(blocks.normalize, (None, 4), "layer")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
class TestEveryRank:
    def test_convolutions_and_sizes(self, shape):
        *sides, _ = shape
        x = keras.Input(shape)
        assert blocks.convolve(x, 5, 3).shape[1:] == (*sides, 5)
        half = [-(-side // 2) for side in sides]
        assert blocks.convolve(x, 5, 4, 2).shape[1:] == (*half, 5)
        double = [2 * side for side in sides]
        larger = blocks.convolve_transposed(x, 5, 4, 2)
        assert larger.shape[1:] == (*double, 5)
        assert blocks.upsample(x).shape[1:] == (*double, 4)
        assert blocks.crop_to(x, sides) is x
        fewer = [*sides[:-1], sides[-1] - 1]
        y = keras.Model(x, blocks.crop_to(x, fewer))(normal(1, *shape))
        np.testing.assert_array_equal(y, normal(1, *shape)[..., :-1, :])

    def test_a_residual_block_starts_as_the_identity(self, shape):
        x = normal(2, *shape)
        model = build(blocks.residual_block, shape, 4, dropout=0.5)
        np.testing.assert_array_equal(model(x), x)
        y = perturbed(model)(x)
        assert np.std(y - x) > 0.1
        other = build(blocks.residual_block, shape, 6)
        assert other.output_shape == (None, *shape[:-1], 6)
        # A convolution of one place: no place sees another yet.
        changed = x.copy()
        changed[:, 0] += 1.0
        np.testing.assert_array_equal(other(x)[:, 1:], other(changed)[:, 1:])

    @pytest.mark.parametrize("heads", [1, 2])
    def test_attention_by_hand(self, shape, heads):
        model = perturbed(build(blocks.attention_block, shape, heads))
        x = normal(2, *shape)
        attention = next(
            x for x in model.layers if isinstance(x, layers.MultiHeadAttention)
        )
        (_, norm) = model.layers[:2]
        flat = np.reshape(norm(x), (2, -1, 4))
        query, key, value, output = (
            [np.asarray(weight) for weight in attention.weights[i : i + 2]]
            for i in (0, 2, 4, 6)
        )
        y = np.zeros((2, flat.shape[1], 4))
        for head in range(heads):
            q, k, v = (
                flat @ kernel[:, head] + bias[head]
                for kernel, bias in (query, key, value)
            )
            logits = q @ k.transpose(0, 2, 1) / np.sqrt(4 / heads)
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            y += weights @ v @ output[0][head]
        want = x + (y + output[1]).reshape(x.shape)
        np.testing.assert_allclose(model(x), want, atol=1e-4)


def test_attention_over_unknown_sides():
    model = build(blocks.attention_block, (None, None, 4), 2)
    assert model(normal(2, 3, 5, 4)).shape == (2, 3, 5, 4)
    with pytest.raises(ValueError, match="a divisor of the 4 channels"):
        build(blocks.attention_block, (2, 2, 4), 3)
    kernels = [float(tf.reduce_sum(w)) for w in model.weights if len(w.shape) == 3]
    assert len(set(kernels)) == 4


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_time_makes_a_difference_in_every_channel(policy):
    keras.config.set_dtype_policy(policy)
    t = keras.Input(())
    model = keras.Model(t, blocks.time_embedding(t, 8, 1000.0))
    y = np.asarray(model(np.array([0.5, 0.501], "float32")), "float32")
    assert y.shape == (2, 8)
    assert abs(y[0] - y[1]).min() > 1e-3


def test_wrong_shapes():
    match = r"`shape` must be \(sides..., channels\) with two sides, multiples of 4, of"
    for shape in ((8, 3), (6, 8, 3), (4, 8, 3), (8, 8, 0), (8, 8, None)):
        with pytest.raises(ValueError, match=match):
            blocks.require_shape(shape, (2,), multiple=4, least=8)
    assert blocks.require_shape((None, 8, 3), (2,), 4, 8) == ((None, 8), 3)
