"""Which pixels the networks of autoregressive models see."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks
from keras_gen.layers import DownConv2D, MaskedConv2D, ShiftDown, ShiftRight

SIZE = 6


def jacobian(network, shape, colors, seed=0):
    """Returns |d output / d input|: (values, values), in raster order, then color.

    Outputs of a pixel are summed over all that belong to one color.
    """
    x = tf.constant(np.random.default_rng(seed).normal(size=(1, *shape)), "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reshape(network(x), (shape[0] * shape[1], -1, colors))
    slope = tf.reduce_sum(tf.abs(tape.jacobian(y, x)), axis=1)
    return tf.reshape(slope, (y.shape[0] * colors, -1)).numpy()


def pixelwise(found, channels):
    """Returns the Jacobian of pixels: any of the outputs to any of the colors."""
    pixels = SIZE * SIZE
    found = found.reshape(pixels, -1, pixels, channels)
    return found.sum(axis=(1, 3))


@pytest.mark.parametrize("dilations", [(1,), (1, 2)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("make", [networks.pixel_cnn, networks.gated_pixel_cnn])
def test_no_output_depends_on_a_later_value(make, channels, dilations):
    shape = SIZE, SIZE, channels
    sizes = {"depth": 3, "width": 6, "first_kernel_size": 3, "dilations": dilations}
    network = make(shape, 2 * channels, **sizes)
    found = jacobian(network, shape, channels)
    assert not np.triu(found).any()
    assert np.tril(found, -1).any()


@pytest.mark.slow
def test_the_gated_network_has_no_blind_spot():
    shape = SIZE, SIZE, 3
    network = networks.gated_pixel_cnn(shape, 3, depth=6, width=24, first_kernel_size=3)
    # Of several images: for one of them all rectified units of a color may be zero.
    found = sum(jacobian(network, shape, 3, seed) for seed in range(4))
    np.testing.assert_array_equal(found > 0, np.tril(np.ones_like(found), -1) > 0)


@pytest.mark.slow
def test_the_plain_network_has_one():
    shape = SIZE, SIZE, 1
    network = networks.pixel_cnn(shape, 1, depth=6, width=8, first_kernel_size=3)
    found = jacobian(network, shape, 1).reshape(SIZE, SIZE, SIZE, SIZE)
    assert not found[2, 2, 1, 4:].any()
    assert found[2, 2, 1, :4].all()


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.slow
def test_two_streams_see_every_earlier_pixel(channels, levels):
    shape = SIZE, SIZE, channels
    network = networks.pixel_cnn_pp(shape, 4, 2, 8, levels, dropout=0.0)
    found = pixelwise(jacobian(network, shape, 4), channels)
    assert not np.triu(found).any()
    # Two rows up and two columns left for each block: enough for a small image.
    assert (found[SIZE * 2 + 1, : SIZE * 2 + 1] > 0).all()


@pytest.mark.parametrize(
    "make",
    [
        networks.pixel_cnn,
        networks.gated_pixel_cnn,
        pytest.param(networks.pixel_cnn_pp, marks=pytest.mark.slow),
    ],
)
def test_a_context_reaches_every_pixel(make):
    network = make((8, 8, 1), 3, width=4, context_shape=(5,))
    x, context = tf.ones((1, 8, 8, 1)), tf.Variable(tf.ones((1, 5)))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.abs(network([x, context])), axis=-1)
    assert (np.abs(tape.jacobian(y, context)).sum(axis=(-1, -2)) > 0).all()


def test_sides_must_halve():
    with pytest.raises(ValueError, match=r"multiples of 2\^\(levels - 1\)"):
        networks.pixel_cnn_pp((6, 6, 1), 3, levels=3)


def functional(*stack, channels=1):
    inputs = x = keras.Input((SIZE, SIZE, channels))
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x, name="mine")


@pytest.mark.parametrize(
    "network, message",
    [
        (lambda: functional(MaskedConv2D(2, 3, "B")), "sees the pixel that is drawn"),
        (lambda: functional(layers.Conv2D(2, 3, padding="same")), "not known to see"),
        (lambda: functional(layers.Conv2D(2, 1)), "must not see the pixel"),
        (lambda: functional(DownConv2D(2, (2, 3))), "rows, which are not finished"),
        (
            lambda: functional(MaskedConv2D(2, 3, "A"), layers.MaxPooling2D(1)),
            "MaxPooling2D.*not known",
        ),
    ],
)
def test_what_cannot_be_drawn_pixel_by_pixel_is_rejected(network, message):
    with pytest.raises(ValueError, match=message):
        networks.RasterNetwork(network())


def test_when_tensors_are_known():
    network = functional(
        layers.Rescaling(2.0),
        ShiftDown(),
        DownConv2D(2, (2, 3)),
        MaskedConv2D(1, 1, "B"),
    )
    raster = networks.RasterNetwork(network)
    names = ["given", "row", "pixel", "drawn"]
    kinds = [
        names[raster.kinds[id(n.output_tensors[0])]] for n in raster.nodes.values()
    ]
    assert kinds == ["drawn", "row", "row", "pixel"]
    right = networks.RasterNetwork(functional(ShiftRight()))
    assert list(right.late) == ["layer_000"]
