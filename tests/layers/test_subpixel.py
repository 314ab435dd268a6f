"""Sub-pixel enlargement against plain loops and TensorFlow's depth to space."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import ICNR, SubPixel


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
    for make in (SubPixel, ICNR):
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
