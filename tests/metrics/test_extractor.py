"""Features of images, and images that are none."""

import keras
import numpy as np
import pytest

from keras_gen import data, metrics


def images(n=5, shape=(8, 8, 1)):
    return np.random.default_rng(0).random((n, *shape), "float32")


def classifier():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, name="maps")(inputs)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(6, name="features")(x)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax")(x), name="small")


class TestPixels:
    def test_they_are_the_pixels(self):
        x = images()
        found = metrics.Pixels()(x, batch_size=2)
        np.testing.assert_array_equal(found.features, x.reshape(5, 64))
        assert found.probabilities is None and found.features.dtype == "float32"

    def test_points_may_lie_anywhere(self):
        x = np.array([[-3.0, 70.0], [2.0, 1.0]])
        np.testing.assert_array_equal(metrics.Pixels()(x).features, x)

    def test_images_without_channels_have_a_range_too(self):
        x = images()[..., 0]
        np.testing.assert_array_equal(metrics.Pixels()(x).features, x.reshape(5, 64))
        for bad in (255.0 * x, x - 1.0):
            with pytest.raises(ValueError, match=r"Images are float32 in \[0, 1\]"):
                metrics.Pixels()(bad)


class TestNetworkFeatures:
    def test_the_models_own_output(self):
        model, x = classifier(), images()
        found = metrics.NetworkFeatures(model)(x, batch_size=2)
        # Batches of two and of five are summed in other orders.
        np.testing.assert_allclose(found.features, model(x), rtol=1e-5)
        assert found.probabilities is None

    def test_a_layers_output_and_the_probabilities(self):
        model, x = classifier(), images()
        found = metrics.NetworkFeatures(model, "features", probabilities=True)(x)
        dense = model.layers[-1]
        assert found.features.shape == (5, 6)
        want = keras.ops.softmax(found.features @ dense.kernel + dense.bias)
        np.testing.assert_allclose(found.probabilities, want, rtol=1e-5)

    def test_maps_are_averaged(self):
        model, x = classifier(), images()
        found = metrics.NetworkFeatures(model, "maps")(x)
        want = model.get_layer("maps")(x).numpy().mean(axis=(1, 2))
        np.testing.assert_allclose(found.features, want, rtol=1e-4, atol=1e-6)

    def test_the_fingerprint_follows_weights_and_settings(self):
        model = classifier()
        extractor = metrics.NetworkFeatures(model, "features")
        before = extractor.fingerprint
        assert metrics.NetworkFeatures(model, "features").fingerprint == before
        assert metrics.NetworkFeatures(model, "maps").fingerprint != before
        model.layers[-1].bias.assign([0.0, 1e-7, 0.0])
        assert extractor.fingerprint != before

    def test_a_subclass_never_reads_what_its_parent_kept(self, tmp_path):
        class Doubled(metrics.NetworkFeatures):
            def extract(self, images):
                features, probabilities = super().extract(images)
                return 2.0 * features, probabilities

        model, x = classifier(), images()
        first = metrics.NetworkFeatures(model).cached(x, tmp_path)
        found = Doubled(model).cached(x, tmp_path)
        np.testing.assert_array_equal(found.features, 2.0 * first.features)
        before = Doubled(model).fingerprint
        Doubled._VERSION = 2
        assert Doubled(model).fingerprint != before

    def test_a_layer_without_configuration_leaves_no_fingerprint(self):
        class Own(keras.layers.Layer):
            def get_config(self):
                raise NotImplementedError

            def call(self, x):
                return x

        model = keras.Sequential([keras.Input((8, 8, 1)), Own()])
        assert metrics.NetworkFeatures(model).fingerprint is None

    def test_what_is_no_probability_is_rejected(self):
        model = keras.Model((net := classifier()).inputs, net.layers[-2].output)
        with pytest.raises(ValueError, match="are not class probabilities"):
            metrics.NetworkFeatures(model, probabilities=True)(images())

    def test_layers_that_are_not_there(self):
        with pytest.raises(ValueError, match="did you mean 'features'"):
            metrics.NetworkFeatures(classifier(), "feature")

    def test_models_without_images(self):
        with pytest.raises(ValueError, match="one input, images"):
            metrics.NetworkFeatures(keras.Sequential([keras.layers.Dense(2)]))


BAD = {
    "bytes": (np.zeros((2, 8, 8, 1), "uint8"), "Received: dtype uint8"),
    "255": (np.full((2, 8, 8, 1), 255.0), r"in \[0, 1\]. Received: values up to 255"),
    "-1": (np.full((2, 8, 8, 1), -1.0), "values down to -1"),
    "NaN": (np.full((2, 8, 8, 1), np.nan), "2 of 2 hold NaN or infinity"),
    "infinity": (np.full((2, 8, 8, 1), np.inf), "2 of 2 hold NaN or infinity"),
    "size": (np.zeros((2, 9, 8, 1)), "takes images of 8x8x1. Received: .* 9x8x1"),
    "channels": (np.zeros((2, 8, 8, 3)), "takes images of 8x8x1. Received: .* 8x8x3"),
    "one image": (np.zeros((8, 8, 1)), r"Received: shape \(8, 8, 1\)"),
    "none": (np.zeros((0, 8, 8, 1)), r"Received: shape \(0, 8, 8, 1\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_image_is_rejected_in_one_sentence(case):
    bad, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        metrics.NetworkFeatures(classifier())(bad)
    assert "\n" not in str(caught.value)
    if case not in ("size", "channels", "one image"):
        with pytest.raises(ValueError, match="Images|takes one example"):
            metrics.Pixels()(bad)


def test_values_that_rounding_put_outside_are_images():
    x = np.full((2, 8, 8, 1), 1.0 + 1e-6, "float32")
    assert metrics.Pixels()(x).features.shape == (2, 64)


def test_data_are_images():
    source = data.load("digits", "test")
    assert metrics.Pixels()(source.arrays(20)).features.shape == (20, 64)
