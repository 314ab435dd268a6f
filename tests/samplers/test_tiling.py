import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import layers
from keras_gen.samplers import Tiles, tiled


def image(height, width, seed=0, channels=3):
    return np.random.default_rng(seed).random((height, width, channels), "float32")


def convolutions(depth, scale=1, norm=False):
    """Reaches `depth` pixels to each side."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((None, None, 3))
    for _ in range(depth):
        x = keras.layers.Conv2D(6, 3, padding="same", activation="relu")(x)
        x = layers.InstanceNormalization()(x) if norm else x
    if scale > 1:
        x = keras.layers.UpSampling2D(scale)(x)
    return keras.Model(inputs, keras.layers.Conv2D(3, 1)(x))


@pytest.mark.parametrize(
    ("size", "tile", "overlap", "multiple"),
    [
        (100, 40, 10, 1),
        (96, 32, 8, 4),
        (30, 40, 10, 1),
        (41, 40, 20, 1),
        (80, 40, 0, 8),
    ],
)
def test_tiles_cover_an_axis(size, tile, overlap, multiple):
    axis = Tiles(size, tile, overlap, multiple)
    starts = axis.starts
    assert starts[0] == 0 and starts[-1] + axis.length == size
    assert all(start % multiple == 0 for start in starts)
    cores = [axis.core(number) for number in range(len(starts))]
    assert [low for low, _ in cores] == [0, *(high for _, high in cores[:-1])]
    assert cores[-1][1] == size
    total = np.zeros(size)
    for number, start in enumerate(starts):
        total[start : start + axis.length] += axis.weight(number)
    assert total.min() > 0.4


def test_what_sees_little_is_exact():
    network, x = convolutions(depth=4), image(70, 93)
    whole = network(x[None])[0]
    found = tiled(lambda x: network(x), x, tile=32, overlap=16)
    np.testing.assert_allclose(found, whole, atol=1e-5)
    # An overlap that is too small is seen.
    short = tiled(lambda x: network(x), x, tile=32, overlap=4)
    assert np.abs(short - whole).max() > 1e-2


def test_larger_outputs_and_sides_that_are_no_multiples():
    network, x = convolutions(depth=2, scale=2), image(37, 50)
    found = tiled(lambda x: network(x), x, tile=24, overlap=8, multiple=4)
    assert found.shape == (74, 100, 3)
    inside = np.s_[:60, :80]  # beyond the edge the image is reflected, not black
    np.testing.assert_allclose(found[inside], network(x[None])[0][inside], atol=1e-5)


def test_instance_normalization_sees_the_whole_image():
    network = convolutions(depth=3, norm=True)
    # Brighter to one side, so that the statistics of a tile are not the image's.
    x = image(64, 96) * np.linspace(0.0, 1.0, 96, dtype="float32")[None, :, None]
    whole = network(x[None])[0].numpy()
    options = {"tile": 32, "overlap": 16}

    def error(**more):
        found = tiled(lambda x: network(x), x, **options, **more)
        return np.abs(found - whole).mean() / whole.std()

    assert error() > 0.1
    assert error(networks=[network]) < 0.5 * error()
    assert error(networks=[network], passes=3) < 1e-3  # as many as layers: exact
    own = network(x[None])[0].numpy()
    np.testing.assert_array_equal(own, whole)  # nothing is left behind


@pytest.mark.parametrize("width", [96, 98])
def test_statistics_of_smaller_features(width):
    """Each place of a feature map belongs to one tile, wherever their borders are."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, 2, "same")(x)
    x = keras.layers.UpSampling2D(2)(layers.InstanceNormalization()(x))
    network = keras.Model(inputs, x)
    x = image(64, width) * np.linspace(0.0, 1.0, width, dtype="float32")[:, None]
    options = {"tile": 32, "overlap": 16, "multiple": 2, "networks": [network]}
    found = tiled(lambda x: network(x), x, **options)
    np.testing.assert_allclose(found, network(x[None])[0], atol=1e-4)


def test_a_layer_that_is_called_several_times():
    norm, unused = layers.InstanceNormalization(), convolutions(1, norm=True)
    inputs = keras.Input((None, None, 3))
    network = keras.Model(inputs, norm(keras.layers.ReLU()(2.0 * norm(inputs) + 0.5)))
    x = image(64, 96) * np.linspace(0.0, 1.0, 96, dtype="float32")[:, None]
    options = {"tile": 32, "overlap": 16, "networks": [network, unused], "passes": 2}
    found = tiled(lambda x: network(x), x, **options)
    np.testing.assert_allclose(found, network(x[None])[0], atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 30, "multiple": 4}, "`tile` must be a multiple of 4"),
        ({"tile": 16, "overlap": 16}, "`overlap` must be from 0 to 15"),
        ({"multiple": 0}, "`multiple` must be positive"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        tiled(tf.identity, image(8, 8), **options)
