"""Keras's layers with kernels, which both normalizations of weights wrap."""

import keras
import pytest
import tensorflow as tf

LAYERS = {
    "Dense": (lambda: keras.layers.Dense(5), (7,)),
    "Conv1D": (lambda: keras.layers.Conv1D(5, 3), (8, 2)),
    "Conv2D": (lambda: keras.layers.Conv2D(5, 3, 2, "same"), (8, 8, 2)),
    "Conv3D": (lambda: keras.layers.Conv3D(5, 2), (4, 4, 4, 2)),
    "Conv1DTranspose": (lambda: keras.layers.Conv1DTranspose(5, 3), (8, 2)),
    "Conv2DTranspose": (
        lambda: keras.layers.Conv2DTranspose(5, 4, 2, "same"),
        (4, 4, 2),
    ),
    "Conv3DTranspose": (lambda: keras.layers.Conv3DTranspose(5, 2), (3, 3, 3, 2)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def called(layer, shape):
    """Returns (layer, x): the layer, built by a call, and what it was called on."""
    x = tf.random.stateless_normal((3, *shape), (0, 1))
    layer(x)
    return layer, x
