"""Sub-pixel enlargement against plain loops and TensorFlow's depth to space."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import ICNR, BicubicUpSampling, SubPixel


def plain(x, scale):
    """Returns the enlargement, number by number."""
    batch, *sides, channels = x.shape
    channels //= scale ** len(sides)
    y = np.full((batch, *(scale * side for side in sides), channels), np.nan)
    for place in itertools.product(*map(range, sides)):
        for number, offset in enumerate(
            itertools.product(range(scale), repeat=x.ndim - 2)
        ):
            target = tuple(scale * p + o for p, o in zip(place, offset, strict=True))
            part = slice(number * channels, (number + 1) * channels)
            y[(slice(None), *target)] = x[(slice(None), *place, part)]
    return y


def numbers(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("sides", [(5,), (3, 4), (2, 3, 2)], ids=str)
def test_by_loops(sides, scale):
    x = numbers(2, *sides, 2 * scale ** len(sides))
    np.testing.assert_array_equal(SubPixel(scale)(x), plain(x, scale))


@pytest.mark.parametrize("scale", [2, 3])
def test_the_order_is_that_of_tensorflow(scale):
    x = numbers(2, 3, 4, 3 * scale**2)
    np.testing.assert_array_equal(SubPixel(scale)(x), tf.nn.depth_to_space(x, scale))


def test_unknown_sides_and_saving(tmp_path):
    x = keras.Input((None, None, 8))
    convolution = keras.layers.Conv2D(12, 1, kernel_initializer=ICNR(2, "he_normal"))
    model = keras.Model(x, SubPixel(2)(convolution(x)))
    assert model.output_shape == (None, None, None, 3)
    known = SubPixel(2).compute_output_shape((None, 5, None, 12))
    assert known == (None, 10, None, 3)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    images = numbers(2, 3, 5, 8)
    np.testing.assert_array_equal(again(images), model(images))
    initializer = again.layers[1].kernel_initializer
    assert initializer.scale == 2
    assert isinstance(initializer.initializer, keras.initializers.HeNormal)


@pytest.mark.parametrize("shape", [(2, 4, 4, 6), (2, 4), (2, 1, 1, 1, 1, 16)], ids=str)
def test_wrong_inputs(shape):
    with pytest.raises(ValueError, match="channels a multiple of 2 for each side"):
        SubPixel(2)(np.ones(shape))


def test_wrong_arguments():
    for make in (SubPixel, ICNR, BicubicUpSampling):
        with pytest.raises(ValueError, match="`scale` must be a positive integer"):
            make(1.5)
    with pytest.raises(ValueError, match="outputs that are a multiple of 9"):
        ICNR(3)((3, 3, 2, 12))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_icnr_starts_as_nearest_neighbors(rank):
    kernel = ICNR(2)((*[3] * rank, 4, 2**rank * 5))
    base = kernel[..., :5]
    assert np.std(base) > 0
    # Each offset has the kernel of the low resolution.
    low = keras.ops.conv(np.ones((1, *[4] * rank, 4), "float32"), base, padding="same")
    x = keras.ops.conv(np.ones((1, *[4] * rank, 4), "float32"), kernel, padding="same")
    y = np.asarray(SubPixel(2)(x))
    want = np.asarray(low)
    for axis in range(1, rank + 1):
        want = np.repeat(want, 2, axis)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)


class TestBicubic:
    @pytest.mark.parametrize("scale", [1, 2, 3, 4])
    def test_it_is_that_of_tensorflow_but_at_the_edges(self, scale):
        x = np.random.default_rng(0).normal(size=(2, 6, 7, 2)).astype("float32")
        y = BicubicUpSampling(scale)(x)
        want = tf.image.resize(x, (6 * scale, 7 * scale), method="bicubic")
        assert y.shape == want.shape
        inner = slice(2 * scale, -2 * scale)
        # TensorFlow rounds places to 1/1024, which thirds are not a multiple of.
        atol = 5e-3 if scale == 3 else 1e-5
        np.testing.assert_allclose(y[:, inner, inner], want[:, inner, inner], atol=atol)

    @pytest.mark.parametrize("scale", [2, 3])
    @pytest.mark.parametrize("sides", [(5,), (3, 4), (2, 3, 4)], ids=str)
    def test_it_is_exact_for_what_is_constant_or_linear(self, sides, scale):
        layer = BicubicUpSampling(scale)
        ones = np.ones((1, *sides, 2), "float32")
        np.testing.assert_allclose(
            layer(ones), np.ones((1, *(scale * s for s in sides), 2)), atol=1e-5
        )
        line = np.arange(9.0, dtype="float32").reshape(1, 9, *[1] * len(sides))
        line = np.broadcast_to(line, (1, 9, *sides[1:], 1)) + 0.0
        y = layer(line)
        want = (np.arange(9 * scale) + 0.5) / scale - 0.5
        inner = slice(2 * scale, -2 * scale)
        got = np.reshape(np.moveaxis(np.asarray(y), 1, -1), (-1, 9 * scale))
        np.testing.assert_allclose(got[0, inner], want[inner], atol=1e-5)

    def test_edges_are_reflected(self):
        x = np.random.default_rng(0).normal(size=(1, 4, 3, 1)).astype("float32")
        layer = BicubicUpSampling(2)
        mirrored = np.pad(x, [(0, 0), (4, 4), (3, 3), (0, 0)], mode="symmetric")
        want = layer(mirrored)[:, 8:-8, 6:-6]
        np.testing.assert_allclose(layer(x), want, atol=1e-5)

    def test_unknown_sides_in_a_graph_and_saving(self, tmp_path):
        inputs = keras.Input((None, None, 3))
        model = keras.Model(inputs, BicubicUpSampling(2)(inputs))
        assert model.output_shape == (None, None, None, 3)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        spec = tf.TensorSpec((None, None, None, 3))
        run = tf.function(again, input_signature=[spec], autograph=False)
        x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
        np.testing.assert_allclose(run(x), model(x), atol=1e-6)
