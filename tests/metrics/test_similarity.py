"""Likeness of pairs of images, and sharpness, against NumPy in double precision."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import data, metrics
from keras_gen.metrics import similarity
from keras_gen.metrics.estimate import MeanWithError
from keras_gen.metrics.similarity import psnr, ssim


def pairs(n=3, size=(16, 13), channels=2):
    rng = np.random.default_rng(0)
    x = rng.random((n, *size, channels))
    return x, np.clip(x + rng.normal(0, 0.2, x.shape), 0, 1)


def ssim_by_hand(x, y, window):
    """The mean over windows, one after the other, in double precision."""
    place = np.arange(window) - window // 2
    weights = np.exp(-np.square(place) / 2 / 1.5**2)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    found = []
    for i in range(x.shape[0] - window + 1):
        for j in range(x.shape[1] - window + 1):
            a, b = (z[i : i + window, j : j + window] for z in (x, y))
            ma, mb = np.sum(weights * a), np.sum(weights * b)
            va, vb = np.sum(weights * (a - ma) ** 2), np.sum(weights * (b - mb) ** 2)
            both = np.sum(weights * (a - ma) * (b - mb))
            light = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
            found.append(light * (2 * both + 9e-4) / (va + vb + 9e-4))
    return np.mean(found)


@pytest.mark.parametrize(
    ("size", "asked", "window"),
    [((16, 13), 11, 11), ((16, 13), 5, 5), ((8, 8), 11, 7), ((16, 9), 11, 9)],
)
def test_ssim_by_hand(size, asked, window):
    x, y = pairs(size=size)
    want = [
        np.mean([ssim_by_hand(a[..., c], b[..., c], window) for c in range(2)])
        for a, b in zip(x, y, strict=True)
    ]
    # Covariances are differences of means of squares in single precision.
    np.testing.assert_allclose(ssim(x, y, asked), want, rtol=1e-4)


def test_psnr_by_hand():
    x, y = pairs()
    want = -10 * np.log10(np.mean(np.square(x - y), axis=(1, 2, 3)))
    np.testing.assert_allclose(psnr(x, y), want, rtol=1e-5)  # some roundings
    assert np.isinf(psnr(x, x)).all()


def test_more_noise_is_less_alike():
    x = data.load("digits").arrays(50)
    noise = np.random.default_rng(0).normal(size=x.shape)
    for measure in (ssim, psnr):
        found = [np.mean(measure(x, x + s * noise)) for s in (0.02, 0.1, 0.5)]
        assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("name", ["PSNR", "SSIM"])
def test_the_metrics_are_means_with_their_errors(name):
    x, y = pairs(n=20)
    each = np.asarray(getattr(similarity, name.lower())(x, y), "float64")
    metric = getattr(metrics, name)()

    @tf.function
    def update(x, y):
        metric.update_state(x, y)

    update(tf.constant(x[:7]), tf.constant(y[:7]))
    metric.update_state(x[7:], y[7:])
    assert float(metric.result()) == pytest.approx(each.mean(), rel=1e-6)
    error = each.std(ddof=1) / np.sqrt(20)
    # A float32 graph may round otherwise; a variance doubles that.
    assert float(metric.standard_error()) == pytest.approx(error, rel=1e-4)
    metric.reset_state()
    assert float(metric.result()) == 0.0


@pytest.mark.parametrize(
    "metric",
    [
        metrics.PSNR(name="a"),
        metrics.SSIM(window=5, name="b"),
        metrics.Sharpness(name="c"),
        MeanWithError(name="d"),
    ],
)
def test_config(metric):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


def test_what_is_no_pair_is_rejected():
    x, y = pairs()
    for measure in (ssim, psnr):
        with pytest.raises(ValueError, match="must have one shape"):
            measure(x, y[:, 1:])
        with pytest.raises(ValueError, match=r"must have one shape.*\(16, 13, 2\)"):
            measure(x[0], y[0])
    with pytest.raises(ValueError, match="`window` must be odd .* Received: window=4"):
        ssim(x, y, 4)


class TestSharpness:
    def test_it_is_the_mean_length_of_the_gradient(self):
        down, right = np.mgrid[:8, :8].astype("float32")
        ramp = (3.0 * down + 4.0 * right)[None, ..., None]
        assert metrics.sharpness(ramp) == 5.0
        assert metrics.sharpness(np.zeros((2, 4, 4, 3))) == 0.0

    def test_relative_to_real_images(self):
        x = data.load("digits").arrays(200)
        metric = metrics.Sharpness()
        assert metric.needs == "images"
        metric.set_reference(x[:100])
        metric.update_state(x[100:])
        found = metric.estimates()["sharpness"]
        want = metrics.sharpness(x[100:]) / metrics.sharpness(x[:100])
        assert found.value == pytest.approx(want, rel=1e-5)
        assert abs(found.value - 1.0) < 4 * found.standard_error < 0.2  # rate 6e-5
        metric.reset_state()
        metric.update_state((x[100:] + np.roll(x[100:], 1, axis=1)) / 2)
        assert metric.result() < found.value - 0.1

    def test_its_error_is_the_spread_over_draws(self):
        rng = np.random.default_rng(0)
        values, errors = [], []
        for _ in range(200):
            metric = metrics.Sharpness()
            loud = rng.gamma(3.0, size=(2, 40, 1, 1, 1))
            sides = loud * rng.random((2, 40, 4, 4, 1))
            metric.set_reference(sides[0])
            metric.update_state(sides[1])
            found = metric.estimates()["sharpness"]
            values.append(found.value)
            errors.append(found.standard_error)
        # 200 draws know the spread to 5 %; three of those.
        assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)

    @pytest.mark.parametrize("dtype", ["uint8", "int64", "float16"])
    def test_no_kind_of_number_wraps(self, dtype):
        x = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 2)).astype(dtype)
        want = metrics.sharpness(x.astype("float64"))
        assert metrics.sharpness(x) == pytest.approx(want, rel=1e-6)
        metric = metrics.Sharpness()
        metric.set_reference(x)
        metric.update_state(x)
        assert metric.result() == 1.0

    def test_what_is_no_image_is_rejected(self):
        for shape in ((3, 8, 8), (3, 1, 8, 1), (8,)):
            with pytest.raises(ValueError, match=r"Gradients are those of images"):
                metrics.sharpness(np.zeros(shape))
        metric = metrics.Sharpness()
        metric.set_reference(np.eye(8)[None, ..., None])
        metric.update_state(np.eye(4)[None, ..., None])
        metric.min_count = 1
        with pytest.raises(ValueError, match=r"of one size.*\(8, 8, 1\) and \(4, 4, 1"):
            metric.result()

    def test_flat_images_are_rejected(self):
        metric = metrics.Sharpness()
        metric.set_reference(np.ones((2, 4, 4, 1)))
        metric.update_state(np.ones((2, 4, 4, 1)))
        with pytest.raises(ValueError, match="real images are flat"):
            metric.result()
