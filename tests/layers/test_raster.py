"""Layers a pixel at a time against the same layers over whole images."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import (
    ConcatELU,
    DownConv2D,
    DownRightConv2D,
    Gate,
    MaskedConv2D,
    ShiftDown,
    ShiftRight,
    Upscale,
)
from tests.layers.test_masked import jacobian

# Sums in another order: ten units in the last place of the largest value.
TOLERANCE = 10 * np.finfo("float32").eps


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def by_pixels(layer, x):
    """Evaluates a layer over images as its protocol says."""
    state, kept = layer.raster_start(len(x), x.shape[2])
    rows = []
    for r in range(x.shape[1]):
        state, row, carried = layer.raster_row(state, kept)
        pixels, columns = [], []
        for c in range(x.shape[2]):
            owed = None if row is None else row[:, c]
            y, carried, column = layer.raster_step(owed, carried, x[:, r, c])
            pixels.append(y)
            columns.append(column)
        kept = None if column is None else tf.stack(columns, axis=1)
        rows.append(tf.stack(pixels, axis=1))
    return tf.stack(rows, axis=1)


def close(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


LAYERS = {
    "A": lambda: MaskedConv2D(4, 3, "A"),
    "B": lambda: MaskedConv2D(4, 3, "B", activation="relu"),
    "wide": lambda: MaskedConv2D(4, (5, 7), "B"),
    "row": lambda: MaskedConv2D(4, (1, 5), "A"),
    "column": lambda: MaskedConv2D(4, (5, 1), "B"),
    "pixel": lambda: MaskedConv2D(4, 1, "B"),
    "no bias": lambda: MaskedConv2D(4, 3, "B", use_bias=False),
    "dilated": lambda: MaskedConv2D(4, 3, "B", dilation_rate=2),
    "colors A": lambda: MaskedConv2D(4, 3, "A", channels=2),
    "colors B": lambda: MaskedConv2D(4, 3, "B", channels=2),
    "right": lambda: ShiftRight(),
    "down right": lambda: DownRightConv2D(4, (2, 2)),
    "down right, wide": lambda: DownRightConv2D(4, (3, 4), activation="tanh"),
    "down right, dilated": lambda: DownRightConv2D(4, (2, 3), dilation_rate=2),
    "above": lambda: DownRightConv2D(4, (3, 1)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_pixel_by_pixel_is_the_same(kind):
    layer, x = LAYERS[kind](), images(3, 5, 6, 2)
    expected = layer(x)
    for weight in layer.trainable_weights:  # biases, too
        weight.assign(images(*weight.shape, seed=1))
    expected = layer(x)
    close(by_pixels(layer, x), expected)


@pytest.mark.parametrize("rate", [1, 2])
@pytest.mark.parametrize("size", [(1, 3), (2, 3), (3, 5), (2, 1)])
def test_row_by_row_is_the_same(size, rate):
    layer = DownConv2D(4, size, activation="relu", dilation_rate=rate)
    x = images(3, 5, 6, 2)
    layer.build(x.shape)
    layer.bias.assign(images(4))
    state, rows = layer.raster_start(3, 6), []
    for r in range(5):
        state, row = layer.raster_whole_row(state, x[:, r])
        rows.append(row)
    close(tf.stack(rows, axis=1), layer(x))


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_pixels_in_half_precision(precision):
    keras.config.set_dtype_policy(precision)
    layer, x = MaskedConv2D(4, 3, "B"), images(2, 4, 4, 2)
    expected = layer(x)
    found = by_pixels(layer, tf.cast(x, layer.compute_dtype))
    assert found.dtype == expected.dtype == layer.compute_dtype
    # Sums of at most 10 products are rounded to as many digits, in another order.
    half = {"float16": 2**-10, "bfloat16": 2**-7}[layer.compute_dtype]
    error = np.abs(np.asarray(found - expected, "float32")).max()
    assert error <= 10 * half * np.abs(np.asarray(expected, "float32")).max()


def seen(layer, into, out):
    """Returns which pixels (r, c) an output pixel depends on, by gradients."""
    x = tf.constant(images(1, 6, 6, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layer(x)[:, out[0], out[1]])
    slope = tape.gradient(y, x)[0, :, :, 0].numpy()
    return {tuple(place) for place in np.argwhere(slope).tolist()}


def test_what_the_shifted_layers_see():
    ones = {"kernel_initializer": "ones"}
    assert seen(DownConv2D(1, (2, 3), **ones), 1, (3, 3)) == {
        (r, c) for r in (2, 3) for c in (2, 3, 4)
    }
    assert seen(DownRightConv2D(1, (2, 2), **ones), 1, (3, 3)) == {
        (r, c) for r in (2, 3) for c in (2, 3)
    }
    strided = DownRightConv2D(1, (2, 2), strides=2, **ones)
    assert seen(strided, 1, (1, 2)) == {(r, c) for r in (1, 2) for c in (3, 4)}
    assert seen(ShiftDown(), 1, (3, 3)) == {(2, 3)}
    assert seen(ShiftRight(), 1, (3, 3)) == {(3, 2)}


@pytest.mark.parametrize("kind", [DownConv2D, DownRightConv2D])
def test_a_stride_leaves_out_rows_and_columns(kind):
    x = images(2, 6, 8, 3)
    plain, strided = kind(4, (2, 3)), kind(4, (2, 3), strides=2)
    expected = plain(x)[:, ::2, ::2]
    assert strided.compute_output_shape(x.shape) == (2, 3, 4, 4)
    strided.build(x.shape)
    strided.set_weights(plain.get_weights())
    close(strided(x), expected)


def test_upscale_is_a_transposed_convolution():
    x = images(2, 3, 4, 8)
    y = Upscale()(x)
    assert Upscale().compute_output_shape(x.shape) == y.shape == (2, 6, 8, 2)
    kernel = np.zeros((2, 2, 2, 8), "float32")  # rows, columns, out, in
    for a in range(2):
        for b in range(2):
            for f in range(2):
                kernel[a, b, f, 2 * (2 * a + b) + f] = 1.0
    expected = tf.nn.conv2d_transpose(x, kernel, (2, 6, 8, 2), 2, "VALID")
    np.testing.assert_array_equal(y, expected)
    rows = Upscale().rows_of(x[:, 1])
    np.testing.assert_array_equal(tf.stack(rows, axis=1), y[:, 2:4])
    pixels = Upscale().pixels_of(x[:, 1, 2])
    square = tf.reshape(y[:, 2:4, 4:6], (2, 4, 2))
    np.testing.assert_array_equal(tf.stack(pixels, axis=1), square)


def test_gate():
    x = np.array([[1.0, -2.0, 0.5, 3.0]], "float32")
    gates = 1.0 / (1.0 + np.exp(-x[:, 2:]))
    np.testing.assert_allclose(
        Gate()(x), np.tanh(x[:, :2]) * gates, rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(Gate(None)(x), x[:, :2] * gates, rtol=1e-6, atol=1e-6)
    again = Gate.from_config(Gate(None).get_config())
    np.testing.assert_array_equal(again(x), Gate(None)(x))


def test_concat_elu():
    x = np.array([[1.0, -2.0]], "float32")
    expected = [[1.0, np.expm1(-2.0), np.expm1(-1.0), 2.0]]
    np.testing.assert_allclose(ConcatELU()(x), expected, rtol=1e-6, atol=1e-6)
    assert ConcatELU().compute_output_shape((None, 3)) == (None, 6)


def test_a_masked_convolution_is_computed_to_its_last_row():
    # What is cut off the kernel is what the mask leaves nothing of.
    layer, x = MaskedConv2D(2, 5, "A"), images(1, 6, 6, 1)
    y = layer(x)
    kernel = layer.kernel * layer.kernel_mask()
    close(y, tf.nn.conv2d(x, kernel, 1, "SAME"))
    assert not np.triu(
        jacobian(keras.Sequential([keras.Input((6, 6, 1)), layer]), 1)
    ).any()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DownConv2D(4, (2, 2)), "odd width"),
        (lambda: DownConv2D(4, (2, 3), padding="same"), "padding.*must be valid"),
        (lambda: DownRightConv2D(4, 2, groups=2), "groups.*must be"),
        (lambda: DownRightConv2D(4, 2, strides=(1, 2)), "the same for rows"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [DownConv2D, DownRightConv2D])
def test_configuration(kind):
    layer = kind(4, (2, 3), strides=2, activation="relu")
    again = kind.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
