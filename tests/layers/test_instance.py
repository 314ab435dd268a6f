"""Instance normalization against its definition and against Keras's groups."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import AdaptiveInstanceNormalization, InstanceNormalization

SIDES = [(7,), (4, 5), (2, 3, 4)]


def normal(shape, mean=0.0, stddev=1.0, seed=0):
    draws = np.random.default_rng(seed).normal(mean, stddev, shape)
    return draws.astype("float32")


def statistics(x):
    x = np.asarray(x, "float64")
    places = tuple(range(1, x.ndim - 1))
    return x.mean(places), x.std(places)


class TestInstanceNormalization:
    @pytest.mark.parametrize("sides", SIDES, ids=str)
    def test_by_hand(self, sides):
        x = normal((3, *sides, 2), 5.0, 3.0)
        layer = InstanceNormalization(epsilon=1e-3)
        layer.build(x.shape)
        gamma, beta = normal((2, 2), seed=1)
        layer.gamma.assign(gamma)
        layer.beta.assign(beta)
        y = layer(x)
        for i in range(3):
            for k in range(2):
                one = x[i, ..., k].astype("float64")
                plain = (one - one.mean()) / np.sqrt(one.var() + 1e-3)
                want = gamma[k] * plain + beta[k]
                np.testing.assert_allclose(y[i, ..., k], want, atol=1e-5)

    @pytest.mark.parametrize("sides", SIDES, ids=str)
    def test_it_is_group_normalization_with_one_channel_a_group(self, sides):
        x = normal((3, *sides, 4), 2.0)
        groups = keras.layers.GroupNormalization(-1, epsilon=1e-5)
        np.testing.assert_allclose(InstanceNormalization()(x), groups(x), atol=1e-5)

    @pytest.mark.parametrize("center", [True, False])
    @pytest.mark.parametrize("scale", [True, False])
    def test_weights(self, center, scale):
        layer = InstanceNormalization(center=center, scale=scale)
        layer(normal((2, 3, 3, 5)))
        names = [name for name, on in (("gamma", scale), ("beta", center)) if on]
        assert [weight.name for weight in layer.weights] == names

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_statistics_are_exact_in_mixed_precision(self, policy):
        # In half precision a sum of 1024 numbers around 100 overflows.
        half = policy.removeprefix("mixed_")
        x = tf.cast(normal((2, 32, 32, 3), 100.0, 8.0), half)
        y = InstanceNormalization(dtype=policy)(x)
        assert y.dtype == half
        want = InstanceNormalization(dtype="float32")(tf.cast(x, "float32"))
        # Half an ulp of numbers below 4.
        atol = {"float16": 2e-3, "bfloat16": 2e-2}[half]
        np.testing.assert_allclose(tf.cast(y, "float32"), want, atol=atol)

    def test_one_place_leaves_the_shift(self):
        y = InstanceNormalization()(normal((2, 1, 1, 3)))
        np.testing.assert_array_equal(y, np.zeros((2, 1, 1, 3)))

    @pytest.mark.parametrize("shape", [(2, 3), (2, 1, 1, 1, 1, 3)], ids=str)
    def test_wrong_rank(self, shape):
        with pytest.raises(ValueError, match="one to three sides"):
            InstanceNormalization()(np.ones(shape, "float32"))


class TestAdaptiveInstanceNormalization:
    @pytest.mark.parametrize("stddev", [1.0, 1e-3])
    @pytest.mark.parametrize("sides", SIDES, ids=str)
    def test_the_output_has_the_statistics_of_the_style(self, sides, stddev):
        content = normal((3, *sides, 2), 0.1, stddev)
        style = normal((3, *(side + 2 for side in sides), 2), -2.0, 3.0, seed=1)
        y = AdaptiveInstanceNormalization()([content, style])
        assert y.shape == content.shape
        for got, want in zip(statistics(y), statistics(style), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        # And it is an affine function of the content, channel by channel.
        for k in range(2):
            one, other = content[0, ..., k].ravel(), np.ravel(y[0, ..., k])
            assert np.corrcoef(one, other)[0, 1] == pytest.approx(1.0, abs=1e-5)

    def test_its_own_style_changes_nothing(self):
        x = normal((2, 5, 5, 3), 1.0, 2.0)
        y = AdaptiveInstanceNormalization()([x, x])
        np.testing.assert_allclose(y, x, atol=1e-5)

    def test_constant_features_have_finite_gradients(self):
        content = tf.constant(3.3, shape=(2, 5, 4, 3))
        style = tf.constant(normal((2, 4, 4, 3)))
        layer = AdaptiveInstanceNormalization()
        for pair in ([content, style], [style, content]):
            with tf.GradientTape() as tape:
                tape.watch(pair)
                y = layer(pair)
                loss = tf.reduce_sum(y**2)
            mean = np.broadcast_to(np.mean(pair[1], (1, 2), keepdims=True), y.shape)
            # What varies keeps a deviation of epsilon: a few of it from the mean.
            np.testing.assert_allclose(y, mean, atol=5e-5)
            for gradient in tape.gradient(loss, pair):
                assert np.isfinite(gradient).all()

    def test_mixed_precision(self):
        pair = [normal((2, 32, 32, 3), 100.0, 8.0), normal((2, 8, 8, 3), 50.0, 8.0)]
        layer = AdaptiveInstanceNormalization(dtype="mixed_float16")
        y = layer(pair)
        assert y.dtype == "float16"
        want = AdaptiveInstanceNormalization()(pair)
        # float16's ulp at 64 to 128 is 0.06; the input was rounded to it, too.
        np.testing.assert_allclose(y, want, atol=0.2)

    def test_errors(self):
        layer = AdaptiveInstanceNormalization
        with pytest.raises(ValueError, match="`epsilon` must be positive"):
            layer(0.0)
        with pytest.raises(ValueError, match="same number of channels. .* 3 and 4"):
            layer()([np.ones((2, 4, 4, 3)), np.ones((2, 4, 4, 4))])
        with pytest.raises(ValueError, match="one to three sides"):
            layer()([np.ones((2, 4, 4, 3)), np.ones((2, 3))])


def test_saving_with_unknown_sides(tmp_path):
    content, style = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    x = InstanceNormalization(epsilon=1e-2, scale=False)(content)
    x = AdaptiveInstanceNormalization(epsilon=1e-4)([x, style])
    model = keras.Model([content, style], x)
    assert model.output_shape == (None, None, None, 3)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    inputs = [normal((2, 6, 5, 3)), normal((2, 3, 3, 3), seed=1)]
    np.testing.assert_array_equal(again(inputs), model(inputs))
    copies = {type(layer): layer for layer in again.layers}
    assert not copies[InstanceNormalization].scale
    assert copies[InstanceNormalization].epsilon == 1e-2
    assert copies[AdaptiveInstanceNormalization].epsilon == 1e-4
