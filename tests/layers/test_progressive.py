"""Layers of growing networks against their definitions."""

import keras
import numpy as np
import pytest

from keras_gen.layers import EqualizedLearningRate, Fade, PixelNormalization


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (keras.layers.Dense(5), (2, 6), 6),
        (keras.layers.Conv1D(5, 3, padding="same"), (2, 8, 6), 18),
        (keras.layers.Conv2D(5, 3, strides=2, activation="relu"), (2, 8, 8, 6), 54),
        (keras.layers.Conv2DTranspose(5, 4, 2), (2, 4, 4, 6), 96),
    ],
)
def test_equalized_kernels_are_scaled_at_every_call(layer, shape, fan_in):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    equalized = EqualizedLearningRate(layer, gain=1.5)
    y = equalized(x).numpy()
    scale = 1.5 / np.sqrt(fan_in)
    assert equalized.scale == pytest.approx(scale)
    # N(0, 1) at first, not Glorot's: the seed is fixed.
    draws = layer.kernel.numpy()
    assert 0.8 < draws.std() < 1.2
    plain = type(layer).from_config(layer.get_config())
    plain.build(x.shape)
    plain.kernel.assign(scale * draws)
    np.testing.assert_allclose(y, plain(x), rtol=1e-4, atol=1e-5)


def test_outputs_of_equalized_layers_keep_their_size():
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(1).normal(size=(64, 300)).astype("float32")
    for units in (10, 400):
        y = EqualizedLearningRate(keras.layers.Dense(units), gain=1.0)(x).numpy()
        # The mean of at least 640 squares that depend on 300 * units draws.
        assert np.mean(y**2) == pytest.approx(1.0, abs=0.3)


def test_an_equalized_layer_without_a_kernel():
    with pytest.raises(ValueError, match="`layer` must be dense or convolutional"):
        EqualizedLearningRate(keras.layers.ReLU())
    built = keras.layers.Dense(2)
    built.build((None, 3))
    with pytest.raises(ValueError, match="not built yet"):
        EqualizedLearningRate(built)


def test_equalized_layers_are_saved(tmp_path):
    x = np.ones((3, 8, 8, 2), "float32")
    convolution = keras.layers.Conv2D(4, 3)
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), EqualizedLearningRate(convolution, gain=1.0)]
    )
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), model(x))


def test_pixel_normalization():
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 5)).astype("float32")
    y = PixelNormalization()(x).numpy()
    np.testing.assert_allclose(
        y, x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True)), rtol=1e-5
    )
    np.testing.assert_array_equal(PixelNormalization()(0 * x), 0 * x)


def test_fade():
    old, new = np.zeros((2, 3, 3, 1), "float32"), np.ones((2, 3, 3, 1), "float32")
    y = Fade()([old, new, np.array([[0.0], [0.25]], "float32")]).numpy()
    np.testing.assert_array_equal(y[0], old[0])
    np.testing.assert_array_equal(y[1], 0.25 * new[1])
